package db_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"relcheck/checker/catalog"
)

// On a full disk no report is acknowledged. Recording resumes by itself once there is space.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=3m"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("missing: permission to mount a small file system: %v", err)
		}
		t.Skipf("missing: permission to mount a small file system: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, 0) })
	ctx := context.Background()
	path := filepath.Join(dir, "a.db")
	s := open(t, path)
	w := writer(t, s)
	defer w.Close()
	acknowledged := map[any]bool{}
	record := func() error { // a new build each time
		r := report(fmt.Sprintf("1.0.%d", len(acknowledged)))
		_, err := w.Record(ctx, "opa", linux, r)
		if err == nil {
			acknowledged[r.ID] = true
		}
		return err
	}
	if err := record(); err != nil {
		t.Fatal(err)
	}
	filler := filepath.Join(dir, "filler")
	if err := os.WriteFile(filler, make([]byte, 4<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("fill the disk: got error %v, want ENOSPC", err)
	}
	var err error
	for range 80 { // some reports fit into space that was allocated before
		if err = record(); err != nil {
			break
		}
	}
	var full interface{ DiskFull() bool }
	if !errors.As(err, &full) || !full.DiskFull() {
		t.Errorf("record on a full disk: got error %v, want one whose DiskFull is true", err)
	}
	if w.Ready() == nil {
		t.Error("the writer is ready on a full disk")
	}
	if _, err := s.Changes(ctx, catalog.Revision{}); err != nil {
		t.Errorf("read the catalog on a full disk: %v", err)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	awaitReady(t, w)
	if err := record(); err != nil {
		t.Errorf("record once there is space: %v", err)
	}
	for _, r := range recorded(t, s, "opa") {
		delete(acknowledged, r.ID)
	}
	if len(acknowledged) > 0 {
		t.Errorf("%d acknowledged reports were lost", len(acknowledged))
	}
}
