// Package hosting serves files of releases from a folder, and fetches missing ones. It only
// sends content that has the expected SHA-256.
package hosting

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"relcheck/checker/mirror"
)

const (
	// searchInterval is the time between two searches for missing contents, and
	// scanInterval between two searches for all of them.
	searchInterval = 30 * time.Second
	scanInterval   = 10 * time.Minute
	// scanTimeout is the maximum time that Scan waits for the file system.
	scanTimeout = 5 * time.Second
	// maxHashing is the maximum number of contents that are verified for clients at the
	// same time.
	maxHashing = 2
	// maxDownloads is the maximum number of downloads at the same time. If the file system
	// hangs, they hang with it, and must leave connections for other requests.
	maxDownloads = 1024
	// recordTime is the maximum time between the end of a file's download and its record.
	recordTime = time.Minute
	// maxSeen is the maximum number of files whose state is remembered.
	maxSeen = 20_000
)

// ErrBusy is returned while there are too many downloads or too many fetches.
var ErrBusy = errors.New("too many requests for files")

// Files serves the contents of a folder. It trusts a file until it changes, because
// contents are verified when they are stored and once a day.
type Files struct {
	Folder *mirror.Folder
	Log    *slog.Logger

	// Changed is called after the result of Usable has changed for some content.
	Changed func()

	// Interval replaces checkInterval in tests.
	Interval time.Duration

	mu       sync.RWMutex
	unusable map[string]error       // fs.ErrNotExist or mirror.ErrDamaged, by SHA-256
	seen     map[string]fs.FileInfo // of trusted and of damaged files, by SHA-256

	scanning  chan struct{} // holds one element while a scan runs
	hanging   atomic.Bool   // the file system did not answer a scan in time
	downloads atomic.Int64
	verifying singleflight.Group
	hashing   chan struct{}
	checked   map[string]time.Time // by the first two digits of contents; for [Files.checkAll]
}

// New returns Files without hooks.
func New(folder *mirror.Folder, log *slog.Logger) *Files {
	return &Files{Folder: folder, Log: log, Changed: func() {}, Interval: checkInterval, unusable: map[string]error{}, seen: map[string]fs.FileInfo{},
		scanning: make(chan struct{}, 1), hashing: make(chan struct{}, maxHashing), checked: map[string]time.Time{}}
}

// Usable reports whether content can be served, as far as is known.
func (f *Files) Usable(sum string) bool { return f.Problem(sum) == nil }

// Problem returns [fs.ErrNotExist] or [mirror.ErrDamaged] for content that cannot be served,
// as far as is known.
func (f *Files) Problem(sum string) error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.unusable[sum]
}

// set records why content is unusable, or nil, and its file.
func (f *Files) set(sum string, problem error, info fs.FileInfo) {
	f.mu.Lock()
	changed := (f.unusable[sum] == nil) != (problem == nil)
	f.unusable[sum], f.seen[sum] = problem, info
	if problem == nil {
		delete(f.unusable, sum)
	}
	if info == nil {
		delete(f.seen, sum)
	}
	for other := range f.seen { // in random order
		if len(f.seen) <= maxSeen {
			break
		}
		if other != sum && f.unusable[other] == nil {
			delete(f.seen, other)
		}
	}
	f.mu.Unlock()
	if changed {
		f.Changed()
	}
}

// Forget resets the state of content, which was just stored.
func (f *Files) Forget(sum string) { f.set(sum, nil, nil) }

// Scan checks which contents are in the folder. If the file system does not answer in time,
// Scan continues in the background, and further calls do nothing until it has ended.
func (f *Files) Scan(contents []mirror.Content) {
	if f.hanging.Load() {
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.scanning <- struct{}{}
		defer func() { <-f.scanning }()
		for _, c := range contents {
			f.search(c)
		}
	}()
	select {
	case <-done:
	case <-time.After(scanTimeout):
		f.hanging.Store(true)
		f.Log.Warn("the folder of files does not answer", "timeout", scanTimeout)
		go func() { <-done; f.hanging.Store(false) }()
	}
}

// Find searches for content that could not be served, and reports whether it can be now.
func (f *Files) Find(c mirror.Content) bool {
	f.Scan([]mirror.Content{c})
	return f.Usable(c.SHA256)
}

