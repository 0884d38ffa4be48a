package simulate

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"math"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

const (
	// maxOpen is how many connections an open loop takes at most.
	maxOpen = 256
	// hurry is how long answers are waited for once somebody wants an end.
	hurry = 500 * time.Millisecond
	// rest is how long a connection of a closed loop waits after a failure.
	rest = 100 * time.Millisecond
	// glance is how often the progress is told.
	glance = 500 * time.Millisecond
)

// Load is requests that are sent to a service: in an open loop so many a second,
// whether they are answered or not, or in a closed one, in which each connection
// waits for an answer before it sends the next.
type Load struct {
	Service  *url.URL          // http or https
	Requests iter.Seq[Request] // that ends early ends the load
	// Rate is how many requests a second are sent in an open loop, each over the
	// first connection that is free, of up to 256. 0 is for a closed loop.
	Rate float64
	// Connections is how many there are in a closed loop.
	Connections int
	// Duration is for how long requests are sent.
	Duration time.Duration
	// Timeout is how long an answer may take. The default is 5 seconds, as long as
	// Open Policy Agent waits.
	Timeout time.Duration

	// Recorded, if not nil, is called with the id of each report that the service
	// says is recorded, by several goroutines at once.
	Recorded func(uuid.UUID)
	// Progress, if not nil, is called now and then with what has come of it so far.
	Progress func(*Result)
}

// Run sends the requests. It waits until Timeout for the last answers, and half a
// second if ctx has ended, which ends the load early. In an open loop latency
// counts from when a request was to be sent, also if nothing could be sent then;
// what was to be sent by the end, is. The error is that the service cannot be
// reached to begin with; what goes wrong later is part of the result.
func (l *Load) Run(ctx context.Context) (*Result, error) {
	line := newLine(l.Service, cmp.Or(l.Timeout, 5*time.Second))
	first, err := line.dial(ctx)
	if err != nil {
		return nil, err
	}
	first.close()
	line.address = first.RemoteAddr().String() // its name is looked up once
	next, stop := iter.Pull(l.Requests)
	defer stop()
	next = begun(next)
	now := time.Now()
	r := &run{Load: l, line: line, next: next, begin: now, end: now.Add(l.Duration), most: l.Connections,
		total: math.MaxInt64, result: newResult()}
	if l.Rate > 0 {
		r.most, r.total = maxOpen, int64(math.Ceil(l.Rate*l.Duration.Seconds()))
	}
	stopTelling := r.tell()
	r.send(ctx)
	stopTelling()
	r.result.Elapsed = time.Since(r.begin)
	r.result.Unsent = r.due() - r.given
	return r.result, nil
}

// begun pulls the first value, so that what a sequence does before it, such as to make
// up a fleet, takes none of the time that counts.
func begun(next func() (Request, bool)) func() (Request, bool) {
	first, ok := next()
	given := false
	return func() (Request, bool) {
		if !given {
			given = true
			return first, ok
		}
		return next()
	}
}

// run is a load on its way.
type run struct {
	*Load
	line
	begin, end time.Time
	total      int64 // how many requests there are to be
	most       int   // connections

	workers sync.WaitGroup
	waiting atomic.Int64 // workers without a request
	turn    sync.Mutex   // of the worker that is to send next; guards what follows
	next    func() (Request, bool)
	given   int64
	started int
	asked   time.Time // when ctx ended

	mu     sync.Mutex
	result *Result
}

// send starts the workers, and returns when all have ended.
func (r *run) send(ctx context.Context) {
	cut, cancel := context.WithDeadline(context.WithoutCancel(ctx), r.end.Add(r.timeout))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(hurry, cancel) })()
	r.turn.Lock()
	for range max(1, r.Connections) {
		r.start(ctx, cut)
	}
	r.turn.Unlock()
	r.workers.Wait()
}

