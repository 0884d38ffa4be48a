package command

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"relcheck/checker/catalog"
)

// parseSince reads a duration before now, in days ("7d") or as Go writes it,
// or a point in time. Empty means since ever.
func parseSince(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := parseDuration(s); err == nil {
		return now.Add(-d), nil
	}
	if t, err := catalog.ParseTime(s); err == nil {
		return t, nil
	}
	return time.Time{}, misused("--since: %q is neither a time ago (24h, 7d) nor a date (2026-01-31) nor an RFC 3339 time", s)
}

// parseDuration reads days ("7d"), or what Go writes ("90m").
func parseDuration(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(n) * 24 * time.Hour, err
	}
	d, err := time.ParseDuration(s)
	if err == nil && d < 0 {
		err = strconv.ErrRange
	}
	return d, err
}

// retention is a flag's value: how long something is kept; 0 is for ever.
type retention time.Duration

func (r *retention) Type() string { return "time" }

func (r *retention) String() string {
	if *r == 0 {
		return "forever"
	}
	return showDuration(time.Duration(*r))
}

// showDuration writes whole days as such.
func showDuration(d time.Duration) string {
	const day = 24 * time.Hour
	if d%day == 0 {
		return strconv.Itoa(int(d/day)) + "d"
	}
	return d.String()
}

func (r *retention) Set(s string) error {
	if s == "forever" {
		*r = 0
		return nil
	}
	d, err := parseDuration(s)
	if err != nil || d < time.Hour {
		return errors.New("give days (30d), hours (36h), or forever")
	}
	*r = retention(d)
	return nil
}

// interval is a flag's value: how often something is done.
type interval time.Duration

func (i *interval) Type() string { return "time" }

func (i *interval) String() string { return showDuration(time.Duration(*i)) }

func (i *interval) Set(s string) error {
	d, err := parseDuration(s)
	if err != nil || d < time.Minute {
		return errors.New("give days (1d), hours (24h), or minutes (30m)")
	}
	*i = interval(d)
	return nil
}
