package stats

import (
	"encoding/binary"
	"math"
	"slices"
)

// tally counts the distinct ids of many sets, and is what they come to when they
// are merged, but for much less work: it keeps them out of order, and counts on
// the way. The zero value has none.
type tally struct {
	few  *[registers]uint32 // a hash table of numbers that are not 0; each is at its place or some way behind it
	used []uint32           // the places of the table that are
	zero bool               // whether 0 was among them
	n    int                // how many they are

	many  *[registers]uint8 // once they are too many
	spare *[registers]uint8 // all 0, for the next time
	of    [maxRank + 1]int  // how many registers have each value
}

// reset forgets all ids, and keeps the memory.
func (t *tally) reset() {
	for _, i := range t.used {
		t.few[i] = 0
	}
	spare := t.spare
	if t.many != nil {
		spare = t.many
		clear(spare[:])
	}
	*t = tally{few: t.few, used: t.used[:0], spare: spare}
}

func (t *tally) add(s *IDs) {
	if s.many != nil {
		t.addMany(s.many)
		return
	}
	for _, h := range s.few {
		t.insert(h)
	}
}

func (t *tally) addMany(many []uint8) {
	if t.many == nil {
		t.bound()
	}
	for i, rank := range many {
		t.raise(uint32(i), rank)
	}
}

// addFew adds ids of four bytes each, which have to be in order.
func (t *tally) addFew(b []byte) error {
	last := int64(-1)
	for ; len(b) >= 4 && t.many == nil; b = b[4:] {
		h := binary.LittleEndian.Uint32(b)
		if int64(h) <= last {
			return errIDs
		}
		last = int64(h)
		t.insert(h)
	}
	for many := t.many; len(b) >= 4; b = b[4:] {
		h := binary.LittleEndian.Uint32(b)
		if int64(h) <= last {
			return errIDs
		}
		last = int64(h)
		if i, rank := place(h); rank > many[i] {
			t.raise(i, rank)
		}
	}
	return nil
}

// addForm adds ids in the form of [IDs.AppendBinary].
func (t *tally) addForm(b []byte) error {
	few, many, err := openIDs(b)
	switch {
	case err != nil:
		return err
	case many == nil:
		return t.addFew(few)
	case slices.Max(many) > maxRank:
		return errIDs
	}
	t.addMany(many)
	return nil
}

func (t *tally) insert(h uint32) {
	if t.many != nil {
		t.raise(place(h))
		return
	}
	if t.few == nil {
		t.few = new([registers]uint32)
	}
	if h == 0 {
		if !t.zero {
			t.zero = true
			t.n++
		}
		return
	}
	i := h >> (32 - precision)
	for t.few[i] != 0 {
		if t.few[i] == h {
			return
		}
		i = (i + 1) % registers
	}
	t.few[i] = h
	t.used = append(t.used, i)
	if t.n++; t.n > maxFew {
		t.bound()
	}
}

// bound goes over to registers.
func (t *tally) bound() {
	t.many, t.spare = t.spare, nil
	if t.many == nil {
		t.many = new([registers]uint8)
	}
	t.of[0] = registers
	for _, i := range t.used {
		t.raise(place(t.few[i]))
	}
	if t.zero {
		t.raise(place(0))
	}
}

func (t *tally) raise(register uint32, rank uint8) {
	if is := t.many[register]; rank > is {
		t.many[register] = rank
		t.of[is]--
		t.of[rank]++
	}
}

func (t *tally) count() int64 {
	if t.many == nil {
		return int64(t.n)
	}
	return int64(math.Round(estimate(t.of)))
}

// estimate is Ertl's improved raw estimator, which needs no correction for small or
// large numbers (New cardinality estimation algorithms for HyperLogLog sketches,
// arXiv 1702.01284, algorithm 6).
func estimate(of [maxRank + 1]int) float64 {
	const m = registers
	z := m * tau(1-float64(of[maxRank])/m)
	for k := maxRank - 1; k > 0; k-- {
		z = (z + float64(of[k])) / 2
	}
	z += m * sigma(float64(of[0])/m)
	return m / (2 * math.Ln2) * m / z
}

func sigma(x float64) float64 {
	z, before := x, -1.0
	for y := 1.0; z != before; y *= 2 {
		x *= x
		before = z
		z += x * y
	}
	return z
}

func tau(x float64) float64 {
	if x == 0 || x == 1 {
		return 0
	}
	z, before := 1-x, -1.0
	for y := 0.5; z != before; y /= 2 {
		x = math.Sqrt(x)
		before = z
		z -= (1 - x) * (1 - x) * y
	}
	return z / 3
}
