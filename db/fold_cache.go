package db

import (
	"maps"
	"math"
	"sync"

	"relcheck/checker/stats/rollup"
)

// foldCache keeps results of a step that later steps would otherwise read again.
type foldCache struct {
	mu       sync.Mutex // held by Fold
	progress foldProgress
	last     savedLives
}

// savedLives are lifetimes of a product's instances after a step. They are valid for the
// next step only, and not if another process makes that.
type savedLives struct {
	product, step int64
	lives         map[uint64]rollup.Lifetime // some of the stored ones
	most          int                        // upper bound of the number of stored ones
}

// take returns the lifetimes that a step has kept, if no other step was made since.
func (m *foldCache) take(product, step int64) savedLives {
	last := m.last
	m.last = savedLives{}
	if last.product != product || last.step != step {
		last = savedLives{most: math.MaxInt32 / 2}
	}
	if last.lives == nil {
		last.lives = map[uint64]rollup.Lifetime{}
	}
	return last
}

// keep keeps the lifetimes of a committed step for the next one.
func (m *foldCache) keep(f *foldStep) {
	left := f.left
	if left.lives != nil {
		maps.Copy(left.lives, f.Changed)
	}
	if len(left.lives) > maxLives {
		left.lives = nil
	}
	m.last = left
}
