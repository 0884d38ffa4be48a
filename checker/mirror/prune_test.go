package mirror

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// age makes a file of the folder look old.
func (f *Folder) age(t *testing.T, name string, by time.Duration) {
	t.Helper()
	at := time.Now().Add(-by)
	if err := f.root.Chtimes(name, at, at); err != nil {
		t.Fatal(err)
	}
}

func add(t *testing.T, f *Folder, text string) Content {
	t.Helper()
	c, err := f.Add(t.Context(), strings.NewReader(text), Digests{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func needing(contents ...Content) func() (map[string]bool, error) {
	needed := map[string]bool{}
	for _, c := range contents {
		needed[c.SHA256] = true
	}
	return func() (map[string]bool, error) { return needed, nil }
}

func TestPrune(t *testing.T) {
	f := folder(t)
	needed, old, rotten := add(t, f, "needed"), add(t, f, "not needed"), add(t, f, "rotten")
	add(t, f, "fresh")
	f.age(t, contentPath(needed.SHA256), 2*fresh)
	f.age(t, contentPath(old.SHA256), 2*fresh)
	for _, name := range []string{"old", "new"} {
		if err := f.root.WriteFile(path.Join(partials, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	f.age(t, path.Join(partials, "old"), 2*abandoned)
	if err := f.root.WriteFile(contentPath(rotten.SHA256), []byte("Rotten"), 0o644); err != nil {
		t.Fatal(err)
	}
	f.age(t, contentPath(rotten.SHA256), 2*abandoned)
	if err := f.Verify(t.Context(), rotten.SHA256); !errors.Is(err, ErrDamaged) {
		t.Fatalf("got error %v, want %v", err, ErrDamaged)
	}
	n, size, err := f.Prune(t.Context(), needing(needed))
	if n != 1 || size != old.Size || err != nil {
		t.Errorf("got %d files with %d bytes (error %v), want one with %d", n, size, err, old.Size)
	}
	if left := partialFiles(t, f); len(left) != 1 || left[0] != "new" || checkFolder(t, f) != 2 {
		t.Errorf("got partial files %v, want new", left)
	}
	away := path.Join(damaged, rotten.SHA256)
	if _, err := f.root.Stat(away); err != nil {
		t.Errorf("damaged content: got error %v, want it kept for %v", err, abandoned)
	}
	f.age(t, away, 2*abandoned)
	if _, _, err := f.Prune(t.Context(), needing()); err != nil {
		t.Error(err)
	}
	if _, err := f.root.Stat(away); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("damaged content after %v: got error %v, want it removed", 2*abandoned, err)
	}
}

// TestHold checks that content which a process is about to use is not removed.
func TestHold(t *testing.T) {
	f := folder(t)
	c := add(t, f, "old")
	f.age(t, contentPath(c.SHA256), 2*fresh)
	release, err := f.Hold(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	other, err := Open(f.path, "store")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	again, err := other.Hold(t.Context(), c) // several processes can hold contents
	if err != nil {
		t.Fatal(err)
	}
	again()
	ended := make(chan error)
	var recorded atomic.Bool
	go func() {
		n, _, err := other.Prune(t.Context(), func() (map[string]bool, error) { return map[string]bool{c.SHA256: recorded.Load()}, nil })
		if n != 0 {
			err = errors.New("the content was removed")
		}
		ended <- err
	}()
	select {
	case err := <-ended:
		t.Errorf("prune did not wait: got error %v", err)
	case <-time.After(200 * time.Millisecond):
	}
	recorded.Store(true)
	release()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if n, _, err := other.Prune(t.Context(), needing()); n != 1 || err != nil {
		t.Errorf("after the release: got %d removed contents (error %v), want one", n, err)
	}
	if _, err := f.Hold(t.Context(), c); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("removed content: got error %v, want %v", err, fs.ErrNotExist)
	}
	release, err = f.Hold(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, _, err := other.Prune(ctx, needing()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("cancelled: got error %v, want %v", err, context.DeadlineExceeded)
	}
}

// TestOwner checks that a folder belongs to one store, and that Open creates nothing.
func TestOwner(t *testing.T) {
	empty := t.TempDir()
	if _, err := Open(empty, "a"); err == nil || !strings.Contains(err.Error(), "not a folder of files") {
		t.Errorf("empty folder: got error %v, want that it is not a folder of files", err)
	}
	if entries, err := os.ReadDir(empty); len(entries) > 0 || err != nil {
		t.Errorf("got files %v (error %v), want none", entries, err)
	}
	if _, err := Open(filepath.Join(empty, "missing"), "a"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing folder: got error %v, want %v", err, fs.ErrNotExist)
	}
	for _, open := range []func(folder, store string) (*Folder, error){Create, Open, Create} {
		f, err := open(empty, "a")
		if err != nil {
			t.Fatal(err)
		}
		if left := partialFiles(t, f); len(left) > 0 {
			t.Errorf("got partial files %v, want none", left)
		}
		f.Close()
	}
	for _, open := range []func(folder, store string) (*Folder, error){Create, Open} {
		if _, err := open(empty, "b"); err == nil || !strings.Contains(err.Error(), `belongs to store "a", and this is store b`) {
			t.Errorf("folder of another store: got error %v, want its owner", err)
		}
	}
}

// TestReplacedWhileVerified checks that a content which replaces a damaged one is not moved
// away.
func TestReplacedWhileVerified(t *testing.T) {
	f := folder(t)
	c := add(t, f, "content")
	if err := f.root.WriteFile(contentPath(c.SHA256), []byte("Content"), 0o644); err != nil {
		t.Fatal(err)
	}
	read, err := f.Stat(c.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	add(t, f, "content")
	if err := f.moveDamaged(c.SHA256, read); !errors.Is(err, ErrChanging) {
		t.Errorf("got error %v, want %v", err, ErrChanging)
	}
	if err := f.Verify(t.Context(), c.SHA256); err != nil {
		t.Errorf("got error %v, want sound content", err)
	}
}

// TestReplacedSubfolder replaces the subfolder of a content that was opened before, as a
// restored backup does.
func TestReplacedSubfolder(t *testing.T) {
	f := folder(t)
	c := add(t, f, "content")
	for i := range 3 {
		file, err := f.Get(c.SHA256)
		if err != nil {
			t.Fatalf("open %d: %v", i, err)
		}
		file.Close()
		sub := path.Join(contents, c.SHA256[:2])
		if err := errors.Join(f.root.RemoveAll(sub), f.root.Mkdir(sub, 0o755), f.root.WriteFile(contentPath(c.SHA256), []byte("content"), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
}
