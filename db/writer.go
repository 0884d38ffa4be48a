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
	"relcheck/checker/stats/rollup"
)

const (
	// maxQueue is the maximum number of reports that wait for one commit.
	maxQueue = 8192
	// writeTimeout is how long a caller waits for the commit of its report. A caller that
	// commits the batch itself waits as long as the disk does.
	writeTimeout = 10 * time.Second
	// linger is how long a batch waits at most for callers that are about to join it.
	linger = time.Millisecond
	// tick is the interval at which counted checks are written and a failed store is
	// probed.
	tick = time.Second
	// logPause is how long an error that follows another one is not logged: errors of
	// connections differ by the port they came from.
	logPause = 10 * time.Second
)

// Errors of [Writer.Record]. After any other error, the report may not have been recorded
// either.
var (
	ErrBusy    = error(busy{})
	ErrClosed  = errors.New("the store is shutting down")
	ErrTimeout = errors.New("the store took too long to write")
)

// busy is the error of a report that is refused because too many are waiting.
type busy struct{}

func (busy) Error() string { return "too many reports wait to be written" }
func (busy) Busy() bool    { return true }

// Writer records reports. All reports that arrive while a transaction is being synced to
// disk share the next one. The first caller of a batch commits it if no commit is
// running: waking another goroutine would add a sixth to the latency.
type Writer struct {
	name string
	log  *slog.Logger
	stop chan struct{} // ends the loop that runs every tick
	end  func() error  // closes batch, the first time

	checkFiles func() error // of the engine, which does not wait

	mu     sync.Mutex
	open   *batch // replaced only while writeMu is held
	checks map[buildKey]int64
	closed bool

	writeMu     sync.Mutex // held during a commit; guards the fields below
	batch       batchWriter
	batchClosed bool
	lastSize    int     // number of entries of the last batch
	spare       []entry // for a later batch

	committed atomic.Pointer[func(time.Duration)]
	others    atomic.Int64

	writeErr   atomic.Pointer[error] // nil while writing works
	corruptErr atomic.Pointer[error] // result of the integrity check, or nil
	loggedErr  error                 // the writeErr that was logged last
	loggedAt   time.Time
}

// batchWriter is the part of a Writer that differs between the engines. Its methods
// are called with writeMu held.
type batchWriter interface {
	// write records a batch and adds the checks in one transaction: after an error,
	// nothing of it may be considered recorded. Entries of products that do not exist
	// get an error of their own in the batch.
	write(b *batch, checks map[buildKey]int64, now time.Time) error
	// probe returns an error if write would fail. After a failure, it writes to find out.
	probe(failed bool) error
	close() error
}

// NewWriter starts recording into the store. The error wraps [ErrInUse] while another
// process records, if the store allows only one.
func (s *Store) NewWriter(log *slog.Logger) (*Writer, error) {
	r, err := s.newBatchWriter(s)
	if err != nil {
		return nil, err
	}
	w := &Writer{name: s.name, log: log, checkFiles: s.checkFiles, batch: r, open: newBatch(nil), checks: map[buildKey]int64{}, stop: make(chan struct{})}
	w.end = sync.OnceValue(w.finish)
	go w.tick()
	return w, nil
}

// Record stores a report and returns, once it is synced to disk, the day under which it was
// counted. It returns early if ctx
// ends, unless this caller commits the batch; the report is recorded nevertheless, because
// others share its transaction.
func (w *Writer) Record(ctx context.Context, product string, from checker.Platform, r *checker.Report) (rollup.Day, error) {
	w.mu.Lock()
	b, i := w.open, len(w.open.entries)
	if w.closed || i >= maxQueue {
		defer w.mu.Unlock()
		if w.closed {
			return 0, ErrClosed
		}
		return 0, ErrBusy
	}
	if b.timedOut() {
		defer w.mu.Unlock()
		return 0, ErrTimeout
	}
	b.entries = append(b.entries, newEntry(product, from, r))
	if i == 0 {
		b.timer = time.AfterFunc(writeTimeout, func() { b.finish(ErrTimeout) })
	}
	w.mu.Unlock()
	if i == 0 {
		w.startCommit(b)
	}
	select {
	case <-b.done:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	if b.err != nil {
		return 0, b.err
	}
	return b.day, b.entryErrs[i]
}

// Count adds one to the checks of a build. It is written within about a second, on a
// best-effort basis.
func (w *Writer) Count(product, version string, from checker.Platform) {
	key := buildKey{product, version, from}
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.checks[key]; ok || len(w.checks) < maxQueue {
		w.checks[key]++
	}
}

// Waiting returns the number of reports that wait for the next transaction.
func (w *Writer) Waiting() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.open.entries)
}

// MaxWaiting returns how many reports may wait; more are refused with [ErrBusy].
func (w *Writer) MaxWaiting() int { return maxQueue }

// Others returns the number of reports and checks that were counted under the version
// "other" because there were too many unreleased versions on their day.
func (w *Writer) Others() int64 { return w.others.Load() }

// OnCommit calls f after each transaction with reports, with the time that it took until
// success or failure. Callers wait meanwhile, so f must be fast.
func (w *Writer) OnCommit(f func(took time.Duration)) { w.committed.Store(&f) }

// Close writes the waiting reports and stops. Later reports are refused.
func (w *Writer) Close() error { return w.end() }

func (w *Writer) finish() error {
	close(w.stop)
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.writeMu.Lock()
	defer w.writeMu.Unlock()
	w.writeAll()
	w.batchClosed = true
	return w.batch.close()
}

// tick writes counted checks and probes a failed store until the writer is closed.
func (w *Writer) tick() {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-w.stop:
			return
		case <-ticker.C:
		}
		w.writeMu.Lock()
		if !w.batchClosed && !w.writeAll() {
			w.setErr(w.batch.probe(w.writeErr.Load() != nil))
		}
		w.writeMu.Unlock()
	}
}

// writeAll writes the waiting reports and checks, and reports whether there were any.
func (w *Writer) writeAll() bool {
	b, checks := w.open, w.swapChecks()
	if w.swapBatch(b); len(b.entries)+len(checks) == 0 {
		return false
	}
	w.write(b, checks)
	return true
}

// startCommit makes sure that a batch is committed. It is called with its first entry.
func (w *Writer) startCommit(b *batch) {
	if w.writeMu.TryLock() {
		w.commit(b)
		return
	}
	go func() {
		w.writeMu.Lock()
		w.commit(b)
	}()
}

// commit writes a batch, unless that was done, and unlocks writeMu.
func (w *Writer) commit(b *batch) {
	defer w.writeMu.Unlock()
	w.awaitMore(b)
	if w.swapBatch(b) {
		w.write(b, nil)
	}
}

// awaitMore yields to goroutines that are about to join the batch until it is half as
// large as the last one: a transaction costs as much as many rows, and while it waits for
// the disk, the callers of the other half are served. If callers come one at a time, it
// returns at once.
func (w *Writer) awaitMore(b *batch) {
	for n, end := 0, time.Now().Add(linger); ; runtime.Gosched() {
		before := n
		w.mu.Lock()
		n = len(b.entries)
		w.mu.Unlock()
		if n == before || 2*n >= w.lastSize || time.Now().After(end) {
			return
		}
	}
}

// swapBatch replaces the open batch if it is b.
func (w *Writer) swapBatch(b *batch) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if b != w.open {
		return false
	}
	w.open = newBatch(w.spare[:0])
	w.lastSize, w.spare = len(b.entries), b.entries
	return true
}

func (w *Writer) swapChecks() map[buildKey]int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	taken := w.checks
	if len(taken) == 0 {
		return nil // and not the map, to which others add
	}
	w.checks = make(map[buildKey]int64)
	return taken
}

// write commits a batch and wakes its callers.
func (w *Writer) write(b *batch, checks map[buildKey]int64) {
	now := time.Now()
	b.day = rollup.DayOf(now)
	err := w.batch.write(b, checks, now)
	if f := w.committed.Load(); f != nil && len(b.entries) > 0 {
		(*f)(time.Since(now))
	}
	if b.timer != nil {
		b.timer.Stop()
	}
	if err == nil {
		w.others.Add(b.others)
	}
	w.setErr(err) // first, so that a caller with an error finds the store not ready
	b.finish(err)
	clear(b.entries) // releases what the entries point to
}

// Ready returns nil if reports can be recorded, and otherwise the reason.
func (w *Writer) Ready() error {
	if err := w.checkFiles(); err != nil {
		return err
	}
	if p := w.corruptErr.Load(); p != nil {
		return *p
	}
	if p := w.writeErr.Load(); p != nil {
		return *p
	}
	return nil
}

// setErr stores whether writing works, and logs changes.
func (w *Writer) setErr(err error) {
	before := w.writeErr.Load()
	switch {
	case err == nil && before != nil:
		w.writeErr.Store(nil)
		w.log.Info("recording again", "db", w.name)
	case err != nil:
		w.writeErr.Store(&err)
	}
	if err != nil && (before == nil || !alike(w.loggedErr, err) && time.Since(w.loggedAt) >= logPause) {
		w.loggedErr, w.loggedAt = err, time.Now()
		w.log.Error("cannot record reports", "db", w.name, "err", err)
	}
}

// alike reports whether two errors are the same for the log.
func alike(a, b error) bool {
	return a.Error() == b.Error() || errors.As(a, new(full)) && errors.As(b, new(full))
}

type entry struct {
	build    buildKey
	instance [16]byte
	heap     *int64
	last     checker.Last
	at       int64 // seconds since 1970-01-01 UTC, or 0 for the time of writing
}

func newEntry(product string, from checker.Platform, r *checker.Report) entry {
	return entry{build: buildKey{product, r.Version, from}, instance: r.ID, heap: r.HeapUsageBytes, last: r.Last}
}

// batch is what is written in one transaction. Its err may be read once done is closed.
type batch struct {
	entries   []entry
	day       rollup.Day    // of writing
	entryErrs map[int]error // errors of single entries, by index
	others    int64         // number of entries and checks counted as "other"
	done      chan struct{}
	once      sync.Once
	err       error
	timer     *time.Timer
}

func newBatch(entries []entry) *batch {
	return &batch{entries: entries, done: make(chan struct{})}
}

// finish wakes all callers of the batch. Only the first call has an effect.
func (b *batch) finish(err error) {
	b.once.Do(func() {
		b.err = err
		close(b.done)
	})
}

// timedOut reports whether the callers gave up before the batch was committed. It is
// committed nevertheless, but accepts no more entries.
func (b *batch) timedOut() bool {
	select {
	case <-b.done:
		return true
	default:
		return false
	}
}

func (b *batch) setEntryErr(i int, err error) {
	if b.entryErrs == nil {
		b.entryErrs = map[int]error{}
	}
	b.entryErrs[i] = err
}
