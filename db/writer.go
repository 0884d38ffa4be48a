package db

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"relcheck/checker"
)

const (
	// maxQueue is how many reports may wait for one commit.
	maxQueue = 8192
	// writeTimeout is how long a caller waits for the commit of its report.
	writeTimeout = 10 * time.Second
	// linger is how long a batch waits at most to become as large as the one
	// before it. Callers who come one at a time do not wait.
	linger = 2 * time.Millisecond
	// tick is how often counted checks are written, and a store that failed is
	// tried again.
	tick = time.Second
	// logPause is how long one trouble that turns into another is not logged
	// anew: errors of connections differ by the port they came from.
	logPause = 10 * time.Second
)

// Errors of [Writer.Record]. Any other error, too, means that the report may
// not have been recorded.
var (
	ErrBusy    = error(busy{})
	ErrClosed  = errors.New("the store is shutting down")
	ErrTimeout = errors.New("the store took too long to write")
)

// busy is the error of a report that is one of too many.
type busy struct{}

func (busy) Error() string { return "too many reports wait to be written" }
func (busy) Busy() bool    { return true }

// Writer records reports. All that arrive while one transaction is being
// synced to disk share the next one.
type Writer struct {
	name     string
	recorder recorder
	log      *slog.Logger

	mu     sync.Mutex
	open   *batch
	enough int // how many entries make the open batch worth a transaction
	checks map[buildKey]int64
	closed bool

	wake chan struct{} // the open batch has its first entry
	ripe chan struct{} // the open batch has enough entries
	done chan struct{} // closed when the writing goroutine has ended

	committed atomic.Pointer[func(time.Duration)]
	others    atomic.Int64

	trouble atomic.Pointer[error] // nil while writing works
	damage  atomic.Pointer[error] // what was found by looking through the store, or nil
	said    error                 // the trouble that was logged last
	saidAt  time.Time
	stopped error // of closing the recorder; to be read once done is closed
}

// recorder is the part of a Writer that each engine has of its own. Only the
// writing goroutine uses it, but for sound.
type recorder interface {
	// write records a batch and adds the checks, all in one transaction: after an
	// error none of it may be thought recorded. Entries that cannot be recorded,
	// for there is no such product, it notes in the batch.
	write(b *batch, checks map[buildKey]int64, now time.Time) error
	// try makes sure that write would work. After a failure it does so by writing.
	try(failed bool) error
	// sound tells what is wrong as far as that can be seen without waiting.
	sound() error
	close() error
}

// entry is a report that waits to be written.
type entry struct {
	build    buildKey
	instance [16]byte
	heap     *int64
	at       int64 // seconds since 1970-01-01 UTC, or 0 for the time of writing
}

// batch is what goes into one transaction. Its err may be read once done is closed.
type batch struct {
	entries []entry
	lost    map[int]error // entries that could not be recorded, by index
	others  int64         // entries and checks that share the version other
	done    chan struct{}
	once    sync.Once
	err     error
	timer   *time.Timer
}

func newBatch(entries []entry) *batch {
	return &batch{entries: entries, done: make(chan struct{})}
}

// finish wakes all who wait for the batch. Only the first call counts.
func (b *batch) finish(err error) {
	b.once.Do(func() {
		b.err = err
		close(b.done)
	})
}

// late tells whether the batch was given up before its turn came. What is in it is
// written all the same, and nobody else joins it.
func (b *batch) late() bool {
	select {
	case <-b.done:
		return true
	default:
		return false
	}
}

func (b *batch) lose(i int, err error) {
	if b.lost == nil {
		b.lost = map[int]error{}
	}
	b.lost[i] = err
}

// NewWriter starts to record into the store. The error wraps [ErrInUse] while
// another process does, if the store takes only one.
func (s *Store) NewWriter(log *slog.Logger) (*Writer, error) {
	r, err := s.recorder(s)
	if err != nil {
		return nil, err
	}
	w := &Writer{
		name: s.name, recorder: r, log: log,
		open: newBatch(nil), enough: 1, checks: map[buildKey]int64{},
		wake: make(chan struct{}, 1), ripe: make(chan struct{}, 1), done: make(chan struct{}),
	}
	go w.run()
	return w, nil
}

// Record stores a report and returns once it is synced to disk. It returns
// early when ctx ends, but the report is recorded all the same: others share
// its transaction.
func (w *Writer) Record(ctx context.Context, product string, from checker.Platform, r *checker.Report) error {
	w.mu.Lock()
	b, i := w.open, len(w.open.entries)
	if w.closed || i >= maxQueue {
		defer w.mu.Unlock()
		if w.closed {
			return ErrClosed
		}
		return ErrBusy
	}
	if b.late() {
		defer w.mu.Unlock()
		return ErrTimeout
	}
	b.entries = append(b.entries, entry{build: buildKey{product, r.Version, from}, instance: r.ID, heap: r.HeapUsageBytes})
	if i == 0 {
		b.timer = time.AfterFunc(writeTimeout, func() { b.finish(ErrTimeout) })
	}
	enough := i+1 == w.enough
	w.mu.Unlock()
	if i == 0 {
		signal(w.wake)
	}
	if enough {
		signal(w.ripe)
	}
	select {
	case <-b.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	if b.err != nil {
		return b.err
	}
	return b.lost[i]
}

// Count adds one to the checks of a build without an id. It is written within
// a second or so, at best effort.
func (w *Writer) Count(product, version string, from checker.Platform) {
	key := buildKey{product, version, from}
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.checks[key]; ok || len(w.checks) < maxQueue {
		w.checks[key]++
	}
}

// Waiting is how many reports wait for the next transaction.
func (w *Writer) Waiting() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.open.entries)
}