// search checks whether content is in the folder.
func (f *Files) search(c mirror.Content) {
	info, err := f.Folder.Stat(c.SHA256)
	f.mu.RLock()
	problem, seen := f.unusable[c.SHA256], f.seen[c.SHA256]
	f.mu.RUnlock()
	switch found := err == nil && info.Mode().IsRegular() && info.Size() == c.Size; {
	case !found && problem == nil:
		f.set(c.SHA256, fs.ErrNotExist, nil)
	case found && problem != nil && (seen == nil || !mirror.Same(seen, info)):
		f.Forget(c.SHA256)
	}
}

// scanAll scans all hosted contents, and forgets the others.
func (f *Files) scanAll(contents []mirror.Content) {
	f.Scan(contents)
	hosted := make(map[string]bool, len(contents))
	for _, c := range contents {
		hosted[c.SHA256] = true
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for sum := range f.unusable {
		if !hosted[sum] {
			delete(f.unusable, sum)
			delete(f.seen, sum)
		}
	}
}

// Run searches for missing contents and verifies all contents once a day, until ctx ends.
func (f *Files) Run(ctx context.Context, contents func() []mirror.Content) {
	var checks sync.WaitGroup
	defer checks.Wait()
	checks.Go(func() { f.check(ctx, contents) })
	search := time.NewTicker(searchInterval)
	defer search.Stop()
	for next := time.Now().Add(scanInterval); ; {
		select {
		case <-ctx.Done():
			return
		case <-search.C:
		}
		all := contents()
		if time.Now().Before(next) {
			missing := all[:0]
			for _, c := range all {
				if !f.Usable(c.SHA256) {
					missing = append(missing, c)
				}
			}
			f.Scan(missing)
			continue
		}
		next = time.Now().Add(scanInterval)
		f.scanAll(all)
	}
}

// open opens trusted content. The error wraps [fs.ErrNotExist], [mirror.ErrDamaged] or
// [mirror.ErrChanging].
func (f *Files) open(ctx context.Context, meta File) (*os.File, fs.FileInfo, error) {
	c := meta.Content
	for range 2 {
		file, err := f.Folder.Get(c.SHA256)
		if err != nil {
			return nil, nil, f.lost(c.SHA256, err)
		}
		info, err := file.Stat()
		if err == nil && !info.Mode().IsRegular() {
			err = f.lost(c.SHA256, fs.ErrNotExist)
		}
		if err == nil && f.trusts(meta, info) {
			return file, info, nil
		}
		file.Close()
		if err == nil {
			err = f.verifyNow(ctx, c.SHA256)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return nil, nil, mirror.ErrChanging
}

// trusts reports whether a file does not have to be verified before it is served. A file that
// was changed after it was recorded, and has not been verified since, must be.
func (f *Files) trusts(meta File, info fs.FileInfo) bool {
	c := meta.Content
	f.mu.RLock()
	problem, seen := f.unusable[c.SHA256], f.seen[c.SHA256]
	f.mu.RUnlock()
	if problem == nil && seen != nil {
		return mirror.Same(seen, info)
	}
	changed := info.ModTime()
	if problem != nil || info.Size() != c.Size || changed.After(meta.Fetched.Add(recordTime)) && changed.After(f.Folder.LastCheck(c.SHA256[:2])) {
		return false
	}
	f.set(c.SHA256, nil, info) // it was verified when it was stored
	return true
}

// lost marks content as missing, unless the file is there and the error is temporary.
func (f *Files) lost(sum string, err error) error {
	if info, e := f.Folder.Stat(sum); e == nil && info.Mode().IsRegular() {
		return err
	}
	if f.Usable(sum) {
		f.Log.Error("a file is missing in the folder and is not served: fetch it again", "sha256", sum)
		f.set(sum, fs.ErrNotExist, nil)
	}
	return fmt.Errorf("%w: %w", fs.ErrNotExist, err)
}

// verifyNow verifies content for a client. Clients of the same content share one
// verification.
func (f *Files) verifyNow(ctx context.Context, sum string) error {
	done := f.verifying.DoChan(sum, func() (any, error) {
		f.hashing <- struct{}{}
		defer func() { <-f.hashing }()
		return nil, f.verify(context.WithoutCancel(ctx), sum, nil)
	})
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case result := <-done:
		return result.Err
	}
}
