package checker

import (
	"encoding/json"
	"fmt"
	"time"
)

// Last is the day of the last answer that an installation remembers, in days since
// 1970-01-01 UTC by the service's clock. In JSON it is a date, or null for an installation
// without an answer yet. Services count installations by it, without identifying them.
type Last int64

// Values of [Last] that are not a day.
const (
	CannotRemember Last = 0  // the program remembers nothing; not sent
	NeverAnswered  Last = -1 // the installation can remember, and has had no answer yet
	UnusableLast   Last = -2 // what a client has sent is not a day; never sent
)

const secondsPerDay = 24 * 60 * 60

// ParseLast parses a date such as 2026-01-31, later than 1970-01-01.
func ParseLast(date string) (Last, error) {
	t, err := time.Parse(time.DateOnly, date)
	if err != nil || t.Unix() <= 0 {
		return UnusableLast, fmt.Errorf("%q is not a date such as 2026-01-31", date)
	}
	return Last(t.Unix() / secondsPerDay), nil
}

// Known reports whether l is a day.
func (l Last) Known() bool { return l > 0 }

// String returns the date, or "" if l is not a day.
func (l Last) String() string {
	if !l.Known() {
		return ""
	}
	return time.Unix(int64(l)*secondsPerDay, 0).UTC().Format(time.DateOnly)
}

// MarshalJSON returns the date in quotes, or null.
func (l Last) MarshalJSON() ([]byte, error) {
	if !l.Known() {
		return []byte("null"), nil
	}
	return json.Marshal(l.String())
}

// UnmarshalJSON accepts all values. What is neither a date nor null is [UnusableLast].
func (l *Last) UnmarshalJSON(text []byte) error {
	var date *string
	switch err := json.Unmarshal(text, &date); {
	case err == nil && date == nil:
		*l = NeverAnswered
	case err == nil:
		*l, _ = ParseLast(*date)
	default:
		*l = UnusableLast
	}
	return nil
}
