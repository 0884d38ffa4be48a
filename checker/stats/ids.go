package stats

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
	precision = 14
	registers = 1 << precision
	// maxRank is the largest value of a register: of a hash's 32 bits, those that
	// do not choose the register may all be 0.
	maxRank = 32 - precision + 1
	// maxFew is how many ids are kept as they are: as many as take no more place
	// than the registers would.
	maxFew = registers / 4
)

// IDsError is the standard error of a count of distinct ids, relative, once they
// are more than 4,096. Up to then the count is exact, but for one in a million.
const IDsError = 0.0081 // 1.04 / sqrt(registers)

// Key makes what ids are counted by unpredictable: who knew it could make ids
// that count for many.
type Key [16]byte

// Hash returns what is kept of an id: from it alone, the id cannot be told.
func (k Key) Hash(id uuid.UUID) uint64 {
	sum := sha256.Sum256(append(k[:], id[:]...))
	return binary.LittleEndian.Uint64(sum[:])
}

// IDs counts distinct ids, in four bytes an id as long as they are few and 16 KB
// at most. Many are counted by a HyperLogLog sketch of 2^14 registers. Its state
// depends only on which ids were added, however that was done. No id can be read
// from it. The zero value has none.
//
// It is written for being merged by the thousands, out of the bytes in a store.
type IDs struct {
	few  []uint32 // the upper halves of the hashes, in order; unused when there are registers
	many []uint8  // the registers, or nil
}

// Add counts an id, if it was not counted before.
func (s *IDs) Add(k Key, id uuid.UUID) { s.add(k.Hash(id)) }

func (s *IDs) add(hash uint64) {
	h := uint32(hash >> 32)
	if s.many != nil {
		s.register(h)
		return
	}
	if i, there := slices.BinarySearch(s.few, h); !there {
		s.few = slices.Insert(s.few, i, h)
		s.bound()
	}
}

func (s *IDs) register(h uint32) {
	i, rank := place(h)
	s.many[i] = max(s.many[i], rank)
}

// place returns which register a hash belongs to, and what it sets it to at least:
// the upper bits choose which, and what counts is how many of the others are 0
// before the first that is 1.
func place(h uint32) (register uint32, rank uint8) {
	return h >> (32 - precision), uint8(bits.LeadingZeros32(h<<precision|1<<(precision-1)) + 1)
}

// bound goes over to registers once there are too many ids to keep.
func (s *IDs) bound() {
	if len(s.few) <= maxFew {
		return
	}
	few := s.few
	s.few, s.many = nil, make([]uint8, registers)
	for _, h := range few {
		s.register(h)
	}
}

// Merge adds all ids of other.
func (s *IDs) Merge(other *IDs) {
	switch {
	case other.many == nil && s.many == nil:
		s.few = merged(s.few, other.few)
		s.bound()
	case other.many == nil:
		for _, h := range other.few {
			s.register(h)
		}
	case s.many == nil:
		few := s.few
		s.few, s.many = nil, slices.Clone(other.many)
		for _, h := range few {
			s.register(h)
		}
	default:
		many := s.many[:len(other.many)]
		for i, r := range other.many {
			many[i] = max(many[i], r)
		}
	}
}

// merged returns all numbers of two lists in order, each once.
func merged(a, b []uint32) []uint32 {
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

// without returns the numbers of one list in order that another does not have.
func without(a, b []uint32) []uint32 {
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

// Count returns how many distinct ids were added, see [IDsError].
func (s *IDs) Count() int64 {
	if s.many == nil {
		return int64(len(s.few))
	}
	var t tally
	t.add(s)
	return t.count()
}

// The first byte of the form of some ids.
const (
	formFew  = 'f'
	formMany = 'm'
)

// AppendBinary appends a form of the ids that UnmarshalBinary reads. That of none
// has no bytes.
func (s *IDs) AppendBinary(b []byte) ([]byte, error) {
	if s.many != nil {
		return append(append(b, formMany, precision), s.many...), nil
	}
	if len(s.few) > 0 {
		b = append(b, formFew)
	}
	for _, h := range s.few {
		b = binary.LittleEndian.AppendUint32(b, h)
	}
	return b, nil
}

var errIDs = errors.New("these are no ids that were counted")

// UnmarshalBinary replaces what was counted by what a form of it holds.
func (s *IDs) UnmarshalBinary(b []byte) error {
	*s = IDs{}
	few, many, err := openIDs(b)
	switch {
	case err != nil || len(b) == 0:
		return err
	case many == nil:
		return s.readFew(few)
	}
	return s.readMany(many)
}

// openIDs finds in a form either some ids, of four bytes each, or the registers.
func openIDs(b []byte) (few, many []byte, err error) {
	if len(b) == 0 {
		return nil, nil, nil
	}
	form, b := b[0], b[1:]
	switch {
	case form == formFew && len(b)%4 == 0 && 0 < len(b) && len(b) <= 4*maxFew:
		return b, nil, nil
	case form == formMany && len(b) == 1+registers && b[0] == precision:
		return nil, b[1:], nil
	case form == formMany && len(b) > 1:
		return nil, nil, fmt.Errorf("%w: they have 2^%d registers, not 2^%d", errIDs, b[0], precision)
	}
	return nil, nil, errIDs
}

func (s *IDs) readFew(b []byte) error {
	few := make([]uint32, len(b)/4)
	for i := range few {
		few[i] = binary.LittleEndian.Uint32(b[4*i:])
		if i > 0 && few[i] <= few[i-1] {
			return errIDs
		}
	}
	s.few = few
	return nil
}

func (s *IDs) readMany(b []byte) error {
	if slices.Max(b) > maxRank {
		return errIDs
	}
	s.many = slices.Clone(b)
	return nil
}
