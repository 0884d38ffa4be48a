package stats

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// packed is a rollup in the form of [Rollup.AppendBinary], to be summed up as it
// is: a year is the sum of a thousand, each of which is looked at once.
type packed struct {
	there   bool // whether there is one
	reports int64
	buckets int64       // how many follow
	heaps   []byte      // by bucket
	classes []packedIDs // in order
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
	if len(b) == 0 || b[0] != rollupForm {
		return fmt.Errorf("%w, or were written by a newer relcheck", errRollup)
	}
	in := reader{b: b[1:]}
	p.reports, p.buckets = in.count(), in.count()
	p.heaps = in.numbers(p.buckets)
	last := -1
	for n := in.count(); n > 0 && !in.bad; n-- {
		c := in.count()
		if c <= int64(last) || c > int64(len(heapLimits)+1) {
			return errRollup
		}
		last = int(c)
		p.classes = append(p.classes, packedIDs{last, in.bytes(in.count())})
	}
	if in.bad || len(in.b) > 0 {
		return errRollup
	}
	return nil
}

// addHeaps adds the heaps to others.
func (p *packed) addHeaps(h *Heaps) error {
	in, bucket := reader{b: p.heaps}, 0
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
	return nil
}

// unpack replaces a rollup by what the form holds.
func (p *packed) unpack(r *Rollup) error {
	*r = Rollup{Reports: p.reports, classes: make([]heapIDs, len(p.classes))}
	if err := p.addHeaps(&r.Heaps); err != nil {
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

// numbers takes off n pairs of them, of whatever size.
func (r *reader) numbers(pairs int64) []byte {
	left := pairs
	if left > int64(len(r.b)) {
		return r.bytes(-1)
	}
	left *= 2
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
