package dbfile_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"relcheck/db/dbfile"
)

func TestReleaseReplacedLock(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows does not replace a file that is open")
	}
	path := filepath.Join(t.TempDir(), "store.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := dbfile.AcquireLock(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	other := path + "-other"
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(other, path+"-lock"); err != nil {
		t.Fatal(err)
	}
	if err := l.Release(); err == nil || !strings.Contains(err.Error(), path+"-lock: the file was replaced") {
		t.Errorf("got error %v, want one that names the file", err)
	}
}