func (r *run) start(ctx, cut context.Context) {
	r.started++
	r.waiting.Add(1)
	r.workers.Go(func() {
		w := worker{run: r, ctx: ctx, cut: cut}
		w.work()
	})
}

// due is how many requests should have been sent by now.
func (r *run) due() int64 {
	if r.Rate == 0 {
		return r.given
	}
	now := time.Now()
	if !r.asked.IsZero() {
		now = r.asked
	}
	return max(r.given, min(r.total, int64(now.Sub(r.begin).Seconds()*r.Rate)))
}

// tell calls Progress now and then, until stop is called.
func (r *run) tell() (stop func()) {
	if r.Progress == nil {
		return func() {}
	}
	ended := make(chan struct{})
	var telling sync.WaitGroup
	telling.Go(func() {
		t := time.NewTicker(glance)
		defer t.Stop()
		for {
			select {
			case <-ended:
				return
			case <-t.C:
			}
			r.mu.Lock()
			soFar := r.result.clone()
			r.mu.Unlock()
			soFar.Elapsed = time.Since(r.begin)
			r.Progress(soFar)
		}
	})
	return func() { close(ended); telling.Wait() }
}

// worker sends over one connection at a time.
type worker struct {
	*run
	ctx, cut context.Context
	conn     *connection
	request  Request
	buffer   []byte
}

func (w *worker) work() {
	defer w.hangUp()
	for {
		intended, ok := w.take()
		if !ok {
			return
		}
		a, err := w.ask()
		took := time.Since(intended)
		if err != nil && w.over() {
			err = errors.New("there was no answer by the end")
		}
		if a.last || err != nil {
			w.hangUp()
		}
		w.mu.Lock()
		recorded := w.result.add(&w.request, a, err, took, w.cut.Err() == context.Canceled)
		w.mu.Unlock()
		if recorded && w.Recorded != nil {
			w.Recorded(w.request.ID)
		}
		if err != nil && w.Rate == 0 {
			pause(w.ctx, rest)
		}
		w.waiting.Add(1)
	}
}

// take waits for its turn, and for the time of the next request. It returns
// false when there is none any more.
func (w *worker) take() (intended time.Time, ok bool) {
	r := w.run
	r.turn.Lock()
	defer r.turn.Unlock()
	r.waiting.Add(-1)
	intended = time.Now()
	if r.Rate > 0 {
		intended = r.begin.Add(time.Duration(float64(r.given) / r.Rate * float64(time.Second)))
		pause(w.ctx, time.Until(intended))
	} else if intended.After(r.end) {
		return intended, false
	}
	if w.ctx.Err() != nil && r.asked.IsZero() {
		r.asked = time.Now()
	}
	if r.given >= r.total || w.ctx.Err() != nil || w.over() {
		return intended, false
	}
	request, ok := r.next()
	if !ok {
		r.total = r.given
		return intended, false
	}
	r.given++
	w.buffer = append(w.buffer[:0], request.Bytes...)
	w.request = request
	w.request.Bytes = w.buffer
	if r.started < r.most && r.waiting.Load() == 0 {
		r.start(w.ctx, w.cut)
	}
	return intended, true
}

// over reports whether nothing is waited for any more. Connections look at the
// clock, which may tell that before the context does.
func (w *worker) over() bool {
	return w.cut.Err() != nil || time.Now().After(w.end.Add(w.timeout))
}

// ask sends the request over the connection, and makes one where there is none.
func (w *worker) ask() (answer, error) {
	if w.conn != nil && time.Since(w.conn.used) > idle {
		w.hangUp()
	}
	if w.conn == nil {
		conn, err := w.dial(w.cut)
		if err != nil {
			return answer{}, err
		}
		w.conn = conn
	}
	return w.conn.exchange(w.buffer)
}

func (w *worker) hangUp() {
	if w.conn != nil {
		w.conn.close()
		w.conn = nil
	}
}

// pause waits, at most until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
