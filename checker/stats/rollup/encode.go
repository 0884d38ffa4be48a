package rollup

import (
	"encoding/binary"
	"errors"
)

// The first byte of an encoded rollup.
const (
	// formatReports has the heaps of all reports by bucket. Versions of relcheck up
	// to schema 2 have written it; see [packed.addHeapsOfReports].
	formatReports = 1
	// formatDays has instance-days by bucket, and the peaks of a day.
	formatDays = 2
	// formatMixed is formDays with heaps that were read from formReports.
	formatMixed = 3
)

var errRollup = errors.New("not a rollup: its bytes make no sense")

// AppendBinary appends a form of the rollup that UnmarshalBinary reads.
func (r *Rollup) AppendBinary(b []byte) ([]byte, error) {
	r.dedupe()
	r.peaks.compact()
	form := byte(formatDays)
	if r.approximate {
		form = formatMixed
	}
	b = append(b, form)
	b = binary.AppendUvarint(b, uint64(r.Reports))
	b = r.heaps.append(b)
	b = binary.AppendUvarint(b, uint64(len(r.classes)))
	for _, h := range r.classes {
		sketch, err := h.instances.AppendBinary(nil)
		if err != nil {
			return nil, err
		}
		b = binary.AppendUvarint(b, uint64(h.class))
		b = binary.AppendUvarint(b, uint64(len(sketch)))
		b = append(b, sketch...)
	}
	return r.appendPeaks(b), nil
}

// append appends 0, which earlier versions counted the heaps that were not scaled up
// with, and each bucket that has any heaps.
func (h *Heaps) append(b []byte) []byte {
	buckets := 0
	for _, n := range h.All() {
		if n > 0 { // fewer than none may be left of what was not there
			buckets++
		}
	}
	b = append(b, 0)
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
	if len(p.list) == 0 {
		return append(b, 0, 0)
	}
	if n, known := r.numHashes(); known && p.sampleLevel == 0 {
		listed, found := binary.AppendUvarint(append(b, 0), uint64(n)), 0
		for _, h := range r.classes {
			if h.class > 0 {
				var of int
				listed, of = p.appendPeaksOf(listed, h.instances.hashes)
				found += of
			}
		}
		if found == len(p.list) {
			return listed
		}
	}
	b = binary.AppendUvarint(b, uint64(p.sampleLevel)+1)
	b = binary.AppendUvarint(b, uint64(len(p.list)))
	last := uint32(0)
	for _, one := range p.list {
		hash := one.hash() >> p.sampleLevel
		b = binary.AppendUvarint(b, uint64(hash-last))
		b = binary.AppendUvarint(b, uint64(one.bucket()+1))
		last = hash
	}
	return b
}

// numHashes is how many ids reported a heap, if all of them are kept as they are.
func (r *Rollup) numHashes() (n int, known bool) {
	for _, h := range r.classes {
		switch {
		case h.class == 0:
		case h.instances.registers != nil:
			return 0, false
		default:
			n += len(h.instances.hashes)
		}
	}
	return n, true
}

// appendPeaksOf appends the peaks of some ids, which are in order as the peaks are, and
// returns how many of them have one.
func (p *peaks) appendPeaksOf(b []byte, few []uint32) (listed []byte, found int) {
	rest := p.list
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
	var p parsedRollup
	if err := p.parse(b); err != nil {
		return err
	}
	return p.decode(r)
}

// byteReader takes numbers off bytes until they turn out to be bad.
type byteReader struct {
	b   []byte
	bad bool
}

func (r *byteReader) uvarint() int64 {
	if len(r.b) > 0 && r.b[0] < 0x80 { // as most are
		n := int64(r.b[0])
		r.b = r.b[1:]
		return n
	}
	n, size := binary.Uvarint(r.b)
	return int64(n&(1<<63-1)) * r.skip(size)
}

func (r *byteReader) varint() int64 {
	n, size := binary.Varint(r.b)
	return n * r.skip(size)
}

// skip passes over a number's bytes, and returns 0 if it was none.
func (r *byteReader) skip(size int) int64 {
	if size <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[size:]
	return 1
}

func (r *byteReader) bytes(n int64) []byte {
	if n < 0 || n > int64(len(r.b)) {
		r.bad, r.b = true, nil
		return nil
	}
	taken := r.b[:n]
	r.b = r.b[n:]
	return taken
}
