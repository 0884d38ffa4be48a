package hosting

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"relcheck/checker/mirror"
)

// sample is a folder with some contents.
type sample struct {
	*Files
	folder string
	log    bytes.Buffer
}

func newSample(t *testing.T) *sample {
	t.Helper()
	s := &sample{folder: t.TempDir()}
	folder, err := mirror.Create(s.folder, "store")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { folder.Close() })
	s.Files = New(folder, slog.New(slog.NewTextHandler(&s.log, nil)))
	return s
}

func (s *sample) add(t *testing.T, content []byte) mirror.Content {
	t.Helper()
	c, err := s.Folder.Add(t.Context(), bytes.NewReader(content), mirror.Digests{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (s *sample) path(sum string) string { return filepath.Join(s.folder, "sha256", sum[:2], sum) }

// TestRun checks that damaged content is found without a request, and missing content when it
// appears.
func TestRun(t *testing.T) {
	s := newSample(t)
	sound, rotten := s.add(t, []byte("sound")), s.add(t, []byte("rotten"))
	sum := sha256.Sum256([]byte("late"))
	late := mirror.Content{SHA256: hex.EncodeToString(sum[:]), Size: 4}
	path := s.path(rotten.SHA256)
	info, err := os.Stat(path)
	if err == nil {
		err = errors.Join(os.WriteFile(path, []byte("Rotten"), 0o644), os.Chtimes(path, info.ModTime(), info.ModTime()))
	}
	if err != nil {
		t.Fatal(err)
	}
	var changes atomic.Int64
	s.Changed = func() { changes.Add(1) }
	contents := []mirror.Content{sound, rotten, late}
	slices.SortFunc(contents, func(a, b mirror.Content) int { return strings.Compare(a.SHA256, b.SHA256) })
	s.Scan(contents)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.Run(ctx, func() []mirror.Content { return contents })
	}()
	last := contents[len(contents)-1].SHA256[:2]
	for deadline := time.Now().Add(20 * time.Second); s.Folder.LastCheck(last).IsZero() && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	cancel()
	<-ended
	if !s.Usable(sound.SHA256) || s.Usable(rotten.SHA256) || s.Usable(late.SHA256) || changes.Load() != 2 {
		t.Errorf("got usable %t, %t, %t after %d changes; want true, false, false after 2", s.Usable(sound.SHA256), s.Usable(rotten.SHA256), s.Usable(late.SHA256), changes.Load())
	}
	if _, err := os.Stat(filepath.Join(s.folder, "damaged", rotten.SHA256)); err != nil {
		t.Errorf("the damaged file is not in the folder damaged: %v", err)
	}
	s.add(t, []byte("late"))
	if s.Scan(contents); !s.Usable(late.SHA256) || s.Usable(rotten.SHA256) {
		t.Error("content that has appeared is not usable, or damaged content is")
	}
	s.add(t, []byte("rotten"))
	if s.Scan(contents); !s.Usable(rotten.SHA256) {
		t.Error("content that was stored again is not usable")
	}
	s.scanAll(nil)
	if len(s.unusable) > 0 {
		t.Errorf("got states %v of contents that are not hosted, want none", s.unusable)
	}
}

// TestChecks checks that each content is verified once in an interval by one of several
// servers, also after a restart.
func TestChecks(t *testing.T) {
	s := newSample(t)
	c := s.add(t, []byte("content"))
	rot := func() {
		t.Helper()
		if err := os.WriteFile(s.path(c.SHA256), []byte("Content"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	check := func(when string, f *Files, damaged bool) {
		t.Helper()
		f.checkAll(t.Context(), []mirror.Content{c}, rate.NewLimiter(checkSpeed, 1<<20))
		if got := !f.Usable(c.SHA256); got != damaged {
			t.Errorf("%s: got damaged %t, want %t", when, got, damaged)
		}
	}
	check("first check", s.Files, false)
	rot()
	check("second check", s.Files, false)
	restarted := New(s.Folder, s.Log)
	check("after a restart", restarted, false)
	restarted.Interval = 0
	release, ok, err := s.Folder.LockChecks()
	if !ok {
		t.Fatal(err)
	}
	check("while another server checks", restarted, false)
	release()
	check("when it is due", restarted, true)
}

// TestTrust checks that a file is served without being read to its end before, until it
// changes.
func TestTrust(t *testing.T) {
	s := newSample(t)
	c := s.add(t, make([]byte, 100_000))
	get := func() int {
		w := httptest.NewRecorder()
		if err := s.Serve(w, httptest.NewRequest("GET", "/", nil), File{Name: "a", Content: c, Fetched: time.Now()}); err != nil {
			return 0
		}
		return w.Body.Len()
	}
	for range maxHashing { // nothing can be verified
		s.hashing <- struct{}{}
	}
	if got := get(); got != 100_000 {
		t.Fatalf("first download: got %d bytes, want 100000", got)
	}
	for range maxHashing {
		<-s.hashing
	}
	now := time.Now().Add(time.Second)
	if err := os.Chtimes(s.path(c.SHA256), now, now); err != nil {
		t.Fatal(err)
	}
	if got := get(); got != 100_000 || !s.seen[c.SHA256].ModTime().Equal(now) {
		t.Errorf("file that was touched: got %d bytes, want 100000 after a verification", got)
	}
	if err := os.Truncate(s.path(c.SHA256), 1000); err != nil {
		t.Fatal(err)
	}
	if got := get(); got != 0 || !errors.Is(s.Problem(c.SHA256), mirror.ErrDamaged) {
		t.Errorf("truncated file: got %d bytes and state %v, want none and %v", got, s.Problem(c.SHA256), mirror.ErrDamaged)
	}
	c = s.add(t, bytes.Repeat([]byte("changed while no server runs"), 1000))
	if err := os.WriteFile(s.path(c.SHA256), make([]byte, c.Size), 0o644); err != nil {
		t.Fatal(err)
	}
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(s.path(c.SHA256), later, later); err != nil {
		t.Fatal(err)
	}
	if got := get(); got != 0 || !errors.Is(s.Problem(c.SHA256), mirror.ErrDamaged) {
		t.Errorf("file that changed after it was recorded: got %d bytes and state %v, want none and %v", got, s.Problem(c.SHA256), mirror.ErrDamaged)
	}
}

// TestHangingFolder checks that downloads and scans that hang leave the rest of the server
// alone.
func TestHangingFolder(t *testing.T) {
	s := newSample(t)
	c := s.add(t, []byte("content"))
	s.downloads.Store(maxDownloads)
	if err := s.Serve(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil), File{Name: "a", Content: c}); !errors.Is(err, ErrBusy) {
		t.Errorf("got error %v, want %v", err, ErrBusy)
	}
	if got := s.downloads.Load(); got != maxDownloads {
		t.Errorf("got %d downloads, want %d", got, maxDownloads)
	}
	synctest.Test(t, func(t *testing.T) {
		f := New(s.Folder, s.Log)
		f.scanning <- struct{}{} // as a scan that hangs
		begun := time.Now()
		for range 100 {
			f.Scan([]mirror.Content{c})
		}
		if took := time.Since(begun); took != scanTimeout {
			t.Errorf("100 scans of a folder that does not answer took %v, want %v", took, scanTimeout)
		}
		<-f.scanning
		synctest.Wait()
		if f.hanging.Load() {
			t.Error("the folder still hangs after it has answered")
		}
	})
}

// TestFetcherLimits checks that the number of requests that wait for fetches is limited.
func TestFetcherLimits(t *testing.T) {
	block := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	f := NewFetcher(ctx)
	var refused atomic.Int64
	ended := make(chan error, maxFetchers+10)
	for i := range maxFetchers + 10 {
		go func() {
			_, err := f.Fetch(t.Context(), fmt.Sprint(i), func(context.Context) (f File, err error) {
				<-block
				return f, errors.New("closed")
			})
			if errors.Is(err, ErrBusy) {
				refused.Add(1)
			}
			ended <- err
		}()
	}
	for deadline := time.Now().Add(20 * time.Second); refused.Load() < 10 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	if got := refused.Load(); got != 10 {
		t.Errorf("got %d refused requests, want 10", got)
	}
	cancel()
	close(block)
	for range cap(ended) {
		if err := <-ended; err == nil {
			t.Error("got no error from a fetch that was cancelled")
		}
	}
}
