package command

import (
	"testing"
	"time"
)

// An interval is a time that is not too short, or never.
func TestIntervalFlag(t *testing.T) {
	for _, test := range []struct {
		text string
		want time.Duration
		ok   bool
	}{
		{"1h", time.Hour, true},
		{"1m", time.Minute, true},
		{"never", 0, true},
		{"forever", time.Second, false},
		{"30s", time.Second, false},
		{"0", time.Second, false},
		{"", time.Second, false},
	} {
		got := time.Second
		f := intervalFlag{durationFlag{&got, time.Minute, false}}
		if err := f.Set(test.text); got != test.want || (err == nil) != test.ok {
			t.Errorf("%q: got %v (error %v), want %v", test.text, got, err, test.want)
		}
	}
	if got := (intervalFlag{durationFlag{new(time.Duration), time.Minute, false}}).String(); got != "never" {
		t.Errorf("got default %q, want never", got)
	}
}
