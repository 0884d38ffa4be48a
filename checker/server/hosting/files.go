// Package hosting serves files of releases from a folder, and fetches missing ones. It only
// sends content that has the expected SHA-256.
package hosting

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"

	"relcheck/checker/mirror"
)

const (
	// checkInterval is the time between two verifications of a content. checkSpeed is their
	// speed in bytes per second.
	checkInterval = 24 * time.Hour
	checkSpeed    = 20 << 20
	// searchInterval is the time between two searches for missing contents.
	searchInterval = 30 * time.Second
	// maxHashing is the maximum number of contents that are verified for clients at the
	// same time.
	maxHashing = 2
	// scanTimeout is the maximum time that Scan waits for the file system.
	scanTimeout = 5 * time.Second
)

// ErrChanging is returned for content that another process is writing.
var ErrChanging = errors.New("the file is changing on disk")

// ErrBusy is returned while there are too many unread responses or too many fetches.
var ErrBusy = errors.New("too many requests for files")

// Files serves the contents of a folder.
type Files struct {
	Folder *mirror.Folder
	Log    *slog.Logger

	// Damaged is called with the SHA-256 of damaged content.
	Damaged func(ctx context.Context, sum string)

	// Changed is called after the result of Usable has changed for some content.
	Changed func()

	// Interval replaces checkInterval in tests.
	Interval time.Duration

	mu      sync.RWMutex
	states  map[string]state // by SHA-256
	checks  singleflight.Group
	hashing chan struct{}
}

// state is the known state of content.
type state struct {
	missing bool
	damaged bool
	checked time.Time   // time of the last verification; zero if there was none since the start
	info    fs.FileInfo // of the file at this time
}

func (s state) usable() bool { return !s.missing && !s.damaged }

// New returns Files without hooks.
func New(folder *mirror.Folder, log *slog.Logger) *Files {
	return &Files{Folder: folder, Log: log, Damaged: func(context.Context, string) {}, Changed: func() {}, Interval: checkInterval,
		states: map[string]state{}, hashing: make(chan struct{}, maxHashing)}
}

// Usable reports whether the folder contains content that is not known to be damaged.
func (f *Files) Usable(sum string) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.states[sum].usable()
}

// set replaces the state of content.
func (f *Files) set(sum string, s state) {
	f.mu.Lock()
	was := f.states[sum]
	f.states[sum] = s
	f.mu.Unlock()
	if was.usable() != s.usable() {
		f.Changed()
	}
}

func (f *Files) get(sum string) state {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.states[sum]
}

// Forget resets the state of content, which was just stored.
func (f *Files) Forget(sum string) { f.set(sum, state{}) }

// Scan checks which contents are in the folder. If the file system does not answer in time,
// it continues in the background.
func (f *Files) Scan(contents []mirror.Content) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, c := range contents {
			f.Find(c)
		}
	}()
	select {
	case <-done:
	case <-time.After(scanTimeout):
		f.Log.Warn("the folder of files does not answer", "timeout", scanTimeout)
	}
}

// Find searches the folder for content, and reports whether it is usable.
func (f *Files) Find(c mirror.Content) bool {
	s := f.get(c.SHA256)
	info, err := f.Folder.Stat(c.SHA256)
	switch found := err == nil && info.Mode().IsRegular() && info.Size() == c.Size; {
	case !found && !s.missing:
		f.set(c.SHA256, state{missing: true})
	case found && (s.missing || s.damaged && !same(s.info, info)):
		f.set(c.SHA256, state{})
	}
	return f.Usable(c.SHA256)
}

// open opens content that was verified since it was last written. The error wraps
// [fs.ErrNotExist], [mirror.ErrDamaged] or [ErrChanging].
func (f *Files) open(ctx context.Context, sum string) (*os.File, fs.FileInfo, error) {
	for range 2 {
		file, info, err := f.find(sum)
		if err != nil {
			return nil, nil, err
		}
		s := f.get(sum)
		switch {
		case s.info == nil, !same(s.info, info):
		case s.damaged:
			file.Close()
			return nil, nil, mirror.ErrDamaged
		default:
			return file, info, nil
		}
		file.Close()
		if err := f.verify(ctx, sum); err != nil {
			return nil, nil, err
		}
	}
	return nil, nil, ErrChanging
}

