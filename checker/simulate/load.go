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
	// maxOpenLoopConns is the largest number of connections in an open loop.
	maxOpenLoopConns = 256
	// cancelGrace is how long Run waits for responses after its context has ended.
	cancelGrace = 500 * time.Millisecond
	// retryDelay is how long a connection of a closed loop waits after a failure.
	retryDelay = 100 * time.Millisecond
	// progressInterval is how often Progress is called.
	progressInterval = 500 * time.Millisecond
)

// Load sends requests to a service. In an open loop it sends them at a fixed rate,
// whether or not the service has responded to earlier ones. In a closed loop each
// connection waits for a response before it sends its next request.
type Load struct {
	Service  *url.URL          // http or https
	Requests iter.Seq[Request] // if it ends early, so does the load
	// Rate is the number of requests per second in an open loop. Each request takes the
	// first free connection of up to 256. Zero selects a closed loop.
	Rate float64
	// Connections is the number of connections in a closed loop.
	Connections int
	// Duration is how long requests are sent.
	Duration time.Duration
	// Timeout limits each request with its response. The default is 5 seconds, which is
	// the timeout of Open Policy Agent.
	Timeout time.Duration

	// OnRecorded, if not nil, is called with the instance ID of each report that the
	// service has recorded. Several goroutines call it concurrently.
	OnRecorded func(uuid.UUID)
	// Progress, if not nil, is called every half second with the result so far.
	Progress func(*Result)
}

// Run sends the requests and returns when all responses have arrived or timed out. If
// ctx ends, Run stops sending and waits half a second for responses. In an open loop,
// latency is measured from the time when a request was due, even if no connection was
// free then; a request that was due before the end is still sent. Run returns an error
// only if it cannot connect at the start; later failures are part of the result.
func (l *Load) Run(ctx context.Context) (*Result, error) {
	d := newDialer(l.Service, cmp.Or(l.Timeout, 5*time.Second))
	first, err := d.dial(ctx)
	if err != nil {
		return nil, err
	}
	first.close()
	d.address = first.RemoteAddr().String() // resolve the host name only once
	next, stop := iter.Pull(l.Requests)
	defer stop()
	next = prefetch(next)
	now := time.Now()
	r := &run{Load: l, dialer: d, next: next, begin: now, end: now.Add(l.Duration), maxConns: l.Connections,
		total: math.MaxInt64, result: newResult()}
	if l.Rate > 0 {
		r.maxConns, r.total = maxOpenLoopConns, int64(math.Ceil(l.Rate*l.Duration.Seconds()))
	}
	stopProgress := r.startProgress()
	r.send(ctx)
	stopProgress()
	r.result.Elapsed = time.Since(r.begin)
	r.result.Unsent = r.due() - r.issued
	return r.result, nil
}

// prefetch pulls the first value at once, so that the setup work of a sequence, such
// as generating a fleet, does not count as latency.
func prefetch(next func() (Request, bool)) func() (Request, bool) {
	first, ok := next()
	used := false
	return func() (Request, bool) {
		if !used {
			used = true
			return first, ok
		}
		return next()
	}
}

// run is the state of one call of Load.Run.
type run struct {
	*Load
	dialer
	begin, end time.Time
	total      int64 // number of requests to send
	maxConns   int

	workers sync.WaitGroup
	idle    atomic.Int64 // number of workers without a request

	nextMu   sync.Mutex // held by the worker that waits for the next request; guards the fields below
	next     func() (Request, bool)
	issued   int64     // number of requests that workers have taken
	started  int       // number of workers
	canceled time.Time // when a worker noticed that ctx had ended; zero before

	mu     sync.Mutex
	result *Result
}

// send starts the workers and waits until all have finished.
func (r *run) send(ctx context.Context) {
	// receiveCtx outlives ctx: it allows responses to arrive after the last request was sent.
	receiveCtx, cancel := context.WithDeadline(context.WithoutCancel(ctx), r.end.Add(r.timeout))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(cancelGrace, cancel) })()
	r.nextMu.Lock()
	for range max(1, r.Connections) {
		r.startWorker(ctx, receiveCtx)
	}
	r.nextMu.Unlock()
	r.workers.Wait()
}

