package db

import (
	"maps"
	"math"
	"sync"

	"relcheck/checker/stats/rollup"
)

// foldMemory is what the steps of folding leave for later ones, which need not
// read it again then.
type foldCache struct {
	mu     sync.Mutex
	passed passed
	last   savedLives
}

// savedLives is what is known of the lives of a product's ids after a step. It is
// good for the next one only, if nobody else makes that.
type savedLives struct {
	product, step int64
	lives         map[uint64]rollup.Lifetime // some of those that are stored
	most          int                        // how many are stored, or more
}

// take returns what the step before has left, if that was the last one.
func (m *foldCache) take(product, step int64) savedLives {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.last
	m.last = savedLives{}
	if r.product != product || r.step != step {
		r = savedLives{most: math.MaxInt32 / 2}
	}
	if r.lives == nil {
		r.lives = map[uint64]rollup.Lifetime{}
	}
	return r
}

// keepMark has the next step know what this one has stored.
func (m *foldCache) keep(f *folding) {
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
