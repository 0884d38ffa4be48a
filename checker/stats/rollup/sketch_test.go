package rollup_test

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"relcheck/checker/stats/rollup"
)

var key = rollup.Key{1, 2, 3}

func TestHeapOf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.Int64Range(1, math.MaxInt64).Draw(t, "heap")
		if got := rollup.HeapOf(rollup.HeapBucket(v)); math.Abs(got-float64(v)) > rollup.HeapError*float64(v)*1.000001 {
			t.Errorf("HeapOf(HeapBucket(%d)): got %f", v, got)
		}
	})
	for _, v := range []int64{0, -1, math.MinInt64} {
		if got := rollup.HeapOf(rollup.HeapBucket(v)); got != 0 {
			t.Errorf("HeapOf(HeapBucket(%d)): got %f", v, got)
		}
	}
}

func TestHeapQuantiles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(rapid.Int64Range(0, 1<<40), 1, 300).Draw(t, "heaps")
		q := rapid.Float64Range(0, 1).Draw(t, "q")
		var h rollup.Heaps
		for _, v := range all {
			h.Add(rollup.HeapBucket(v), 1)
		}
		slices.Sort(all)
		want := float64(all[int(q*float64(len(all)-1))])
		if got := h.Quantile(q); math.Abs(got-want) > rollup.HeapError*want*1.000001 {
			t.Errorf("quantile %f: got %f, want %f", q, got, want)
		}
		limit := rapid.Int64Range(0, 1<<40).Draw(t, "limit")
		above := int64(0)
		for _, v := range all {
			if rollup.HeapBucket(v) > rollup.HeapBucket(limit) {
				above++
			}
		}
		if got := h.Above(limit); got != above {
			t.Errorf("got %d heaps above %d, want %d", got, limit, above)
		}
	})
	if q := new(rollup.Heaps).Quantile(0.5); !math.IsNaN(q) {
		t.Errorf("no heaps: got median %f, want NaN", q)
	}
}

func someHeaps(t *rapid.T, name string) (h rollup.Heaps) {
	for _, b := range rapid.SliceOf(rapid.IntRange(-1, 50)).Draw(t, name) {
		h.Add(b, 1)
	}
	return h
}

func someInstances(t *rapid.T, name string) *rollup.InstanceSet {
	s := new(rollup.InstanceSet)
	for _, n := range rapid.SliceOf(rapid.IntRange(0, 200)).Draw(t, name) {
		s.Add(key, numbered(n))
	}
	if rapid.Bool().Draw(t, name+" is dense") {
		for n := range 20_000 {
			s.Add(key, numbered(1000+n))
		}
	}
	return s
}

func numbered(n int) (id uuid.UUID) {
	binary.LittleEndian.PutUint64(id[:], uint64(n))
	return id
}

// TestMerge checks that merging is associative, commutative and idempotent.
func TestMerge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := someHeaps(t, "a"), someHeaps(t, "b"), someHeaps(t, "c")
		left, right := merged(merged(a, b), c), merged(c, merged(b, a))
		if !slices.Equal(flat(left), flat(right)) || left.Total() != a.Total()+b.Total()+c.Total() {
			t.Errorf("got heaps %v and %v", flat(left), flat(right))
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := someInstances(t, "x"), someInstances(t, "y"), someInstances(t, "z")
		left, right := union(union(a, b), c), union(c, union(b, a))
		if left.Count() != right.Count() {
			t.Errorf("got counts %d and %d", left.Count(), right.Count())
		}
		if twice := union(a, a); twice.Count() != a.Count() {
			t.Errorf("merged with itself: got %d, want %d", twice.Count(), a.Count())
		}
		if empty := union(a, new(rollup.InstanceSet)); empty.Count() != a.Count() {
			t.Errorf("merged with an empty set: got %d, want %d", empty.Count(), a.Count())
		}
		if decoded := union(reencoded(t, a), reencoded(t, b)); decoded.Count() != union(a, b).Count() {
			t.Errorf("decoded: got %d, want %d", decoded.Count(), union(a, b).Count())
		}
	})
}

func merged(a, b rollup.Heaps) (h rollup.Heaps) {
	h.Merge(a)
	h.Merge(b)
	return h
}

func flat(h rollup.Heaps) (all []int64) {
	for bucket, n := range h.All() {
		all = append(all, int64(bucket), n)
	}
	return all
}

func union(a, b *rollup.InstanceSet) *rollup.InstanceSet {
	s := new(rollup.InstanceSet)
	s.Merge(a)
	s.Merge(b)
	return s
}

func reencoded(t *rapid.T, s *rollup.InstanceSet) *rollup.InstanceSet {
	b, err := s.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	decoded := new(rollup.InstanceSet)
	if err := decoded.UnmarshalBinary(b); err != nil {
		t.Fatal(err)
	}
	return decoded
}

func TestCount(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 10, 100, 1000, 4000, 5000, 10_000, 20_000, 40_000, 100_000, 1_000_000} {
		var s rollup.InstanceSet
		for i := range n {
			var id uuid.UUID
			binary.LittleEndian.PutUint64(id[:], random.Uint64())
			s.Add(key, id)
			if i%3 == 0 {
				s.Add(key, id)
			}
		}
		allowed := 2.5 * rollup.InstancesError
		if n <= 4000 {
			allowed = 0
		}
		if got := s.Count(); math.Abs(float64(got)-float64(n)) > allowed*float64(n) {
			t.Errorf("got count %d, want %d", got, n)
		}
		if b, err := s.AppendBinary(nil); err != nil || len(b) > 16<<10+100 || n == 0 && len(b) > 0 {
			t.Errorf("%d instances: got %d bytes, %v", n, len(b), err)
		}
	}
}

func TestUnmarshalOtherPrecision(t *testing.T) {
	var s rollup.InstanceSet
	for n := range 5000 {
		s.Add(key, numbered(n))
	}
	b, err := s.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	b[1]--
	if err := s.UnmarshalBinary(b); err == nil {
		t.Error("got no error for a sketch of another precision")
	}
}

func FuzzInstanceSet(f *testing.F) {
	for _, n := range []int{0, 3, 20_000} {
		var s rollup.InstanceSet
		for i := range n {
			s.Add(key, numbered(i))
		}
		b, err := s.AppendBinary(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var s, sum rollup.InstanceSet
		if s.UnmarshalBinary(b) == nil {
			sum.Merge(&s)
			sum.Count()
		}
	})
}
