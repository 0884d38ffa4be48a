package rollup

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
)

// parsedRollup has the parts of an encoded rollup. It is merged without decoding: a year is
// the sum of a thousand rollups, and each is read once.
type parsedRollup struct {
	present     bool // a rollup was parsed
	format      byte
	reports     int64
	numBuckets  int64         // in heaps
	heaps       []byte        // pairs of bucket and count
	classes     []parsedClass // in order
	sampleLevel int64         // plus 1, or 0: see [Rollup.appendPeaks]
	numPeaks    int64         // in peaks
	peaks       []byte
}

// parsedClass has the instances of a class as encoded by [InstanceSet.AppendBinary].
type parsedClass struct {
	class int
	data  []byte
}

// parse splits an encoded rollup into its parts, which share its memory. The methods that use
// a part check its content.
func (p *parsedRollup) parse(b []byte) error {
	*p = parsedRollup{present: true, classes: p.classes[:0]}
	if len(b) == 0 || b[0] < formatReports || b[0] > formatMixed {
		return fmt.Errorf("%w: unknown format, maybe written by a newer relcheck", errRollup)
	}
	in := byteReader{b: b[1:]}
	p.format, p.reports = b[0], in.uvarint()
	if p.format != formatReports {
		in.uvarint() // see [Heaps.append]
	}
	p.numBuckets = in.uvarint()
	p.heaps = in.varintPairs(p.numBuckets)
	last := -1
	for n := in.uvarint(); n > 0 && !in.bad; n-- {
		c := in.uvarint()
		if c <= int64(last) || c > int64(len(heapLimits)+1) {
			return errRollup
		}
		last = int(c)
		p.classes = append(p.classes, parsedClass{last, in.bytes(in.uvarint())})
	}
	if p.format != formatReports {
		p.parsePeaks(&in)
	}
	if in.bad || len(in.b) > 0 {
		return errRollup
	}
	return nil
}

func (p *parsedRollup) parsePeaks(in *byteReader) {
	p.sampleLevel, p.numPeaks = in.uvarint(), in.uvarint()
	if p.sampleLevel == 0 {
		p.peaks = in.varints(p.numPeaks)
	} else {
		p.peaks = in.varintPairs(p.numPeaks)
	}
	if p.sampleLevel > 32 || p.sampleLevel > 0 && p.numPeaks > maxPeaks {
		in.bad = true
	}
}

// addHeaps adds the instance-days to h. It uses t for counting.
func (p *parsedRollup) addHeaps(h *Heaps, t *distinctCounter) error {
	if p.format == formatReports {
		return p.addHeapsOfReports(h, t)
	}
	if err := p.addCounts(h); err != nil {
		return err
	}
	var own peaks
	err := p.readPeaks(&own)
	if err == nil {
		own.addTo(h)
	}
	return err
}

// addCounts adds the counts by bucket.
func (p *parsedRollup) addCounts(h *Heaps) error {
	in, bucket := byteReader{b: p.heaps}, 0
	for range p.numBuckets {
		bucket += int(in.varint())
		if bucket < -1 || bucket > maxBucket {
			return errRollup
		}
		if n := in.uvarint(); !in.bad {
			h.Add(bucket, n)
		}
	}
	if in.bad || len(in.b) > 0 {
		return errRollup
	}
	return nil
}

// addHeapsOfReports adds the heaps of a rollup in formatReports, and counts each instance once
// in its highest class. The heaps of a class have the distribution of its reports. A
// rollup of a week counts an instance once in that week.
func (p *parsedRollup) addHeapsOfReports(h *Heaps, t *distinctCounter) error {
	var reports Heaps
	if err := p.addCounts(&reports); err != nil {
		return err
	}
	t.reset()
	above := int64(0)
	for _, c := range slices.Backward(p.classes) {
		if c.class == 0 {
			break
		}
		if err := t.addEncoded(c.data); err != nil {
			return err
		}
		n := max(above, t.count()) // adding instances can decrease an estimate
		low, high := bucketsOfClass(c.class)
		h.addScaled(&reports, low, high, n-above)
		above = n
	}
	return nil
}