// find opens a file without verification.
func (f *Files) find(sum string) (*os.File, fs.FileInfo, error) {
	file, err := f.Folder.Get(sum)
	if err != nil {
		return nil, nil, f.lost(sum, err)
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = f.lost(sum, fs.ErrNotExist)
	}
	if err != nil {
		file.Close()
		return nil, nil, err
	}
	return file, info, nil
}

// lost marks content as missing, unless the file is there and the error is temporary.
func (f *Files) lost(sum string, err error) error {
	if info, e := f.Folder.Stat(sum); e == nil && info.Mode().IsRegular() {
		return err
	}
	if !f.get(sum).missing {
		f.Log.Error("a file is missing in the folder and is not served: fetch it again", "sha256", sum)
		f.set(sum, state{missing: true})
	}
	return fmt.Errorf("%w: %w", fs.ErrNotExist, err)
}

// same reports whether a file has not been replaced or written to.
func same(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// verify verifies content. Requests for the same content share one verification.
func (f *Files) verify(ctx context.Context, sum string) error {
	done := f.checks.DoChan(sum, func() (any, error) {
		f.hashing <- struct{}{}
		defer func() { <-f.hashing }()
		return nil, f.check(context.WithoutCancel(ctx), sum, nil)
	})
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case result := <-done:
		return result.Err
	}
}

// check verifies content, at a limited speed unless speed is nil. It moves damaged content
// to another folder.
func (f *Files) check(ctx context.Context, sum string, speed *rate.Limiter) error {
	file, before, err := f.find(sum)
	if err != nil {
		return err
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, &slowReader{ctx, file, speed}); err != nil {
		return err
	}
	after, err := file.Stat()
	if err != nil {
		return err
	}
	if !same(before, after) {
		return ErrChanging
	}
	s := state{checked: time.Now(), info: before}
	if hex.EncodeToString(hash.Sum(nil)) != sum {
		err := f.Folder.Verify(ctx, sum) // it may have been replaced meanwhile
		if !errors.Is(err, mirror.ErrDamaged) {
			return err
		}
		f.Log.Error("a file was damaged on disk and is no longer served: fetch it again", "sha256", sum, "err", err)
		s.damaged = true
		f.set(sum, s)
		f.Damaged(ctx, sum)
		return err
	}
	f.set(sum, s)
	return nil
}

// slowReader reads a file at a limited speed.
type slowReader struct {
	ctx   context.Context
	file  io.Reader
	speed *rate.Limiter
}

func (r *slowReader) Read(p []byte) (int, error) {
	if err := context.Cause(r.ctx); err != nil {
		return 0, err
	}
	if r.speed != nil {
		p = p[:min(len(p), r.speed.Burst())]
		if err := r.speed.WaitN(r.ctx, len(p)); err != nil {
			return 0, err
		}
	}
	return r.file.Read(p)
}

// Run verifies all contents once a day, one at a time, and searches for missing ones, until
// ctx ends.
func (f *Files) Run(ctx context.Context, contents func() []mirror.Content) {
	search := time.NewTicker(searchInterval)
	defer search.Stop()
	speed := rate.NewLimiter(checkSpeed, 1<<20)
	for next := time.Now(); ; {
		all := contents()
		for _, c := range all {
			if f.get(c.SHA256).missing {
				f.Find(c)
			}
		}
		if !time.Now().Before(next) {
			next = time.Now().Add(f.Interval)
			f.Scan(all)
			f.checkAll(ctx, all, speed)
		}
		select {
		case <-ctx.Done():
			return
		case <-search.C:
		}
	}
}

// checkAll verifies the contents that are due.
func (f *Files) checkAll(ctx context.Context, contents []mirror.Content, speed *rate.Limiter) {
	for _, c := range contents {
		if s := f.get(c.SHA256); s.missing || s.damaged || time.Since(s.checked) < f.Interval/2 {
			continue
		}
		err := f.check(ctx, c.SHA256, speed)
		if ctx.Err() != nil {
			return
		}
		if err != nil && !errors.Is(err, mirror.ErrDamaged) && !errors.Is(err, fs.ErrNotExist) {
			f.Log.Warn("cannot verify a file", "sha256", c.SHA256, "err", err)
		}
	}
}
