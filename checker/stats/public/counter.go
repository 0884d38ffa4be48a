package public

import (
	"crypto/rand"
	"encoding/binary"
	"hash/maphash"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"relcheck/checker/stats/rollup"
)

const (
	// MaxNetworks is the maximum number of networks that a process counts per product and
	// day. Later ones are ignored.
	MaxNetworks = 100_000
	// maxTotal is the maximum number of networks of all products. If there are more than 50
	// products, the maximum of each is lower. A network takes about 20 bytes.
	maxTotal = 50 * MaxNetworks
)

// Counter counts networks in the memory of one process.
//
// What it counts of one network depends on no other network, except that a full set ignores
// later ones: a report counts before any rate limit, and whether or not it can be stored. The
// beginning and end of a run depend on the clock only. [Scale] relies on both.
type Counter struct {
	current atomic.Pointer[run]

	mu       sync.Mutex // held by Tick and Write
	finished []*run     // not written yet
}

// run counts the networks of one day. If the clock is set back, the same day has a second run,
// which like that of another process competes with the first one to supply the day.
type run struct {
	Run
	began time.Time // with the reading of the monotonic clock
	key   maphash.Seed
	limit int // networks per product

	mu       sync.Mutex
	products map[int64]*networks
}

// Run identifies the counts of a process on a day.
type Run struct {
	ID      int64 // random
	Day     rollup.Day
	Seconds int64 // how long it has counted
}

type networks struct {
	seen    map[uint64]struct{}
	cells   Cells
	changed bool // since the last Counter.Write
}

// NewCounter returns a counter that has begun to count. The function products returns the number
// of products.
func NewCounter(now time.Time, products func() int) *Counter {
	c := new(Counter)
	c.Tick(now, products)
	return c
}

// Tick measures how long the current run has counted, and begins another one if the day has
// changed. Reports never do so, because the length of a run must not depend on them.
func (c *Counter) Tick(now time.Time, products func() int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old, today := c.current.Load(), rollup.DayOf(now)
	if old != nil {
		old.Seconds = max(0, int64(now.Sub(old.began)/time.Second))
		if old.Day == today {
			return
		}
		c.finished = append(c.finished, old)
	}
	var id [8]byte
	rand.Read(id[:])
	c.current.Store(&run{Run: Run{ID: int64(binary.LittleEndian.Uint64(id[:]) >> 1), Day: today}, began: now,
		key: maphash.MakeSeed(), limit: min(MaxNetworks, maxTotal/max(1, products())), products: map[int64]*networks{}})
}

// Add counts the network of a client that has reported a product, unless it has done so on this
// day. The function of is called only then; it returns the cells that the report belongs to.
func (c *Counter) Add(product int64, client netip.Addr, of func() Cell) {
	r := c.current.Load()
	hash := r.hash(client)
	if r.counts(product, hash) {
		r.add(product, hash, of())
	}
}

// hash returns a hash of the network of a client: a /24 of IPv4 or a /48 of IPv6.
func (r *run) hash(client netip.Addr) uint64 {
	full := client.As16()
	network := [7]byte(full[:7])
	network[6] = 6
	if client.Is4() {
		network = [7]byte{full[12], full[13], full[14], 6: 4}
	}
	return maphash.Comparable(r.key, network)
}

// counts reports whether a network has yet to be counted.
func (r *run) counts(product int64, hash uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.products[product]
	if n == nil {
		return true
	}
	_, seen := n.seen[hash]
	return !seen && len(n.seen) < r.limit
}

func (r *run) add(product int64, hash uint64, cell Cell) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.products[product]
	if n == nil {
		n = &networks{seen: map[uint64]struct{}{}, cells: NewCells()}
		r.products[product] = n
	}
	if _, seen := n.seen[hash]; seen || len(n.seen) >= r.limit {
		return
	}
	n.seen[hash] = struct{}{}
	n.cells.add(cell)
	n.changed = true
}

// Write calls write with each run that has not been written since it ended, and the current
// one, with the counts of the products that have changed. After an error, a later call writes
// the same again.
func (c *Counter) Write(write func(r Run, changed map[int64]Cells) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.finished) > 0 {
		if err := c.finished[0].write(write); err != nil {
			return err
		}
		c.finished = c.finished[1:]
	}
	return c.current.Load().write(write)
}

func (r *run) write(write func(Run, map[int64]Cells) error) error {
	changed := r.takeChanged()
	err := write(r.Run, changed)
	if err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		for product := range changed {
			r.products[product].changed = true
		}
	}
	return err
}

func (r *run) takeChanged() map[int64]Cells {
	r.mu.Lock()
	defer r.mu.Unlock()
	changed := map[int64]Cells{}
	for product, n := range r.products {
		if n.changed {
			changed[product], n.changed = n.cells.clone(), false
		}
	}
	return changed
}
