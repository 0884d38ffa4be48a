package db

import (
	"maps"
	"math"
	"sync"

	"relcheck/checker/stats"
)

// foldMemory is what the steps of folding leave for later ones, which need not
// read it again then.
type foldMemory struct {
	mu     sync.Mutex
	passed map[nodeOf]int64
	last   remembered
}

// nodeOf is the part of a product in a node's log.
type nodeOf struct{ product, node int64 }

// looked returns how far in the log there is nothing of a product beyond its mark.
// Where the log lies together as a whole, one that is not reported of has it all to
// pass.
func (m *foldMemory) looked(n nodeOf) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.passed[n]
}

func (m *foldMemory) noteLooked(n nodeOf, seq int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.passed == nil {
		m.passed = map[nodeOf]int64{}
	}
	m.passed[n] = seq
}

// remembered is what is known of the lives of a product's ids after a step. It is
// good for the next one only, if nobody else makes that.
type remembered struct {
	product, step int64
	lives         map[uint64]stats.Life // some of those that are stored
	most          int                   // how many are stored, or more
}

// take returns what the step before has left, if that was the last one.
func (m *foldMemory) take(product, step int64) remembered {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.last
	m.last = remembered{}
	if r.product != product || r.step != step {
		r = remembered{most: math.MaxInt32 / 2}
	}
	if r.lives == nil {
		r.lives = map[uint64]stats.Life{}
	}
	return r
}

// keep has the next step know what this one has stored.
func (m *foldMemory) keep(f *folding) {
	left := f.left
	if left.lives != nil {
		maps.Copy(left.lives, f.Changed)
	}
	if len(left.lives) > maxLives {
		left.lives = nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last = left
}
