package mirror

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A batch adds all contents or none, replaces existing files, and removes what a killed
// process has left.
func TestBatch(t *testing.T) {
	dir := t.TempDir()
	f, err := Create(dir, "store")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := errors.Join(f.root.Mkdir(incoming, 0o755), f.root.WriteFile(incoming+"/left", nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	newBatch := func() *Batch {
		b, err := f.NewBatch(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	one, two := Content{strings.Repeat("1", 64), 3}, Content{strings.Repeat("2", 64), 3}
	b := newBatch()
	if err := b.Add(strings.NewReader("one"), one.SHA256); err != nil {
		t.Fatal(err)
	}
	if err := b.Add(strings.NewReader("x"), "../x"); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("a name that is no SHA-256: got error %v, want ErrInvalid", err)
	}
	if err := b.Add(io.MultiReader(strings.NewReader("t"), failing{}), two.SHA256); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("a content that cannot be read: got error %v, want ErrNoProgress", err)
	}
	busy, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	if _, err := f.NewBatch(busy); err == nil {
		t.Error("a second batch: got no error")
	}
	if err := b.Close(); err != nil || f.Has(one) {
		t.Errorf("closed: got error %v and content %v, want none", err, f.Has(one))
	}
	if _, err := os.Stat(filepath.Join(dir, incoming)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got error %v about the subfolder, want that it does not exist", err)
	}
	b = newBatch()
	defer b.Close()
	for _, c := range []Content{one, two} {
		if err := b.Add(strings.NewReader("abc"), c.SHA256); err != nil {
			t.Fatal(err)
		}
	}
	if f.Has(one) {
		t.Error("got a content before the batch was published")
	}
	for range 2 {
		if err := b.Publish(); err != nil || !f.Has(one) || !f.Has(two) {
			t.Errorf("published: got error %v and contents %v and %v, want both", err, f.Has(one), f.Has(two))
		}
	}
}

// failing is a reader that always fails.
type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrNoProgress }
