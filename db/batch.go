package db

import (
	"sync"
	"time"
)

type entry struct {
	build    buildKey
	instance [16]byte
	heap     *int64
	at       int64 // seconds since 1970-01-01 UTC, or 0 for the time of writing
}

// batch is what is written in one transaction. Its err may be read once done is closed.
type batch struct {
	entries   []entry
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
