package command

import (
	"testing"
	"time"

	"relcheck/checker/catalog"
)

// FuzzTimes parses arbitrary text as a time, a duration and a retention.
func FuzzTimes(f *testing.F) {
	for _, s := range []string{"7d", "1w", "8191w", "24h", "90m", "forever", "", "65536d", "-1h", "1e9h", "2562047h47m16.854775807s", "2026-01-31", "2026-01-31T00:00:00+23:59", "0d", "36h0m0s", "٣d"} {
		f.Add(s)
	}
	now := time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := catalog.ParseDuration(s); err == nil && d < 0 {
			t.Errorf("ParseDuration(%q) = %v, want no negative duration", s, d)
		}
		if at, err := parseSince(s, now); err == nil && at.After(now) {
			if _, isTime := catalog.ParseTime(s); isTime != nil {
				t.Errorf("parseSince(%q) = %v, want a time that has passed", s, at)
			}
		}
		var d, again time.Duration
		keep := durationFlag{&d, time.Hour, true}
		if keep.Set(s) != nil {
			return
		}
		if d != 0 && d < time.Hour {
			t.Errorf("retention %q: got %v, want at least 1h", s, d)
		}
		if err := (durationFlag{&again, time.Hour, true}).Set(keep.String()); err != nil || again != d {
			t.Errorf("retention %q: its String %s parses as %v (error %v), want the same", s, keep, again, err)
		}
	})
}
