// Package edit is about changes of products and releases: what may be said of
// them, be it at the command line or over HTTP, and what comes of it.
package edit

import (
	"errors"
	"fmt"
	"time"
)

// ErrNotFound is wrapped by errors about a product, a release or a token that is
// not there.
var ErrNotFound = errors.New("not found")

// ErrInUse is wrapped by errors about something that cannot be changed for the
// sake of something else.
var ErrInUse = errors.New("in use")

// ErrLimit is wrapped by errors about one product or release too many.
var ErrLimit = errors.New("limit reached")

// What a store holds at most. More would take servers too long to read.
const (
	MaxProducts = 10_000
	MaxReleases = 100_000 // of all products
)

// Mistake is what is wrong with one field of what was said. Its text tells what
// to say instead.
type Mistake struct{ Field, Text string }

func (m *Mistake) Error() string { return m.Field + ": " + m.Text }

func mistake(field, format string, args ...any) error {
	return &Mistake{field, fmt.Sprintf(format, args...)}
}

// Outcome is what a change came to.
type Outcome int

const (
	Unchanged Outcome = iota // it was so already
	Changed
	Added
)

// ParseTime reads an RFC 3339 time, or a date as its first moment in UTC.
func ParseTime(s string) (time.Time, error) {
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		return t, nil
	}
	return time.Parse(time.RFC3339, s)
}
