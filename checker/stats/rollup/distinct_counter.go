package rollup

import (
	"encoding/binary"
	"math"
)

// distinctCounter counts the distinct instances of many sets. The result is that of
// [InstanceSet.Merge], but with much less work, because it keeps hashes unsorted and counts
// incrementally. The zero value is empty.
type distinctCounter struct {
	hashes    *[numRegisters]uint32 // hash table with linear probing; 0 is an empty slot
	usedSlots []uint32              // indexes of used slots
	hasZero   bool                  // the hash 0 was added
	n         int                   // number of hashes

	registers      *[numRegisters]uint8 // nil while there are few hashes
	spareRegisters *[numRegisters]uint8 // all 0, kept for reuse
	rankCounts     [maxRank + 1]int     // number of registers by value
}

// reset removes all instances and keeps the memory.
func (t *distinctCounter) reset() {
	for _, i := range t.usedSlots {
		t.hashes[i] = 0
	}
	spare := t.spareRegisters
	if t.registers != nil {
		spare = t.registers
		clear(spare[:])
	}
	*t = distinctCounter{hashes: t.hashes, usedSlots: t.usedSlots[:0], spareRegisters: spare}
}

func (t *distinctCounter) addSet(s *InstanceSet) {
	if s.registers != nil {
		t.addRegisters(s.registers)
		return
	}
	for _, h := range s.hashes {
		t.addHash(h)
	}
}

func (t *distinctCounter) addRegisters(registers []uint8) {
	if t.registers == nil {
		t.useRegisters()
	}
	for i, rank := range registers {
		t.raiseRegister(uint32(i), rank)
	}
}

// addHashes adds hashes of four bytes each. It returns an error if they are not in order.
func (t *distinctCounter) addHashes(b []byte) error {
	last := int64(-1)
	for ; len(b) >= 4 && t.registers == nil; b = b[4:] {
		h := binary.LittleEndian.Uint32(b)
		if int64(h) <= last {
			return errInstanceSet
		}
		last = int64(h)
		t.addHash(h)
	}
	for registers := t.registers; len(b) >= 4; b = b[4:] {
		h := binary.LittleEndian.Uint32(b)
		if int64(h) <= last {
			return errInstanceSet
		}
		last = int64(h)
		if i, rank := registerOf(h); rank > registers[i] {
			t.raiseRegister(i, rank)
		}
	}
	return nil
}

// addEncoded adds a set encoded by [InstanceSet.AppendBinary].
func (t *distinctCounter) addEncoded(b []byte) error {
	hashes, registers, err := parseInstanceSet(b)
	if err != nil {
		return err
	}
	if registers == nil {
		return t.addHashes(hashes)
	}
	t.addRegisters(registers)
	return nil
}

func (t *distinctCounter) addHash(h uint32) {
	if t.registers != nil {
		t.raiseRegister(registerOf(h))
		return
	}
	if t.hashes == nil {
		t.hashes = new([numRegisters]uint32)
	}
	if h == 0 {
		if !t.hasZero {
			t.hasZero = true
			t.n++
		}
		return
	}
	i := h >> (32 - precision)
	for t.hashes[i] != 0 {
		if t.hashes[i] == h {
			return
		}
		i = (i + 1) % numRegisters
	}
	t.hashes[i] = h
	t.usedSlots = append(t.usedSlots, i)
	if t.n++; t.n > maxHashes {
		t.useRegisters()
	}
}

// useRegisters changes from hashes to registers.
func (t *distinctCounter) useRegisters() {
	t.registers, t.spareRegisters = t.spareRegisters, nil
	if t.registers == nil {
		t.registers = new([numRegisters]uint8)
	}
	t.rankCounts[0] = numRegisters
	for _, i := range t.usedSlots {
		t.raiseRegister(registerOf(t.hashes[i]))
	}
	if t.hasZero {
		t.raiseRegister(registerOf(0))
	}
}

func (t *distinctCounter) raiseRegister(register uint32, rank uint8) {
	if old := t.registers[register]; rank > old {
		t.registers[register] = rank
		t.rankCounts[old]--
		t.rankCounts[rank]++
	}
}

func (t *distinctCounter) count() int64 {
	if t.registers == nil {
		return int64(t.n)
	}
	return int64(math.Round(estimate(t.rankCounts)))
}

// estimate returns the number of instances by Ertl's improved raw estimator, which needs no correction for small or
// large numbers (New cardinality estimation algorithms for HyperLogLog sketches,
// arXiv 1702.01284, algorithm 6).
func estimate(rankCounts [maxRank + 1]int) float64 {
	const m = numRegisters
	z := m * tau(1-float64(rankCounts[maxRank])/m)
	for k := maxRank - 1; k > 0; k-- {
		z = (z + float64(rankCounts[k])) / 2
	}
	z += m * sigma(float64(rankCounts[0])/m)
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
