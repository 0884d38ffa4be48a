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
	// maxRank is the largest value of a register, if all bits of a 32-bit hash that do not
	// choose the register are 0.
	maxRank = 32 - precision + 1
	// maxHashes is the maximum number of hashes that a set keeps: as many as need no more
	// memory than registers.
	maxHashes = numRegisters / 4
)

// InstancesError is the relative standard error of a count of more than 4,096 distinct
// instances. Smaller counts are exact, except for about one instance in a million.
const InstancesError = 0.0081 // 1.04 / sqrt(registers)

// Key makes hashes of instance IDs unpredictable. A client that knows it could choose IDs
// that count as many instances.
type Key [16]byte

// Hash returns the hash of an instance ID. The ID cannot be computed from it.
func (k Key) Hash(id uuid.UUID) uint64 {
	sum := sha256.Sum256(append(k[:], id[:]...))
	return binary.LittleEndian.Uint64(sum[:])
}

// InstanceSet counts distinct instances in at most 16 KB. A small set keeps the hashes of the
// instance IDs, of four bytes each. A large one is a HyperLogLog sketch of 2^14 registers.
// The state depends only on the instances that were added, and not on their order or
// on merges. The zero value is empty.
//
// It is designed for merging thousands of sets in the encoding of a store.
type InstanceSet struct {
	hashes    []uint32 // upper halves of the hashes, in order; nil if there are registers
	registers []uint8  // nil for a small set
}

func (s *InstanceSet) addHash(hash uint64) {
	h := uint32(hash >> 32)
	if s.registers != nil {
		s.raiseRegister(h)
		return
	}
	if i, found := slices.BinarySearch(s.hashes, h); !found {
		s.hashes = slices.Insert(s.hashes, i, h)
		s.limitHashes()
	}
}

func (s *InstanceSet) raiseRegister(h uint32) {
	i, rank := registerOf(h)
	s.registers[i] = max(s.registers[i], rank)
}

// registerOf returns the register of a hash and its rank. The upper bits choose the
// register. The rank is the number of leading zeros of the other bits, plus one.
func registerOf(h uint32) (register uint32, rank uint8) {
	return h >> (32 - precision), uint8(bits.LeadingZeros32(h<<precision|1<<(precision-1)) + 1)
}

// limitHashes changes to registers if there are too many hashes.
func (s *InstanceSet) limitHashes() {
	if len(s.hashes) <= maxHashes {
		return
	}
	hashes := s.hashes
	s.hashes, s.registers = nil, make([]uint8, numRegisters)
	for _, h := range hashes {
		s.raiseRegister(h)
	}
}

// Merge adds the instances of other.
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
		hashes := s.hashes
		s.hashes, s.registers = nil, slices.Clone(other.registers)
		for _, h := range hashes {
			s.raiseRegister(h)
		}
	default:
		registers := s.registers[:len(other.registers)]
		for i, r := range other.registers {
			registers[i] = max(registers[i], r)
		}
	}
}

// mergeSorted returns the union of two sorted lists.
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

// removeSorted returns the difference of two sorted lists. It overwrites a.
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

// Count returns the number of distinct instances, see [InstancesError].
func (s *InstanceSet) Count() int64 {
	if s.registers == nil {
		return int64(len(s.hashes))
	}
	var t distinctCounter
	t.addSet(s)
	return t.count()
}

// The first byte of an encoded set.
const (
	formatHashes    = 'f'
	formatRegisters = 'm'
)

// AppendBinary appends the encoded set. The encoding of an empty set is empty.
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

var errInstanceSet = errors.New("invalid set of instances")

// UnmarshalBinary decodes a set.
func (s *InstanceSet) UnmarshalBinary(b []byte) error {
	*s = InstanceSet{}
	hashes, registers, err := parseInstanceSet(b)
	if err != nil || len(b) == 0 {
		return err
	}
	if registers != nil {
		s.registers = slices.Clone(registers)
		return nil
	}
	s.hashes = make([]uint32, len(hashes)/4)
	for i := range s.hashes {
		s.hashes[i] = binary.LittleEndian.Uint32(hashes[4*i:])
		if i > 0 && s.hashes[i] <= s.hashes[i-1] {
			*s = InstanceSet{}
			return errInstanceSet
		}
	}
	return nil
}

// parseInstanceSet returns the part of an encoded set with either the hashes, of four bytes
// each, or the registers.
func parseInstanceSet(b []byte) (hashes, registers []byte, err error) {
	if len(b) == 0 {
		return nil, nil, nil
	}
	format, b := b[0], b[1:]
	switch {
	case format == formatHashes && len(b)%4 == 0 && 0 < len(b) && len(b) <= 4*maxHashes:
		return b, nil, nil
	case format == formatRegisters && len(b) == 1+numRegisters && b[0] == precision && slices.Max(b[1:]) <= maxRank:
		return nil, b[1:], nil
	case format == formatRegisters && len(b) > 1 && b[0] != precision:
		return nil, nil, fmt.Errorf("%w: it has 2^%d registers instead of 2^%d", errInstanceSet, b[0], precision)
	}
	return nil, nil, errInstanceSet
}
