package systemtest

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// mountSmall mounts a file system of four megabytes until the test ends.
func mountSmall(t *testing.T) (folder string) {
	t.Helper()
	folder = t.TempDir()
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size=4m"); err != nil {
		missing(t, "the right to mount a small file system: "+err.Error())
	}
	t.Cleanup(func() { syscall.Unmount(folder, syscall.MNT_DETACH) })
	return folder
}

// TestServerOnFullDisk checks that a server acknowledges nothing on a full disk, and
// recovers once there is space.
func TestServerOnFullDisk(t *testing.T) {
	t.Parallel()
	s := serveFailing(t, mountSmall(t))
	if status, _, body := s.report(t); status != http.StatusOK {
		t.Fatalf("before: got status %d, want 200: %s", status, body)
	}
	filler := filepath.Join(filepath.Dir(s.file), "filler")
	if err := os.WriteFile(filler, make([]byte, 5<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("fill the disk: got error %v, want ENOSPC", err)
	}
	status := http.StatusOK
	for range 80 { // space that was allocated before may take some reports
		if status, _, _ = s.report(t); status != http.StatusOK {
			break
		}
	}
	for range 30 { // three seconds
		s.wantRefused(t, http.StatusInsufficientStorage)
		time.Sleep(100 * time.Millisecond)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	awaitStatus(t, s.process, http.StatusOK)
	for range 5 {
		if status, _, body := s.report(t); status != http.StatusOK {
			t.Errorf("with space again: got status %d, want 200: %s", status, body)
		}
	}
	s.wantAllRecorded(t)
}

// TestServeOnReadOnlyFileSystem checks the error message for a read-only file system.
func TestServeOnReadOnlyFileSystem(t *testing.T) {
	t.Parallel()
	folder := mountSmall(t)
	file := filepath.Join(folder, "relcheck.db")
	relcheck(t, "token", "add", "x", "--db", file)
	if err := syscall.Mount("", folder, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{file, filepath.Join(folder, "none.db")} {
		output, status := relcheckStatus(t, "serve", "--listen", "127.0.0.1:0", "--db", name)
		if status != 1 || !strings.Contains(output, name) || !strings.Contains(output, "read-only") {
			t.Errorf("%s: got exit status %d and output %s, want 1, the name and read-only", filepath.Base(name), status, output)
		}
	}
}
