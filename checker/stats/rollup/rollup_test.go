package rollup

import (
	"bytes"
	"math"
	"testing"

	"github.com/google/uuid"
)

// FuzzRollup reads what may stand in a store that is damaged: it is refused, or
// is a rollup that merges, is counted and is written again.
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
	for form := byte(formatReports); form <= formatMixed; form++ {
		f.Add([]byte{form, 1, 1, 1, 0x80, 0x10, 1, 1, 5, 'f', 0, 0, 0, 1, 0, 1, 9})
		f.Add([]byte{form, 1, 0, 0, 0, 2, 2, 5, 0x80, 8, 1, 9})
	}
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0, 1, 2, 2, 'm', 14})
	f.Fuzz(func(t *testing.T, b []byte) {
		var r, sum Rollup
		var one BuildTotals
		err := r.UnmarshalBinary(b)
		if refused := NewMerger(Range{}, MaxDay).MergeInto(&one, []Encoded{{Period{Span: OneDay}, b}}); (err == nil) != (refused == nil) {
			t.Fatalf("it is read: %v, and summed up as it is: %v", err, refused)
		}
		if err != nil {
			return
		}
		if one.Reports != r.Reports || !one.Heaps.Equal(r.Heaps()) || one.Instances != r.Instances() && r.Instances() <= maxHashes {
			t.Errorf("%d reports of %d ids are summed up as %d of %d", r.Reports, r.Instances(), one.Reports, one.Instances)
		}
		sum.Merge(&r)
		sum.Merge(&r)
		if sum.Instances() != r.Instances() {
			t.Errorf("merging the same ids twice makes %d of %d", sum.Instances(), r.Instances())
		}
		r.Above(HeapLimits()[0])
		if q := r.Heaps().Quantile(0.5); !math.IsNaN(q) && (q < 0 || math.IsInf(q, 0)) {
			t.Errorf("the median is %v", q)
		}
		once, err := r.AppendBinary(nil)
		if err != nil {
			t.Fatal(err)
		}
		var back Rollup
		if err := back.UnmarshalBinary(once); err != nil {
			t.Fatalf("%x was written and cannot be read: %v", once, err)
		}
		if twice, _ := back.AppendBinary(nil); !bytes.Equal(once, twice) {
			t.Errorf("%x came back as %x", once, twice)
		}
	})
}
