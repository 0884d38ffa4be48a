package server

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// TestDialectLinks tests that a change of a file behind a symbolic link is noticed.
func TestDialectLinks(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows requires a privilege for symbolic links")
	}
	target, folder := filepath.Join(t.TempDir(), "x"), t.TempDir()
	if err := os.WriteFile(target, []byte("invalid"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, filepath.Join(folder, "x.dialect")); err != nil {
		t.Fatal(err)
	}
	f := dialectFolder{path: folder}
	if changed, errs := f.read(); !changed || len(errs) != 1 {
		t.Fatalf("got %t, %v, want a change and an error", changed, errs)
	}
	if changed, _ := f.read(); changed {
		t.Error("got a change, want none")
	}
	if err := os.Chtimes(target, time.Time{}, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if changed, _ := f.read(); !changed {
		t.Error("after the target has changed: got no change")
	}
}
