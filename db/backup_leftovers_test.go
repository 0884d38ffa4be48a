package db_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"relcheck/db/backup"
	"relcheck/db/doctor"
)

// A backup that is being written is no leftover.
func TestActiveBackupIsNoLeftover(t *testing.T) {
	_, s := newLargeStore(t)
	target := filepath.Join(t.TempDir(), "backup.db")
	called := false
	_, err := backup.Create(context.Background(), s, target, schema(t), func(int64, int64) {
		if len(fileNames(t, filepath.Dir(target))) < 2 {
			t.Fatal("the backup has no partial file")
		}
		removed, err := backup.RemoveLeftovers(target)
		if len(removed) > 0 || err != nil {
			t.Errorf("removed %v (error %v), want nothing", removed, err)
		}
		called = true
	})
	if err != nil || !called {
		t.Errorf("Create called progress: %v (error %v), want true", called, err)
	}
	if all := fileNames(t, filepath.Dir(target)); len(all) != 1 {
		t.Errorf("got files %v, want only the backup", all)
	}
}

// RemoveLeftovers removes the files of killed backups and restores, and no others.
func TestLeftovers(t *testing.T) {
	const signed = "\x00123" // of a process that no longer exists
	folder, hours := t.TempDir(), 2*time.Hour
	for name, age := range map[string]time.Duration{
		"a.db": 0, "a.db.partial-1": 0, "a.db.partial-1-wal": 0, "a.db.partial-1-journal": 0, "a.db.partial-1-lock": 0,
		"b.db.partial-2": 0, "b.db.partial-2-lock": 0, // for another target
		"a.db.partial-3":                         hours, // of an older relcheck without lock files
		"relcheck-20200101T000000Z.db.partial-4": hours,
		"c.db.partial-5-lock":                    hours, // killed before it was signed
		"a.db.partial-6":                         0,
		"c.db.partial-7":                         hours, // may belong to another program
		"a.db.partial-x":                         hours,
		"a.db.partial-8-lock":                    0, // a process is about to sign it
	} {
		text := ""
		if strings.HasSuffix(name, "-lock") && age == 0 && name != "a.db.partial-8-lock" {
			text = signed
		}
		write(t, filepath.Join(folder, name), text)
		if err := os.Chtimes(filepath.Join(folder, name), time.Time{}, time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	kept := []string{"a.db", "a.db.partial-6", "a.db.partial-8-lock", "a.db.partial-x", "c.db.partial-7"}
	all, err := backup.Leftovers(filepath.Join(folder, "a.db"))
	if err != nil || len(all) != 5 {
		t.Errorf("got leftovers %v (error %v), want 5", all, err)
	}
	removed, err := backup.RemoveLeftovers(filepath.Join(folder, "a.db"))
	if err != nil || !slices.Equal(removed, all) {
		t.Errorf("removed %v (error %v), want %v", removed, err, all)
	}
	if left := fileNames(t, folder); !slices.Equal(left, kept) {
		t.Errorf("got remaining files %v, want %v", left, kept)
	}
	for _, target := range []string{filepath.Join(folder, "none", "a.db"), "postgres://relcheck@localhost/relcheck", "host=localhost"} {
		if all, err := backup.Leftovers(target); len(all) > 0 || err != nil {
			t.Errorf("leftovers of %s: got %v (error %v), want none", target, all, err)
		}
	}
}

// The doctor lists leftovers beside the store and in the backup folder.
func testDoctorLeftovers(t *testing.T, name string) {
	open(t, name)
	folder := t.TempDir()
	target := filepath.Join(folder, "a.db")
	targets := []string{target}
	if !strings.HasPrefix(name, "postgres://") {
		targets = append(targets, name)
	}
	if text := examineWith(t, name, doctor.Options{BackupDir: folder})["leftovers"]; !strings.HasPrefix(text, "0 ") {
		t.Errorf("no leftovers: got %s, want severity 0", text)
	}
	for _, target := range targets {
		write(t, target+".partial-1", "half a backup")
		write(t, target+".partial-1-lock", "\x00123")
	}
	text := examineWith(t, name, doctor.Options{BackupDir: folder})["leftovers"]
	for _, target := range targets {
		if !strings.HasPrefix(text, "1 ") || !strings.Contains(text, target+".partial-1") {
			t.Errorf("got %s, want a warning about %s.partial-1", text, target)
		}
	}
}
