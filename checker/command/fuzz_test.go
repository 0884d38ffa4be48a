package command

import (
	"testing"
	"time"

	"relcheck/checker/catalog"
)

// FuzzTimes reads what people give as times and as how long something is kept.
func FuzzTimes(f *testing.F) {
	for _, s := range []string{"7d", "24h", "90m", "forever", "", "65536d", "-1h", "1e9h", "2562047h47m16.854775807s", "2026-01-31", "2026-01-31T00:00:00+23:59", "0d", "36h0m0s", "٣d"} {
		f.Add(s)
	}
	now := time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := parseDuration(s); err == nil && d < 0 {
			t.Errorf("%q is %v", s, d)
		}
		if at, err := parseSince(s, now); err == nil && at.After(now) {
			if _, isTime := catalog.ParseTime(s); isTime != nil {
				t.Errorf("%q ago is %v, in the future", s, at)
			}
		}
		var r, again retention
		if r.Set(s) != nil {
			return
		}
		if r != 0 && time.Duration(r) < time.Hour {
			t.Errorf("%q keeps for %v", s, time.Duration(r))
		}
		if err := again.Set(r.String()); err != nil || again != r {
			t.Errorf("%q is shown as %s, which is %v, %v", s, r.String(), again.String(), err)
		}
	})
}
