package db

import (
	"context"
	"errors"
	"log/slog"
	"os"
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
)

// Errors of [Writer.Record]. Any other error, too, means that the report may
// not have been recorded.
var (
	ErrBusy    = errors.New("too many reports wait to be written")
	ErrClosed  = errors.New("the store is shutting down")
	ErrTimeout = errors.New("the store took too long to write")
)

// Writer records reports. All that arrive while one transaction is being
// synced to disk share the next one.
type Writer struct {
	path string
	file os.FileInfo                 // the database, as it was opened
	wal  atomic.Pointer[os.FileInfo] // its write-ahead log; nil while it is not open
	lock *lock
	log  *slog.Logger

	mu     sync.Mutex
	open   *batch
	enough int // how many entries make the open batch worth a transaction
	checks map[buildKey]int64
	closed bool

	wake chan struct{} // the open batch has its first entry
	ripe chan struct{} // the open batch has enough entries
	done chan struct{} // closed when the writing goroutine has ended

	trouble atomic.Pointer[error] // nil while writing works
}

// entry is a report that waits to be written.
type entry struct {
	build    buildKey
	instance [16]byte
	heap     *int64
}

// batch is what goes into one transaction. Its err may be read once done is closed.
type batch struct {
	entries []entry
	lost    map[int]error // entries that could not be recorded, by index
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

// NewWriter starts to record into the store. The error wraps [ErrInUse] while
// another process does.
func (s *Store) NewWriter(log *slog.Logger) (*Writer, error) {
	held, err := acquire(s.path)
	if err != nil {
		return nil, openError(s.path, err)
	}
	w := &Writer{
		path: s.path, lock: held, log: log,
		open: newBatch(nil), enough: 1, checks: map[buildKey]int64{},
		wake: make(chan struct{}, 1), ripe: make(chan struct{}, 1), done: make(chan struct{}),
	}
	reports := &reportLog{path: s.path}
	if w.file, err = os.Stat(s.path); err == nil {
		err = reports.connect()
	}
	w.watchLog(reports)
	if err != nil {
		reports.close()
		held.release()
		return nil, openError(s.path, err)
	}
	go w.run(reports)
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
	b.entries = append(b.entries, entry{buildKey{product, r.Version, from}, r.ID, r.HeapUsageBytes})
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

// Close writes what waits and stops. Later reports are refused.
func (w *Writer) Close() error {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	signal(w.wake)
	signal(w.ripe)
	<-w.done
	return w.lock.release()
}

// signal wakes whoever waits on c; one wake-up is kept for who comes later.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// run is the one goroutine that writes.
func (w *Writer) run(reports *reportLog) {
	defer close(w.done)
	defer reports.close()
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
		w.write(reports, b, checks)
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

// write commits a batch and wakes its callers. If there is nothing to commit,
// it tries whether a store that failed works again.
func (w *Writer) write(reports *reportLog, b *batch, checks map[buildKey]int64) {
	trial := len(b.entries)+len(checks) == 0
	if trial && w.trouble.Load() == nil {
		return
	}
	err := w.checkFile()
	if err == nil && trial {
		err = checkRoom(w.path)
	}
	if err == nil {
		err = reports.write(b, checks, time.Now())
		w.watchLog(reports)
	}
	if b.timer != nil {
		b.timer.Stop()
	}
	w.note(err) // first: who is told of an error finds the store not ready
	b.finish(err)
}