func (r *run) startWorker(ctx, receiveCtx context.Context) {
	r.started++
	r.idle.Add(1)
	r.workers.Go(func() {
		w := worker{run: r, ctx: ctx, receiveCtx: receiveCtx}
		w.loop()
	})
}

// due returns the number of requests that should have been sent by now, or by the time
// when the run was canceled.
func (r *run) due() int64 {
	if r.Rate == 0 {
		return r.issued
	}
	now := time.Now()
	if !r.canceled.IsZero() {
		now = r.canceled
	}
	return max(r.issued, min(r.total, int64(now.Sub(r.begin).Seconds()*r.Rate)))
}

// startProgress calls Progress periodically until stop is called.
func (r *run) startProgress() (stop func()) {
	if r.Progress == nil {
		return func() {}
	}
	stopped := make(chan struct{})
	var reporter sync.WaitGroup
	reporter.Go(func() {
		t := time.NewTicker(progressInterval)
		defer t.Stop()
		for {
			select {
			case <-stopped:
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
	return func() { close(stopped); reporter.Wait() }
}

// worker sends requests over one connection at a time.
type worker struct {
	*run
	ctx, receiveCtx context.Context
	conn            *connection
	request         Request
	buffer          []byte // holds the bytes of request
}

func (w *worker) loop() {
	defer w.closeConn()
	for {
		dueAt, ok := w.nextRequest()
		if !ok {
			return
		}
		res, err := w.roundTrip()
		latency := time.Since(dueAt)
		if err != nil && w.expired() {
			err = errors.New("no response by the end of the run")
		}
		if res.close || err != nil {
			w.closeConn()
		}
		w.mu.Lock()
		recorded := w.result.add(&w.request, res, err, latency, w.receiveCtx.Err() == context.Canceled)
		w.mu.Unlock()
		if recorded && w.OnRecorded != nil {
			w.OnRecorded(w.request.ID)
		}
		if err != nil && w.Rate == 0 {
			sleep(w.ctx, retryDelay)
		}
		w.idle.Add(1)
	}
}

// nextRequest waits until the next request is due and stores it in w.request. It
// returns false if there is none left.
func (w *worker) nextRequest() (dueAt time.Time, ok bool) {
	r := w.run
	r.nextMu.Lock()
	defer r.nextMu.Unlock()
	r.idle.Add(-1)
	dueAt = time.Now()
	if r.Rate > 0 {
		dueAt = r.begin.Add(time.Duration(float64(r.issued) / r.Rate * float64(time.Second)))
		sleep(w.ctx, time.Until(dueAt))
	} else if dueAt.After(r.end) {
		return dueAt, false
	}
	if w.ctx.Err() != nil && r.canceled.IsZero() {
		r.canceled = time.Now()
	}
	if r.issued >= r.total || w.ctx.Err() != nil || w.expired() {
		return dueAt, false
	}
	request, ok := r.next()
	if !ok {
		r.total = r.issued
		return dueAt, false
	}
	r.issued++
	w.buffer = append(w.buffer[:0], request.Bytes...)
	w.request = request
	w.request.Bytes = w.buffer
	if r.started < r.maxConns && r.idle.Load() == 0 {
		r.startWorker(w.ctx, w.receiveCtx)
	}
	return dueAt, true
}

// expired reports whether the time for responses is over. It also checks the clock,
// because a connection may reach its deadline before receiveCtx ends.
func (w *worker) expired() bool {
	return w.receiveCtx.Err() != nil || time.Now().After(w.end.Add(w.timeout))
}

// roundTrip sends the request and reads the response, over a new connection if there
// is none that can be reused.
func (w *worker) roundTrip() (response, error) {
	if w.conn != nil && time.Since(w.conn.lastUsed) > maxIdle {
		w.closeConn()
	}
	if w.conn == nil {
		conn, err := w.dial(w.receiveCtx)
		if err != nil {
			return response{}, err
		}
		w.conn = conn
	}
	return w.conn.roundTrip(w.buffer)
}

func (w *worker) closeConn() {
	if w.conn != nil {
		w.conn.close()
		w.conn = nil
	}
}

// sleep waits for d or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
