package rollup

import "slices"

// maxPeaks is the maximum number of peaks of a build and day: as many as an [InstanceSet] has
// hashes.
const maxPeaks = maxHashes

// peaks has the highest heap of each instance of a build on one day. If there are more than
// maxPeaks instances, it has a sample: the instances whose hash is a multiple of
// 2^sampleLevel. Each represents that many instances.
//
// The state depends only on the reports that were added, and not on their order or on
// merges. The zero value is empty.
type peaks struct {
	sampleLevel int
	list        []peak
	sorted      int // length of the part of list that is sorted and has one peak per instance
}

// peak combines the upper half of an instance's hash and the bucket of its highest heap, so
// that a higher heap of the same instance is a higher number.
type peak uint64

func newPeak(hash uint32, bucket int) peak { return peak(hash)<<16 | peak(bucket+1) }

func (p peak) hash() uint32 { return uint32(p >> 16) }
func (p peak) bucket() int  { return int(p&0xffff) - 1 }

// add adds the heap of a report.
func (p *peaks) add(hash uint64, bucket int) {
	h := uint32(hash >> 32)
	if h&p.mask() != 0 {
		return
	}
	const minUnsorted = 512 // sorting fewer is not worthwhile
	p.list = append(p.list, newPeak(h, bucket))
	if len(p.list) >= max(minUnsorted, 2*p.sorted) {
		p.compact()
	}
}

// mask returns the bits that must be 0 in the hashes of the sample.
func (p *peaks) mask() uint32 { return 1<<p.sampleLevel - 1 }

// merge adds the peaks of the same day.
func (p *peaks) merge(other *peaks) {
	p.compact()
	other.compact()
	p.sampleLevel = max(p.sampleLevel, other.sampleLevel)
	p.list = p.mergeLists(p.list, other.list)
	p.limit()
}

// compact sorts the list, and reduces it to one peak per instance and at most maxPeaks.
func (p *peaks) compact() {
	if added := p.list[p.sorted:]; len(added) > 0 {
		slices.Sort(added)
		p.list = p.mergeLists(p.list[:p.sorted], added)
		p.limit()
	}
}

// mergeLists merges two sorted lists, and keeps one peak of each instance in the sample.
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

// limit raises the sample level until there are at most maxPeaks.
func (p *peaks) limit() {
	for len(p.list) > maxPeaks {
		p.sampleLevel++
		p.list = slices.DeleteFunc(p.list, func(k peak) bool { return k.hash()&p.mask() != 0 })
	}
	p.sorted = len(p.list)
}

// addTo counts the instances by their highest heap. The peaks must be compact.
func (p *peaks) addTo(h *Heaps) {
	weight := int64(1) << p.sampleLevel
	for _, k := range p.list {
		h.Add(k.bucket(), weight)
	}
}
