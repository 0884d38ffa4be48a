package command

import (
	"errors"
	"testing"

	"relcheck/checker/mirror"
)

// A fetch on demand leaves the larger of 1 GB and 5 % of the disk free.
func TestReserve(t *testing.T) {
	for _, test := range []struct {
		free, total, size int64
		known, full       bool
	}{
		{2e9, 10e9, 1e9, true, false},
		{2e9, 10e9, 1e9 + 1, true, true},
		{60e9, 1000e9, 10e9, true, false},
		{60e9, 1000e9, 10e9 + 1, true, true},
		{49e9, 1000e9, 0, true, true},
		{0, 0, 1e12, false, false},
	} {
		space := func(string) (free, total int64, known bool) { return test.free, test.total, test.known }
		if err := reserve("", space)(test.size); errors.Is(err, mirror.ErrFull) != test.full {
			t.Errorf("%d bytes with %d of %d free: got error %v, want one: %v", test.size, test.free, test.total, err, test.full)
		}
	}
}
