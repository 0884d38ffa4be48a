package fetch

import (
	"cmp"
	"context"
	"errors"
	"time"
)

// Temporary is an error after which another attempt may succeed.
type Temporary struct {
	Err   error
	After time.Duration // wait that the server asks for, or 0
}

func (t Temporary) Error() string { return t.Err.Error() }
func (t Temporary) Unwrap() error { return t.Err }

// IsTemporary reports whether an error wraps a [Temporary] one.
func IsTemporary(err error) bool { return errors.As(err, new(Temporary)) }

// maxPause is the maximum time between two attempts.
const maxPause = time.Minute

// Attempts repeats something that fails for a moment.
type Attempts struct {
	// Max is the maximum number of attempts in a row without progress; 0 means 3.
	Max int
	// Pause is the time before the second attempt in a row. It doubles each time, up to a
	// minute; 0 means a second.
	Pause time.Duration
}

// Do calls f until it returns nil or an error that is not [Temporary]. f reports whether it
// has made progress.
func (a Attempts) Do(ctx context.Context, f func() (progress bool, err error)) error {
	pause := cmp.Or(a.Pause, time.Second)
	for failures := 1; ; failures++ {
		progress, err := f()
		temporary := Temporary{}
		if err == nil || !errors.As(err, &temporary) {
			return err
		}
		if progress {
			failures, pause = 0, cmp.Or(a.Pause, time.Second)
		}
		if failures >= cmp.Or(a.Max, 3) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(cmp.Or(temporary.After, pause)):
			pause = min(2*pause, maxPause)
		}
	}
}
