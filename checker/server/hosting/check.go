package hosting

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"golang.org/x/time/rate"

	"relcheck/checker/mirror"
)

const (
	// checkInterval is the time between two verifications of a content. checkSpeed is their
	// speed in bytes per second.
	checkInterval = 24 * time.Hour
	checkSpeed    = 20 << 20
	// checkPause is the time between two searches for contents to verify.
	checkPause = 10 * time.Minute
)

// verify verifies content, at a limited speed unless speed is nil, and records the result.
func (f *Files) verify(ctx context.Context, sum string, speed *rate.Limiter) error {
	info, err := f.Folder.VerifyAt(ctx, sum, speed)
	switch {
	case err == nil:
		f.set(sum, nil, info)
	case errors.Is(err, mirror.ErrDamaged):
		f.Log.Error("a file was damaged on disk and is no longer served: fetch it again", "sha256", sum, "err", err)
		f.set(sum, mirror.ErrDamaged, info)
	case errors.Is(err, fs.ErrNotExist):
		err = f.lost(sum, err)
	}
	return err
}

// check verifies all contents once a day, one at a time, until ctx ends.
func (f *Files) check(ctx context.Context, contents func() []mirror.Content) {
	speed := rate.NewLimiter(checkSpeed, 1<<20)
	for {
		f.checkAll(ctx, contents(), speed)
		select {
		case <-ctx.Done():
			return
		case <-time.After(min(checkPause, f.Interval)):
		}
	}
}

// checkAll verifies the contents that are due, which must be sorted. If several servers share
// the folder, one of them does it. The others learn the result when they miss a file.
func (f *Files) checkAll(ctx context.Context, contents []mirror.Content, speed *rate.Limiter) {
	release, ok, err := f.Folder.LockChecks()
	if err == nil && !ok {
		return
	}
	defer release() // after an error, for example if the folder is read-only, each server does it
	for begin, end := 0, 0; begin < len(contents); begin = end {
		digits := contents[begin].SHA256[:2]
		for end = begin; end < len(contents) && contents[end].SHA256[:2] == digits; end++ {
		}
		last := f.checked[digits]
		if recorded := f.Folder.LastCheck(digits); recorded.After(last) {
			last = recorded
		}
		if time.Since(last) < f.Interval {
			continue
		}
		for _, c := range contents[begin:end] {
			if !f.Usable(c.SHA256) {
				continue
			}
			err := f.verify(ctx, c.SHA256, speed)
			if ctx.Err() != nil {
				return
			}
			if err != nil && f.Usable(c.SHA256) {
				f.Log.Warn("cannot verify a file", "sha256", c.SHA256, "err", err)
			}
		}
		f.checked[digits] = time.Now()
		if err := f.Folder.RecordCheck(digits, f.checked[digits]); err != nil {
			f.Log.Debug("cannot record that files were verified", "err", err)
		}
	}
}
