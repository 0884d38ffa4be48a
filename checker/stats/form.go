package stats

import (
	"encoding/binary"
	"errors"
)

// The first byte of an encoded rollup.
const (
	// formReports has the heaps of all reports by bucket. Versions of relcheck up
	// to schema 2 have written it; see [packed.addApproximately].
	formReports = 1
	// formDays has instance-days by bucket, and the peaks of a day.
	formDays = 2
	// formMixed is formDays with heaps that were read from formReports.
	formMixed = 3
)

var errRollup = errors.New("not a rollup: its bytes make no sense")

// AppendBinary appends a form of the rollup that UnmarshalBinary reads.
func (r *Rollup) AppendBinary(b []byte) ([]byte, error) {
	r.thin()
	r.peaks.settle()
	form := byte(formDays)
	if r.mixed {
		form = formMixed
	}
	b = append(b, form)
	b = binary.AppendUvarint(b, uint64(r.Reports))
	b = r.heaps.append(b)
	b = binary.AppendUvarint(b, uint64(len(r.classes)))
	for _, h := range r.classes {
		sketch, err := h.ids.AppendBinary(nil)
		if err != nil {
			return nil, err
		}
		b = binary.AppendUvarint(b, uint64(h.class))
		b = binary.AppendUvarint(b, uint64(len(sketch)))
		b = append(b, sketch...)
	}
	return r.appendPeaks(b), nil
}

// append appends how many heaps were observed, and each bucket that has any.
func (h *Heaps) append(b []byte) []byte {
	buckets := 0
	for _, n := range h.All() {
		if n > 0 { // fewer than none may be left of what was not there
			buckets++
		}
	}
	b = binary.AppendUvarint(b, uint64(max(0, h.observed)))
	b = binary.AppendUvarint(b, uint64(buckets))
	last := 0
	for bucket, n := range h.All() {
		if n > 0 {
			b = binary.AppendVarint(b, int64(bucket-last))
			b = binary.AppendUvarint(b, uint64(n))
			last = bucket
		}
	}
	return b
}

// appendPeaks appends 0 and, for each id that reported a heap, in the order of the
// classes, its peak's bucket plus 2 (0: it has none). If not all peaks are of ids that
// are kept, it appends the level plus 1, and for each peak the difference of its hash
// to the one before, without the digits that are 0, and its bucket plus 1. Before
// either list stands how long it is.
func (r *Rollup) appendPeaks(b []byte) []byte {
	p := &r.peaks
	if len(p.all) == 0 {
		return append(b, 0, 0)
	}
	if n, known := r.heapIDs(); known && p.level == 0 {
		listed, found := binary.AppendUvarint(append(b, 0), uint64(n)), 0
		for _, h := range r.classes {
			if h.class > 0 {
				var of int
				listed, of = p.appendOf(listed, h.ids.few)
				found += of
			}
		}
		if found == len(p.all) {
			return listed
		}
	}
	b = binary.AppendUvarint(b, uint64(p.level)+1)
	b = binary.AppendUvarint(b, uint64(len(p.all)))
	last := uint32(0)
	for _, one := range p.all {
		hash := one.hash() >> p.level
		b = binary.AppendUvarint(b, uint64(hash-last))
		b = binary.AppendUvarint(b, uint64(one.bucket()+1))
		last = hash
	}
	return b
}

// heapIDs is how many ids reported a heap, if all of them are kept as they are.
func (r *Rollup) heapIDs() (n int, known bool) {
	for _, h := range r.classes {
		switch {
		case h.class == 0:
		case h.ids.many != nil:
			return 0, false
		default:
			n += len(h.ids.few)
		}
	}
	return n, true
}

// appendOf appends the peaks of some ids, which are in order as the peaks are, and
// returns how many of them have one.
func (p *peaks) appendOf(b []byte, few []uint32) (listed []byte, found int) {
	rest := p.all
	for _, hash := range few {
		for len(rest) > 0 && rest[0].hash() < hash {
			rest = rest[1:]
		}
		if len(rest) > 0 && rest[0].hash() == hash {
			b = binary.AppendUvarint(b, uint64(rest[0].bucket()+2))
			found++
		} else {
			b = append(b, 0)
		}
	}
	return b, found
}

// UnmarshalBinary replaces the rollup by what a form of it holds.
func (r *Rollup) UnmarshalBinary(b []byte) error {
	var p packed
	if err := p.open(b); err != nil {
		return err
	}
	return p.unpack(r)
}

// reader takes numbers off bytes until they turn out to be bad.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) count() int64 {
	if len(r.b) > 0 && r.b[0] < 0x80 { // as most are
		n := int64(r.b[0])
		r.b = r.b[1:]
		return n
	}
	n, size := binary.Uvarint(r.b)
	return int64(n&(1<<63-1)) * r.taken(size)
}

func (r *reader) signed() int64 {
	n, size := binary.Varint(r.b)
	return n * r.taken(size)
}

// taken passes over a number's bytes, and returns 0 if it was none.
func (r *reader) taken(size int) int64 {
	if size <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[size:]
	return 1
}

func (r *reader) bytes(n int64) []byte {
	if n < 0 || n > int64(len(r.b)) {
		r.bad, r.b = true, nil
		return nil
	}
	taken := r.b[:n]
	r.b = r.b[n:]
	return taken
}
