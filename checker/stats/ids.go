package stats

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/axiomhq/hyperloglog"
	"github.com/google/uuid"
)

// precision is the binary logarithm of the number of registers.
const precision = 14

// IDsError is the standard error of a count of distinct ids, relative, once they
// are many. Up to some thousands the count is exact but for one or two.
const IDsError = 0.0081 // 1.04 / sqrt(2^14)

// Key makes what ids are counted by unpredictable: who knew it could make ids
// that count for many.
type Key [16]byte

// Hash returns what is kept of an id: from it alone, the id cannot be told.
func (k Key) Hash(id uuid.UUID) uint64 {
	sum := sha256.Sum256(append(k[:], id[:]...))
	return binary.LittleEndian.Uint64(sum[:])
}

// IDs counts distinct ids with a HyperLogLog sketch of 2^14 registers, which
// takes four bytes an id as long as they are few and 16 KB at most. No id can be
// read from it. The zero value has none.
type IDs struct{ sketch hyperloglog.Sketch }

// Add counts an id, if it was not counted before.
func (s *IDs) Add(k Key, id uuid.UUID) { s.add(k.Hash(id)) }

func (s *IDs) add(hash uint64) { s.sketch.InsertHash(hash) }

// Merge adds all ids of other.
func (s *IDs) Merge(other *IDs) {
	if err := s.sketch.Merge(&other.sketch); err != nil {
		panic(err) // of two precisions, and there is only one here
	}
}

// Count returns how many distinct ids were added, see [IDsError].
func (s *IDs) Count() int64 { return int64(s.sketch.Estimate()) }

// AppendBinary appends a form of the sketch that UnmarshalBinary reads. An
// empty one has no bytes.
func (s *IDs) AppendBinary(b []byte) ([]byte, error) {
	if s.sketch.Estimate() == 0 {
		return b, nil
	}
	return s.sketch.AppendBinary(b)
}

// UnmarshalBinary replaces what was counted by what a form of it holds.
func (s *IDs) UnmarshalBinary(b []byte) error {
	*s = IDs{}
	if len(b) == 0 {
		return nil
	}
	if len(b) > 1 && b[1] != precision { // the second byte of its form
		return fmt.Errorf("a sketch of 2^%d registers, not 2^%d", b[1], precision)
	}
	return s.sketch.UnmarshalBinary(b)
}
