package backup

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestRenameWithoutHardLinks(t *testing.T) {
	dir := t.TempDir()
	p := &PendingFile{Path: filepath.Join(dir, "a.partial-1"), target: filepath.Join(dir, "a")}
	linkErr := &os.LinkError{Err: os.ErrPermission}
	check := func(err, wantErr error, want string) {
		t.Helper()
		if got, readErr := os.ReadFile(p.target); !errors.Is(err, wantErr) || readErr != nil || string(got) != want {
			t.Errorf("rename: error %v, want %v; the target has %q (%v), want %q", err, wantErr, got, readErr, want)
		}
	}
	if err := errors.Join(os.WriteFile(p.Path, []byte("backup"), 0o600), os.WriteFile(p.target, []byte("other"), 0o600)); err != nil {
		t.Fatal(err)
	}
	check(p.rename(linkErr), os.ErrExist, "other")
	if err := os.Remove(p.target); err != nil {
		t.Fatal(err)
	}
	check(p.rename(linkErr), nil, "backup")
}
