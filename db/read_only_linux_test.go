package db_test

import (
	"context"
	"os"
	"path/filepath"
	"relcheck/db/backup"
	"strings"
	"syscall"
	"testing"
)

// A backup on a read-only file system can be examined and restored, and is not changed. The
// same holds for a copy that another program has made.
func TestBackupOnReadOnlyMedium(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := newPopulatedStore(t, filepath.Join(t.TempDir(), "a.db"))
	fold(t, s)
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=100m"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("missing: permission to mount a small file system: %v", err)
		}
		t.Skipf("missing: permission to mount a small file system: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, 0) })
	backupFile, foreign := filepath.Join(dir, "backup.db"), filepath.Join(dir, "foreign.db")
	if _, err := backup.Create(ctx, s, backupFile, schema(t), noProgress); err != nil {
		t.Fatal(err)
	}
	write(t, foreign, content(t, backupFile))
	flipBits(t, foreign, 18, 3) // mark the file as using a WAL
	flipBits(t, foreign, 19, 3)
	for _, flags := range []uintptr{0, syscall.MS_REMOUNT | syscall.MS_RDONLY} {
		if flags != 0 {
			if err := syscall.Mount("tmpfs", dir, "tmpfs", flags, ""); err != nil {
				t.Fatal(err)
			}
		}
		for _, path := range []string{backupFile, foreign} {
			before := content(t, path)
			if found := examine(t, path, longRetention); problems(found) != "" || !strings.Contains(found["statistics"], "compared with complete days") {
				t.Errorf("doctor on %s: got %v, want no problems and the statistics compared", path, found)
			}
			if _, err := backup.Restore(ctx, path, filepath.Join(t.TempDir(), "a.db"), schema(t), noProgress); err != nil {
				t.Error(err)
			}
			if content(t, path) != before {
				t.Errorf("%s was changed", path)
			}
		}
		if left := fileNames(t, dir); len(left) != 2 {
			t.Errorf("got files %v, want 2", left)
		}
	}
}
