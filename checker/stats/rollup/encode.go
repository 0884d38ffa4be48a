package rollup

import (
	"encoding/binary"
	"errors"
)

// The first byte of an encoded rollup.
const (
	// formatReports has the heaps of all reports by bucket. It was written by versions of
	// relcheck up to schema 2; see [parsedRollup.addHeapsOfReports].
	formatReports = 1
	// formatDays has instance-days by bucket, and the peaks of a day.
	formatDays = 2
	// formatMixed is formatDays with heaps that were decoded from formatReports.
	formatMixed = 3
)

var errRollup = errors.New("invalid rollup")

// AppendBinary appends the encoded rollup.
func (r *Rollup) AppendBinary(b []byte) ([]byte, error) {
	r.dedupe()
	r.peaks.compact()
	format := byte(formatDays)
	if r.approximate {
		format = formatMixed
	}
	b = append(b, format)
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

// append appends each bucket with heaps, after an unused 0: earlier versions stored the
// number of unscaled heaps there.
func (h *Heaps) append(b []byte) []byte {
	buckets := 0
	for _, n := range h.All() {
		if n > 0 { // subtracting may leave negative counts
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

// AppendBinary appends the encoded heaps.
func (h *Heaps) AppendBinary(b []byte) ([]byte, error) { return h.append(b), nil }

// UnmarshalBinary decodes heaps.
func (h *Heaps) UnmarshalBinary(b []byte) error {
	in := byteReader{b: b}
	in.uvarint() // see [Heaps.append]
	p := parsedRollup{numBuckets: in.uvarint()}
	if p.heaps = in.b; in.bad {
		return errRollup
	}
	*h = Heaps{}
	return p.addCounts(h)
}

// appendPeaks appends the peaks in one of two formats, a number that selects the format first
// and then the length of the list. If the classes have the hashes of all peaks, the number
// is 0, and for each hash with a heap, in the order of the classes, follows the bucket of
// its peak plus 2, or 0 if it has no peak. Otherwise the number is the sample level plus 1,
// and for each peak follow the difference of its hash to the previous one, without the
// low bits that are 0, and its bucket plus 1.
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
	for _, peak := range p.list {
		hash := peak.hash() >> p.sampleLevel
		b = binary.AppendUvarint(b, uint64(hash-last))
		b = binary.AppendUvarint(b, uint64(peak.bucket()+1))
		last = hash
	}
	return b
}

// numHashes returns the number of instances that reported a heap, if all classes with heaps
// have hashes.
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

// appendPeaksOf appends the peaks of sorted hashes. It also returns the number of hashes that
// have a peak.
func (p *peaks) appendPeaksOf(b []byte, hashes []uint32) (listed []byte, found int) {
	rest := p.list
	for _, hash := range hashes {
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

// UnmarshalBinary decodes a rollup.
func (r *Rollup) UnmarshalBinary(b []byte) error {
	var p parsedRollup
	if err := p.parse(b); err != nil {
		return err
	}
	return p.decode(r)
}

// byteReader reads numbers. After an error it is bad and returns zeros.
type byteReader struct {
	b   []byte
	bad bool
}

func (r *byteReader) uvarint() int64 {
	if len(r.b) > 0 && r.b[0] < 0x80 { // most numbers are small
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

// skip skips the bytes of a number. It returns 1, or 0 if the size is invalid.
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
