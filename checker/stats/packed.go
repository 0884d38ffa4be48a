package stats

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
)

// packed is a rollup in the form of [Rollup.AppendBinary], to be summed up as it
// is: a year is the sum of a thousand, each of which is looked at once.
type packed struct {
	there    bool // whether there is one
	form     byte
	reports  int64
	observed int64       // of the heaps that follow
	buckets  int64       // how many follow
	heaps    []byte      // by bucket
	classes  []packedIDs // in order
	level    int64       // of the peaks plus 1, or 0: see [Rollup.appendPeaks]
	count    int64       // how many of them follow
	peaks    []byte
}

// packedIDs are the ids of a class in the form of [IDs.AppendBinary].
type packedIDs struct {
	class int
	form  []byte
}

// open finds the parts of a form, which it keeps. What is in them is looked at by
// those who read it.
func (p *packed) open(b []byte) error {
	*p = packed{there: true, classes: p.classes[:0]}
	if len(b) == 0 || b[0] < formReports || b[0] > formMixed {
		return fmt.Errorf("%w, or were written by a newer relcheck", errRollup)
	}
	in := reader{b: b[1:]}
	p.form, p.reports = b[0], in.count()
	if p.form != formReports {
		p.observed = in.count()
	}
	p.buckets = in.count()
	p.heaps = in.pairs(p.buckets)
	last := -1
	for n := in.count(); n > 0 && !in.bad; n-- {
		c := in.count()
		if c <= int64(last) || c > int64(len(heapLimits)+1) {
			return errRollup
		}
		last = int(c)
		p.classes = append(p.classes, packedIDs{last, in.bytes(in.count())})
	}
	if p.form != formReports {
		p.openPeaks(&in)
	}
	if in.bad || len(in.b) > 0 {
		return errRollup
	}
	return nil
}

func (p *packed) openPeaks(in *reader) {
	p.level, p.count = in.count(), in.count()
	if p.level == 0 {
		p.peaks = in.numbers(p.count)
	} else {
		p.peaks = in.pairs(p.count)
	}
	if p.level > 32 || p.level > 0 && p.count > maxPeaks {
		in.bad = true
	}
}

// addHeaps adds the instance-days to others. The tally is used up.
func (p *packed) addHeaps(h *Heaps, t *tally) error {
	if p.form == formReports {
		return p.addApproximately(h, t)
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

// addCounts adds what is counted by bucket.
func (p *packed) addCounts(h *Heaps) error {
	in, bucket, observed := reader{b: p.heaps}, 0, h.observed
	for range p.buckets {
		bucket += int(in.signed())
		if bucket < -1 || bucket > maxBucket {
			return errRollup
		}
		if n := in.count(); !in.bad {
			h.Add(bucket, n)
		}
	}
	if in.bad || len(in.b) > 0 {
		return errRollup
	}
	if p.form != formReports {
		h.observed = observed + p.observed
	}
	return nil
}

// addApproximately adds what formReports holds, with each instance counted once: of
// each class as many as reached it and no higher one, with heaps distributed as those
// of the reports in that class. A rollup of a week counts an instance once in that week.
func (p *packed) addApproximately(h *Heaps, t *tally) error {
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
		if err := t.addForm(c.form); err != nil {
			return err
		}
		n := max(above, t.count()) // an estimate of more may be of less
		low, high := classBuckets(c.class)
		h.addAlike(&reports, low, high, n-above)
		above = n
	}
	return nil
}

// addAlike adds n heaps that are distributed as those of another are in some buckets.
func (h *Heaps) addAlike(other *Heaps, low, high int, n int64) {
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

// readPeaks reads the peaks. Those of level 0 are not in order.
func (p *packed) readPeaks(into *peaks) error {
	in := reader{b: p.peaks}
	add := func(hash uint32, bucket int64) {
		if bucket > int64(maxBucket) {
			in.bad = true
			return
		}
		into.all = append(into.all, newPeak(hash, int(bucket)))
	}
	if p.level > 0 {
		into.level = int(p.level - 1)
		into.readSample(&in, p.count, add)
	} else if p.count > 0 {
		p.readPeaksOfIDs(&in, add)
	}
	if in.bad || len(in.b) > 0 {
		return errRollup
	}
	return nil
}

// readSample reads peaks that have their hashes beside them.
func (p *peaks) readSample(in *reader, n int64, add func(uint32, int64)) {
	hash, most := int64(0), int64(1)<<(32-p.level)
	for i := range n {
		step := in.count()
		if hash += step; step < 0 || step == 0 && i > 0 || step >= most || hash >= most {
			in.bad = true
			return
		}
		add(uint32(hash)<<p.level, in.count()-1)
	}
}

// readPeaksOfIDs reads the peaks of the ids in the classes.
func (p *packed) readPeaksOfIDs(in *reader, add func(uint32, int64)) {
	for _, c := range p.classes {
		few, many, err := openIDs(c.form)
		if err != nil || many != nil && c.class > 0 {
			in.bad = true
		}
		for ; c.class > 0 && len(few) >= 4 && !in.bad; few = few[4:] {
			if n := in.count(); n > 0 {
				add(binary.LittleEndian.Uint32(few), n-2)
			}
		}
	}
}

// unpack replaces a rollup by what the form holds.
func (p *packed) unpack(r *Rollup) error {
	*r = Rollup{Reports: p.reports, mixed: p.form != formDays, classes: make([]heapIDs, len(p.classes))}
	var err error
	if p.form == formReports {
		err = p.addApproximately(&r.heaps, new(tally))
	} else if err = p.addCounts(&r.heaps); err == nil {
		err = p.readPeaks(&r.peaks)
		r.peaks.settle()
	}
	if err != nil {
		return err
	}
	for i, c := range p.classes {
		r.classes[i] = heapIDs{c.class, new(IDs)}
		if err := r.classes[i].ids.UnmarshalBinary(c.form); err != nil {
			return fmt.Errorf("%w: %w", errRollup, err)
		}
	}
	return nil
}

// pairs takes off n pairs of numbers.
func (r *reader) pairs(n int64) []byte {
	if n > int64(len(r.b)) {
		return r.bytes(-1)
	}
	return r.numbers(2 * n)
}

// numbers takes off n of them, of whatever size.
func (r *reader) numbers(n int64) []byte {
	left := n
	if left > int64(len(r.b)) {
		return r.bytes(-1)
	}
	end := 0
	for ; left >= 8 && end+8 <= len(r.b); end += 8 {
		left -= int64(bits.OnesCount64(^binary.LittleEndian.Uint64(r.b[end:]) & lastBytes))
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

// lastBytes are the bits that are 0 in the last byte of a number, for eight bytes.
const lastBytes = 0x8080808080808080
