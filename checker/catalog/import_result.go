package catalog

import (
	"errors"
	"fmt"

	"relcheck/checker/printable"
)

// ImportResult counts the releases of an import by result.
type ImportResult struct {
	Added, Changed, Unchanged int
	Gone                      int // which the list does not contain any more
}

func (c ImportResult) String() string {
	n := c.Added + c.Changed + c.Unchanged
	s := fmt.Sprintf("%s: %d added, %d changed, %d unchanged", printable.Count(int64(n), "release"), c.Added, c.Changed, c.Unchanged)
	if c.Gone > 0 {
		s += fmt.Sprintf("; %d removed upstream", c.Gone)
	}
	return s
}

// ListResult is the result of the import of one list.
type ListResult struct {
	ImportResult
	New       []string // tags of the added releases
	Withdrawn []string // tags of the releases that upstream has withdrawn or removed
}

// Plus returns the sum of two results.
func (c ImportResult) Plus(d ImportResult) ImportResult {
	return ImportResult{c.Added + d.Added, c.Changed + d.Changed, c.Unchanged + d.Unchanged, c.Gone + d.Gone}
}

// ErrMissing is wrapped by the error about a list that is probably incomplete: it lacks more
// than half of the releases, or the latest one.
var ErrMissing = errors.New("it is probably incomplete")

// MissingError is an [ErrMissing] with the name of the list.
type MissingError struct {
	List   string // its name
	Reason string // what it lacks
}

func (e *MissingError) Error() string        { return fmt.Sprintf("%s: %v", e.Reason, ErrMissing) }
func (e *MissingError) Is(target error) bool { return target == ErrMissing }

// ErrSyncLost is returned if another sync of the product has started, because the claim of
// this one has expired.
var ErrSyncLost = errors.New("another sync of the product has started meanwhile, and nothing was stored")
