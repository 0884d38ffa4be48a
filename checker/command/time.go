package command

import (
	"strconv"
	"strings"
	"time"
)

// parseTime reads an RFC 3339 time, or a date as its first moment in UTC.
func parseTime(s string) (time.Time, error) {
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		return t, nil
	}
	return time.Parse(time.RFC3339, s)
}

// parseSince reads a duration before now, in days ("7d") or as Go writes it,
// or a point in time. Empty means since ever.
func parseSince(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return now.AddDate(0, 0, -int(n)), nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	if t, err := parseTime(s); err == nil {
		return t, nil
	}
	return time.Time{}, misused("--since: %q is neither a time ago (24h, 7d) nor a date (2026-01-31) nor an RFC 3339 time", s)
}