// MaxWaiting is how many may; more are refused with [ErrBusy].
func (w *Writer) MaxWaiting() int { return maxQueue }

// Others is how many reports and checks were recorded under the version that all
// share of which there were too many on their day.
func (w *Writer) Others() int64 { return w.others.Load() }

// OnCommit has f called after each transaction that was to record reports, with
// the time it took or failed in. The writing goroutine calls it: it has to be quick.
func (w *Writer) OnCommit(f func(took time.Duration)) { w.committed.Store(&f) }

// Close writes what waits and stops. Later reports are refused.
func (w *Writer) Close() error {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	signal(w.wake)
	signal(w.ripe)
	<-w.done
	return w.stopped
}

// signal wakes whoever waits on c; one wake-up is kept for who comes later.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// run is the one goroutine that writes.
func (w *Writer) run() {
	defer close(w.done)
	defer func() { w.stopped = w.recorder.close() }()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	patience := time.NewTimer(linger)
	defer patience.Stop()
	var spare []entry
	for closed := false; !closed; {
		ticked := false
		select {
		case <-w.wake:
			w.await(patience)
		case <-ticker.C:
			ticked = true
		}
		var b *batch
		var checks map[buildKey]int64
		b, closed = w.take(spare[:0])
		if ticked || closed {
			checks = w.takeChecks()
		}
		if len(b.entries)+len(checks) > 0 {
			w.write(b, checks)
		} else if ticked {
			w.note(w.recorder.try(w.trouble.Load() != nil))
		}
		clear(b.entries) // lets go of what they point to
		spare = b.entries
	}
}

// await returns once the open batch has enough entries, or has lingered for
// them. Those whose batch was just synced are about to send again, and so a
// batch that is cut too early leaves most of them for the next sync.
func (w *Writer) await(patience *time.Timer) {
	w.mu.Lock()
	enough := len(w.open.entries) >= w.enough || w.closed
	w.mu.Unlock()
	if enough {
		return
	}
	patience.Reset(linger)
	select {
	case <-w.ripe:
	case <-patience.C:
	}
}

// take hands over the open batch, and opens another that reuses spare.
func (w *Writer) take(spare []entry) (b *batch, closed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	b, w.open = w.open, newBatch(spare)
	w.enough = max(1, len(b.entries))
	for _, c := range []chan struct{}{w.wake, w.ripe} {
		select {
		case <-c: // was about this batch
		default:
		}
	}
	return b, w.closed
}

func (w *Writer) takeChecks() map[buildKey]int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	taken := w.checks
	if len(taken) > 0 {
		w.checks = make(map[buildKey]int64)
	}
	return taken
}

// write commits a batch and wakes its callers.
func (w *Writer) write(b *batch, checks map[buildKey]int64) {
	now := time.Now()
	err := w.recorder.write(b, checks, now)
	if f := w.committed.Load(); f != nil && len(b.entries) > 0 {
		(*f)(time.Since(now))
	}
	if b.timer != nil {
		b.timer.Stop()
	}
	if err == nil {
		w.others.Add(b.others)
	}
	w.note(err) // first: who is told of an error finds the store not ready
	b.finish(err)
}

// Ready returns nil while reports can be recorded, and otherwise why not.
func (w *Writer) Ready() error {
	if err := w.recorder.sound(); err != nil {
		return err
	}
	if p := w.damage.Load(); p != nil {
		return *p
	}
	if p := w.trouble.Load(); p != nil {
		return *p
	}
	return nil
}

// note remembers whether writing works, and logs when that changes.
func (w *Writer) note(err error) {
	before := w.trouble.Load()
	switch {
	case err == nil && before != nil:
		w.trouble.Store(nil)
		w.log.Info("recording again", "db", w.name)
	case err != nil:
		w.trouble.Store(&err)
	}
	if err != nil && (before == nil || !alike(w.said, err) && time.Since(w.saidAt) >= logPause) {
		w.said, w.saidAt = err, time.Now()
		w.log.Error("cannot record reports", "db", w.name, "err", err)
	}
}

// alike keeps one trouble from being logged over and over.
func alike(a, b error) bool {
	return a.Error() == b.Error() || errors.As(a, new(full)) && errors.As(b, new(full))
}
