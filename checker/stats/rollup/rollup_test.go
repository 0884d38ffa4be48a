package rollup

import (
	"bytes"
	"math"
	"testing"

	"github.com/google/uuid"
)

// FuzzRollup decodes rollups as a corrupt store may have them: decoding either fails, or
// returns a rollup that can be merged, counted and encoded.
func FuzzRollup(f *testing.F) {
	for _, n := range []int{0, 1, 300} {
		var r Rollup
		for i := range n {
			heap := int64(i) << (i % 40)
			r.add(Key{}.Hash(uuid.UUID{byte(i), byte(i >> 8)}), &heap)
			r.add(Key{}.Hash(uuid.UUID{1, byte(i)}), nil)
		}
		b, err := r.AppendBinary(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte{1, 1, 1, 0x80, 0x80, 0x80, 0x80, 0x10, 1, 0})
	for format := byte(formatReports); format <= formatMixed; format++ {
		f.Add([]byte{format, 1, 1, 1, 0x80, 0x10, 1, 1, 5, 'f', 0, 0, 0, 1, 0, 1, 9})
		f.Add([]byte{format, 1, 0, 0, 0, 2, 2, 5, 0x80, 8, 1, 9})
	}
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0, 1, 2, 2, 'm', 14})
	f.Fuzz(func(t *testing.T, b []byte) {
		var r, sum Rollup
		var totals BuildTotals
		err := r.UnmarshalBinary(b)
		if mergeErr := NewMerger(Range{}, MaxDay).MergeInto(&totals, []Encoded{{Period{Span: OneDay}, b}}); (err == nil) != (mergeErr == nil) {
			t.Fatalf("got error %v when decoding and %v when merging", err, mergeErr)
		}
		if err != nil {
			return
		}
		if totals.Reports != r.Reports || !totals.Heaps.Equal(r.Heaps()) || totals.Instances != r.Instances() && r.Instances() <= maxHashes {
			t.Errorf("got %d reports of %d instances, want %d of %d", totals.Reports, totals.Instances, r.Reports, r.Instances())
		}
		sum.Merge(&r)
		sum.Merge(&r)
		if sum.Instances() != r.Instances() {
			t.Errorf("merged twice: got %d instances, want %d", sum.Instances(), r.Instances())
		}
		r.Above(HeapLimits()[0])
		if q := r.Heaps().Quantile(0.5); !math.IsNaN(q) && (q < 0 || math.IsInf(q, 0)) {
			t.Errorf("got median %v", q)
		}
		once, err := r.AppendBinary(nil)
		if err != nil {
			t.Fatal(err)
		}
		var back Rollup
		if err := back.UnmarshalBinary(once); err != nil {
			t.Fatalf("cannot decode %x: %v", once, err)
		}
		if twice, _ := back.AppendBinary(nil); !bytes.Equal(once, twice) {
			t.Errorf("got %x after decoding, want %x", twice, once)
		}
	})
}
