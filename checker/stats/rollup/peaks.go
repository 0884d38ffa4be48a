package rollup

import "slices"

// maxPeaks is how many instances a day of a build keeps the peaks of: as many as
// [InstanceSet] keeps as they are.
const maxPeaks = maxHashes

// peaks holds the highest heap that each instance of a build reported on one day.
// Of more than maxPeaks instances it keeps those whose hash is a multiple of
// 2^level: a sample of them, in which each stands for 2^level instances.
//
// The state depends only on the reports that were added, in whatever order and
// parts. The zero value has none.
type peaks struct {
	sampleLevel int
	list        []peak
	sorted      int // how many at the start of all are in order, each of another instance
}

// peak is the upper half of an instance's hash and the bucket of its highest heap.
// A higher heap of the same instance is a higher number.
type peak uint64

func newPeak(hash uint32, bucket int) peak { return peak(hash)<<16 | peak(bucket+1) }

func (p peak) hash() uint32 { return uint32(p >> 16) }
func (p peak) bucket() int  { return int(p&0xffff) - 1 }

// addHash adds the heap of a report.
func (p *peaks) add(hash uint64, bucket int) {
	h := uint32(hash >> 32)
	if h&p.mask() != 0 {
		return
	}
	const least = 512 // reports that are not worth sorting
	p.list = append(p.list, newPeak(h, bucket))
	if len(p.list) >= max(least, 2*p.sorted) {
		p.compact()
	}
}

// mask has the binary digits that are 0 in the hashes that are kept.
func (p *peaks) mask() uint32 { return 1<<p.sampleLevel - 1 }

// merge adds the peaks of the same day.
func (p *peaks) merge(other *peaks) {
	p.compact()
	other.compact()
	p.sampleLevel = max(p.sampleLevel, other.sampleLevel)
	p.list = p.mergeLists(p.list, other.list)
	p.limit()
}

// compact keeps one peak of each instance, and of no more instances than maxPeaks.
func (p *peaks) compact() {
	if fresh := p.list[p.sorted:]; len(fresh) > 0 {
		slices.Sort(fresh)
		p.list = p.mergeLists(p.list[:p.sorted], fresh)
		p.limit()
	}
}

// mergeLists returns the peaks of two lists in order: one of each instance that is kept
// at the level.
func (p *peaks) mergeLists(a, b []peak) []peak {
	all, mask := make([]peak, 0, len(a)+len(b)), p.mask()
	for i, j := 0, 0; i < len(a) || j < len(b); {
		var next peak
		if j == len(b) || i < len(a) && a[i] <= b[j] {
			next, i = a[i], i+1
		} else {
			next, j = b[j], j+1
		}
		switch last := len(all) - 1; {
		case next.hash()&mask != 0:
		case last >= 0 && all[last].hash() == next.hash():
			all[last] = next
		default:
			all = append(all, next)
		}
	}
	return all
}

// limit raises the level until there are few enough.
func (p *peaks) limit() {
	for len(p.list) > maxPeaks {
		p.sampleLevel++
		p.list = slices.DeleteFunc(p.list, func(one peak) bool { return one.hash()&p.mask() != 0 })
	}
	p.sorted = len(p.list)
}

// addTo counts the instances by their highest heap. The peaks must be settled.
func (p *peaks) addTo(h *Heaps) {
	weight := int64(1) << p.sampleLevel
	for _, one := range p.list {
		h.Add(one.bucket(), weight)
	}
}
