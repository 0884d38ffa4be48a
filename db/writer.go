package db

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"relcheck/checker"
)

const (
	// maxQueue is how many reports may wait for one commit.
	maxQueue = 8192
	// writeTimeout is how long a caller waits for the commit of its report, unless it
	// is this caller who writes: he waits for as long as the disk does.
	writeTimeout = 10 * time.Second
	// linger is how long a batch waits at most for those who are about to join it.
	linger = time.Millisecond
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
// synced to disk share the next one. The first of them sees to it that they are
// written; who finds nobody writing does it himself, for to wake another would take
// a sixth of the time that there is to wait.
type Writer struct {
	name string
	log  *slog.Logger
	stop chan struct{} // ends what happens every tick
	end  func() error  // closes the recorder, the first time

	mu     sync.Mutex
	open   *batch // becomes another one only in turn
	checks map[buildKey]int64
	closed bool

	turn     sync.Mutex // held by who writes; what follows is theirs
	recorder recorder
	ended    bool    // the recorder is closed
	before   int     // how many entries the last batch had
	spare    []entry // for a batch to come

	committed atomic.Pointer[func(time.Duration)]
	others    atomic.Int64

	trouble    atomic.Pointer[error] // nil while writing works
	corruptErr atomic.Pointer[error] // what was found by looking through the store, or nil
	said       error                 // the trouble that was logged last
	saidAt     time.Time
}

// recorder is the part of a Writer that each engine has of its own. Only who has
// the turn uses it, but for sound.
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

// NewWriter starts to record into the store. The error wraps [ErrInUse] while
// another process does, if the store takes only one.
func (s *Store) NewWriter(log *slog.Logger) (*Writer, error) {
	r, err := s.recorder(s)
	if err != nil {
		return nil, err
	}
	w := &Writer{name: s.name, log: log, recorder: r, open: newBatch(nil), checks: map[buildKey]int64{}, stop: make(chan struct{})}
	w.end = sync.OnceValue(w.finish)
	go w.tick()
	return w, nil
}

// Record stores a report and returns once it is synced to disk. It returns
// early when ctx ends, unless it is this caller who writes just then; but the report
// is recorded all the same, for others share its transaction.
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
	w.mu.Unlock()
	if i == 0 {
		w.see(b)
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
// the time it took or failed in. Callers wait for it meanwhile: it has to be quick.
func (w *Writer) OnCommit(f func(took time.Duration)) { w.committed.Store(&f) }

// Close writes what waits and stops. Later reports are refused.
func (w *Writer) Close() error { return w.end() }

func (w *Writer) finish() error {
	close(w.stop)
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.turn.Lock()
	defer w.turn.Unlock()
	w.writeAll()
	w.ended = true
	return w.recorder.close()
}

// tick writes what was counted, and tries a store that failed, until the end.
func (w *Writer) tick() {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-w.stop:
			return
		case <-ticker.C:
		}
		w.turn.Lock()
		if !w.ended && !w.writeAll() {
			w.note(w.recorder.try(w.trouble.Load() != nil))
		}
		w.turn.Unlock()
	}
}

// writeAll writes what waits, and tells whether there was anything.
func (w *Writer) writeAll() bool {
	b, checks := w.open, w.takeChecks()
	if w.take(b); len(b.entries)+len(checks) == 0 {
		return false
	}
	w.write(b, checks)
	return true
}

// see sees to it that a batch is written to which the first entry has come.
func (w *Writer) see(b *batch) {
	if w.turn.TryLock() {
		w.lead(b)
		return
	}
	go func() {
		w.turn.Lock()
		w.lead(b)
	}()
}

// lead writes a batch, unless that was done, and gives the turn back.
func (w *Writer) lead(b *batch) {
	defer w.turn.Unlock()
	w.gather(b)
	if w.take(b) {
		w.write(b, nil)
	}
}

// gather lets those go first who are ready to run and about to join the batch, until
// it is half as large as the one before: a transaction costs as much as many rows,
// and while it waits for the disk, the callers of the other half are served. Where
// they come one at a time, that is at once.
func (w *Writer) gather(b *batch) {
	for n, end := 0, time.Now().Add(linger); ; runtime.Gosched() {
		before := n
		w.mu.Lock()
		n = len(b.entries)
		w.mu.Unlock()
		if n == before || 2*n >= w.before || time.Now().After(end) {
			return
		}
	}
}

// take opens another batch in place of the open one, if that is b.
func (w *Writer) take(b *batch) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if b != w.open {
		return false
	}
	w.open = newBatch(w.spare[:0])
	w.before, w.spare = len(b.entries), b.entries
	return true
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
	clear(b.entries) // lets go of what they point to
}

// Ready returns nil while reports can be recorded, and otherwise why not.
func (w *Writer) Ready() error {
	if err := w.recorder.sound(); err != nil {
		return err
	}
	if p := w.corruptErr.Load(); p != nil {
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
