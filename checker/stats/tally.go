package stats

import (
	"encoding/binary"
	"slices"

	"github.com/axiomhq/hyperloglog"
)

// tally counts the distinct ids of several sketches together, as a sketch does
// that all of them are merged into, and many times faster while they are few.
// The sketches are only read.
type tally struct {
	all   []*IDs
	keys  []uint32            // of all, in order, each once
	dense *hyperloglog.Sketch // instead of keys, once they are many
}

// longestList is how many bytes of differences of keys a sketch keeps, before it
// keeps registers.
const longestList = 1 << precision

// add adds the ids of some sketches.
func (t *tally) add(some ...*IDs) {
	t.all = append(t.all, some...)
	if t.dense != nil {
		t.merge(some)
		return
	}
	var keys []uint32
	few := true
	for _, one := range some {
		if keys, few = one.appendKeys(keys); !few {
			break
		}
	}
	if few {
		slices.Sort(keys)
		t.keys = merged(t.keys, slices.Compact(keys))
		few = listLength(t.keys) <= longestList
	}
	if !few {
		t.dense, t.keys = hyperloglog.NewNoSparse(), nil
		t.merge(t.all)
	}
}

func (t *tally) merge(some []*IDs) {
	for _, one := range some {
		if err := t.dense.Merge(&one.sketch); err != nil {
			panic(err) // of two precisions, and there is only one here
		}
	}
}

// count is that of [IDs.Count].
func (t *tally) count() int64 {
	if t.dense != nil {
		return int64(t.dense.Estimate())
	}
	return int64(len(t.keys))
}

// merged returns what is in one of two ordered lists, or in both.
func merged(a, b []uint32) []uint32 {
	if len(a) == 0 {
		return b
	}
	all := make([]uint32, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		next := min(a[0], b[0])
		all = append(all, next)
		if a[0] == next {
			a = a[1:]
		}
		if b[0] == next {
			b = b[1:]
		}
	}
	return append(append(all, a...), b...)
}

// listLength is how many bytes a sketch takes for its keys: seven bits in each.
func listLength(keys []uint32) (n int) {
	last := uint32(0)
	for _, key := range keys {
		for difference := (key - last) >> 7; difference > 0; difference >>= 7 {
			n++
		}
		n++
		last = key
	}
	return n
}

// appendKeys appends what a sketch keeps of each id, as long as it does so; few
// is false when it keeps registers. The form that it is written in has four bytes
// of head; the number of keys that came last, and these; then the number of those
// before and the last of them, which are passed over, and how many bytes the
// differences of these take.
func (s *IDs) appendKeys(keys []uint32) (_ []uint32, few bool) {
	form, err := s.sketch.AppendBinary(nil)
	if err != nil { // nothing was ever added
		return keys, true
	}
	if form[3] != 1 {
		return keys, false
	}
	n, form := binary.BigEndian.Uint32(form[4:]), form[8:]
	for range n {
		keys, form = append(keys, binary.BigEndian.Uint32(form)), form[4:]
	}
	last := uint32(0)
	for form = form[12:]; len(form) > 0; {
		difference, size := binary.Uvarint(form)
		last += uint32(difference)
		keys, form = append(keys, last), form[size:]
	}
	return keys, true
}
