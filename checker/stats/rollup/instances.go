package rollup

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"slices"

	"github.com/google/uuid"
)

const (
	// precision is the binary logarithm of the number of registers.
	precision    = 14
	numRegisters = 1 << precision
	// maxRank is the largest value of a register: of a hash's 32 bits, those that
	// do not choose the register may all be 0.
	maxRank = 32 - precision + 1
	// maxHashes is how many ids are kept as they are: as many as take no more place
	// than the registers would.
	maxHashes = numRegisters / 4
)

// InstancesError is the standard error of a count of distinct ids, relative, once they
// are more than 4,096. Up to then the count is exact, but for one in a million.
const InstancesError = 0.0081 // 1.04 / sqrt(registers)

// Key makes what ids are counted by unpredictable: who knew it could make ids
// that count for many.
type Key [16]byte

// Hash returns what is kept of an id: from it alone, the id cannot be told.
func (k Key) Hash(id uuid.UUID) uint64 {
	sum := sha256.Sum256(append(k[:], id[:]...))
	return binary.LittleEndian.Uint64(sum[:])
}

// Instances counts distinct ids, in four bytes an id as long as they are few and 16 KB
// at most. Many are counted by a HyperLogLog sketch of 2^14 registers. Its state
// depends only on which ids were added, however that was done. No id can be read
// from it. The zero value has none.
//
// It is written for being merged by the thousands, out of the bytes in a store.
type InstanceSet struct {
	hashes    []uint32 // the upper halves of the hashes, in order; unused when there are registers
	registers []uint8  // the registers, or nil
}

// Add counts an id, if it was not counted before.
func (s *InstanceSet) Add(k Key, id uuid.UUID) { s.addHash(k.Hash(id)) }

func (s *InstanceSet) addHash(hash uint64) {
	h := uint32(hash >> 32)
	if s.registers != nil {
		s.raiseRegister(h)
		return
	}
	if i, there := slices.BinarySearch(s.hashes, h); !there {
		s.hashes = slices.Insert(s.hashes, i, h)
		s.limitHashes()
	}
}

func (s *InstanceSet) raiseRegister(h uint32) {
	i, rank := registerOf(h)
	s.registers[i] = max(s.registers[i], rank)
}

// registerOf returns which register a hash belongs to, and what it sets it to at least:
// the upper bits choose which, and what counts is how many of the others are 0
// before the first that is 1.
func registerOf(h uint32) (register uint32, rank uint8) {
	return h >> (32 - precision), uint8(bits.LeadingZeros32(h<<precision|1<<(precision-1)) + 1)
}

// limit goes over to registers once there are too many ids to keep.
func (s *InstanceSet) limitHashes() {
	if len(s.hashes) <= maxHashes {
		return
	}
	few := s.hashes
	s.hashes, s.registers = nil, make([]uint8, numRegisters)
	for _, h := range few {
		s.raiseRegister(h)
	}
}

// Merge adds all ids of other.
func (s *InstanceSet) Merge(other *InstanceSet) {
	switch {
	case other.registers == nil && s.registers == nil:
		s.hashes = mergeSorted(s.hashes, other.hashes)
		s.limitHashes()
	case other.registers == nil:
		for _, h := range other.hashes {
			s.raiseRegister(h)
		}
	case s.registers == nil:
		few := s.hashes
		s.hashes, s.registers = nil, slices.Clone(other.registers)
		for _, h := range few {
			s.raiseRegister(h)
		}
	default:
		many := s.registers[:len(other.registers)]
		for i, r := range other.registers {
			many[i] = max(many[i], r)
		}
	}
}

// mergeSorted returns all numbers of two lists in order, each once.
func mergeSorted(a, b []uint32) []uint32 {
	all := make([]uint32, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		x, y := a[0], b[0]
		all = append(all, min(x, y))
		if x <= y {
			a = a[1:]
		}
		if y <= x {
			b = b[1:]
		}
	}
	return append(append(all, a...), b...)
}

// removeSorted returns the numbers of one list in order that another does not have.
func removeSorted(a, b []uint32) []uint32 {
	kept := a[:0]
	for _, x := range a {
		for len(b) > 0 && b[0] < x {
			b = b[1:]
		}
		if len(b) == 0 || b[0] != x {
			kept = append(kept, x)
		}
	}
	return kept
}

// CountPeriod returns how many distinct ids were added, see [InstancesError].
func (s *InstanceSet) Count() int64 {
	if s.registers == nil {
		return int64(len(s.hashes))
	}
	var t distinctCounter
	t.addSet(s)
	return t.count()
}

// The first byte of the form of some ids.
const (
	formatHashes    = 'f'
	formatRegisters = 'm'
)

// AppendBinary appends a form of the ids that UnmarshalBinary reads. That of none
// has no bytes.
func (s *InstanceSet) AppendBinary(b []byte) ([]byte, error) {
	if s.registers != nil {
		return append(append(b, formatRegisters, precision), s.registers...), nil
	}
	if len(s.hashes) > 0 {
		b = append(b, formatHashes)
	}
	for _, h := range s.hashes {
		b = binary.LittleEndian.AppendUint32(b, h)
	}
	return b, nil
}

var errInstanceSet = errors.New("these are no ids that were counted")

// UnmarshalBinary replaces what was counted by what a form of it holds.
func (s *InstanceSet) UnmarshalBinary(b []byte) error {
	*s = InstanceSet{}
	few, many, err := parseInstanceSet(b)
	switch {
	case err != nil || len(b) == 0:
		return err
	case many == nil:
		return s.decodeHashes(few)
	}
	return s.decodeRegisters(many)
}

// parseInstanceSet finds in a form either some ids, of four bytes each, or the registers.
func parseInstanceSet(b []byte) (few, many []byte, err error) {
	if len(b) == 0 {
		return nil, nil, nil
	}
	form, b := b[0], b[1:]
	switch {
	case form == formatHashes && len(b)%4 == 0 && 0 < len(b) && len(b) <= 4*maxHashes:
		return b, nil, nil
	case form == formatRegisters && len(b) == 1+numRegisters && b[0] == precision:
		return nil, b[1:], nil
	case form == formatRegisters && len(b) > 1:
		return nil, nil, fmt.Errorf("%w: they have 2^%d registers, not 2^%d", errInstanceSet, b[0], precision)
	}
	return nil, nil, errInstanceSet
}

func (s *InstanceSet) decodeHashes(b []byte) error {
	few := make([]uint32, len(b)/4)
	for i := range few {
		few[i] = binary.LittleEndian.Uint32(b[4*i:])
		if i > 0 && few[i] <= few[i-1] {
			return errInstanceSet
		}
	}
	s.hashes = few
	return nil
}

func (s *InstanceSet) decodeRegisters(b []byte) error {
	if slices.Max(b) > maxRank {
		return errInstanceSet
	}
	s.registers = slices.Clone(b)
	return nil
}