// addScaled adds n heaps to the buckets from low to high, in proportion to the counts of
// other.
func (h *Heaps) addScaled(other *Heaps, low, high int, n int64) {
	var all, before float64
	for bucket, m := range other.All() {
		if low <= bucket && bucket <= high {
			all += float64(m)
		}
	}
	for bucket, m := range other.All() {
		if low <= bucket && bucket <= high {
			upTo := before + float64(m)
			h.Add(bucket, int64(float64(n)*(upTo/all))-int64(float64(n)*(before/all)))
			before = upTo
		}
	}
}

// readPeaks reads the peaks. They are not in order if their hashes are in the classes.
func (p *parsedRollup) readPeaks(into *peaks) error {
	in := byteReader{b: p.peaks}
	add := func(hash uint32, bucket int64) {
		if bucket > int64(maxBucket) {
			in.bad = true
			return
		}
		into.list = append(into.list, newPeak(hash, int(bucket)))
	}
	if p.sampleLevel > 0 {
		into.sampleLevel = int(p.sampleLevel - 1)
		into.readSample(&in, p.numPeaks, add)
	} else if p.numPeaks > 0 {
		p.readPeaksOfClasses(&in, add)
	}
	if in.bad || len(in.b) > 0 {
		return errRollup
	}
	return nil
}

// readSample reads peaks with their hashes.
func (p *peaks) readSample(in *byteReader, n int64, add func(uint32, int64)) {
	hash, most := int64(0), int64(1)<<(32-p.sampleLevel)
	for i := range n {
		step := in.uvarint()
		if hash += step; step < 0 || step == 0 && i > 0 || step >= most || hash >= most {
			in.bad = true
			return
		}
		add(uint32(hash)<<p.sampleLevel, in.uvarint()-1)
	}
}

// readPeaksOfClasses reads the peaks of the hashes in the classes.
func (p *parsedRollup) readPeaksOfClasses(in *byteReader, add func(uint32, int64)) {
	for _, c := range p.classes {
		hashes, registers, err := parseInstanceSet(c.data)
		if err != nil || registers != nil && c.class > 0 {
			in.bad = true
		}
		for ; c.class > 0 && len(hashes) >= 4 && !in.bad; hashes = hashes[4:] {
			if n := in.uvarint(); n > 0 {
				add(binary.LittleEndian.Uint32(hashes), n-2)
			}
		}
	}
}

// decode decodes the rollup.
func (p *parsedRollup) decode(r *Rollup) error {
	*r = Rollup{Reports: p.reports, approximate: p.format != formatDays, classes: make([]heapClass, len(p.classes))}
	var err error
	if p.format == formatReports {
		err = p.addHeapsOfReports(&r.heaps, new(distinctCounter))
	} else if err = p.addCounts(&r.heaps); err == nil {
		err = p.readPeaks(&r.peaks)
		r.peaks.compact()
	}
	if err != nil {
		return err
	}
	for i, c := range p.classes {
		r.classes[i] = heapClass{c.class, new(InstanceSet)}
		if err := r.classes[i].instances.UnmarshalBinary(c.data); err != nil {
			return fmt.Errorf("%w: %w", errRollup, err)
		}
	}
	return nil
}

// varintPairs returns the bytes of the next n pairs of numbers.
func (r *byteReader) varintPairs(n int64) []byte {
	if n > int64(len(r.b)) {
		return r.bytes(-1)
	}
	return r.varints(2 * n)
}

// varints returns the bytes of the next n numbers.
func (r *byteReader) varints(n int64) []byte {
	left := n
	if left > int64(len(r.b)) {
		return r.bytes(-1)
	}
	end := 0
	for ; left >= 8 && end+8 <= len(r.b); end += 8 {
		left -= int64(bits.OnesCount64(^binary.LittleEndian.Uint64(r.b[end:]) & continuationBits))
	}
	for ; left > 0 && end < len(r.b); end++ {
		if r.b[end]&0x80 == 0 {
			left--
		}
	}
	if left > 0 {
		end = -1
	}
	return r.bytes(int64(end))
}

// continuationBits are the bits that are 0 in the last byte of a number, for eight bytes.
const continuationBits = 0x8080808080808080
