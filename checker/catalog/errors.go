// Package catalog defines products and their releases, checks their fields and
// applies changes to them. The command line and the HTTP API share it.
package catalog

import (
	"errors"
	"fmt"
	"time"
)

// ErrNotFound is wrapped by errors about a product, a release or a token that does
// not exist.
var ErrNotFound = errors.New("not found")

// ErrInUse is wrapped by errors about a change that something else prevents, such as
// a repository that another product has.
var ErrInUse = errors.New("in use")

// InUseError is an error that is [ErrInUse]. Its text includes what to do instead.
type InUseError struct {
	Field string // whose value is in use, as in [FieldError]
	Text  string
}

// InUse returns an error that is [ErrInUse] and has only the given text.
func InUse(field, format string, args ...any) error {
	return &InUseError{field, fmt.Sprintf(format, args...)}
}

func (e *InUseError) Error() string        { return e.Text }
func (e *InUseError) Is(target error) bool { return target == ErrInUse }

// ErrLimit is wrapped by errors about a product or a release over the limit.
var ErrLimit = errors.New("limit reached")

// The limits of a store. A larger catalog would take servers too long to read.
const (
	MaxProducts = 10_000
	MaxReleases = 100_000 // of all products
)

// FieldError reports an invalid field. Its text includes what to give instead.
type FieldError struct{ Field, Text string }

func (e *FieldError) Error() string { return e.Field + ": " + e.Text }

func fieldErrorf(field, format string, args ...any) error {
	return &FieldError{field, fmt.Sprintf(format, args...)}
}

// Outcome is the result of a change.
type Outcome int

const (
	Unchanged Outcome = iota
	Changed
	Added
)

// ParseTime parses an RFC 3339 time, or a date, which means its start in UTC.
func ParseTime(s string) (time.Time, error) {
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		return t, nil
	}
	return time.Parse(time.RFC3339, s)
}
