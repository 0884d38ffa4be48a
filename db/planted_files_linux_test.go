package db_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"relcheck/db"
	"relcheck/db/backup"
)

// Files and links that another user has created beside a store are refused, and the files
// that they link to are not changed.
func TestPlantedFiles(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("missing: permission to change the owner of a file")
		}
		t.Skip("missing: permission to change the owner of a file")
	}
	backupFile := filepath.Join(t.TempDir(), "backup.db")
	_, err := backup.Create(ctx, open(t, filepath.Join(t.TempDir(), "a.db")), backupFile, schema(t), noProgress)
	must(t, err)
	for name, plant := range map[string]func(name, victim string) error{
		"symbolic link": func(name, victim string) error { return os.Symlink(victim, name) },
		"other owner": func(name, _ string) error {
			return errors.Join(os.WriteFile(name, nil, 0o600), os.Chown(name, 12345, -1))
		},
		"hard link to root's file": func(name, victim string) error { return os.Link(victim, name) },
		"pipe":                     func(name, _ string) error { return syscall.Mkfifo(name, 0o600) },
	} {
		for _, suffix := range []string{"-lock", "-wal", "-shm", "-journal", "-trial"} {
			t.Run(name+" "+suffix, func(t *testing.T) {
				t.Parallel()
				folder := t.TempDir()
				path, victim := filepath.Join(folder, "a.db"), filepath.Join(folder, "victim")
				must(t, errors.Join(open(t, path).Close(), os.Chown(path, 12346, -1), os.Chown(folder, 12346, -1)))
				write(t, victim, "precious")
				must(t, plant(path+suffix, victim))
				before, err := os.Lstat(path + suffix)
				must(t, err)
				s, err := db.Open(ctx, path, schema(t))
				if err == nil {
					var w *db.Writer
					if w, err = s.NewWriter(slog.New(slog.DiscardHandler)); err == nil {
						w.Close()
					}
					s.Close()
				}
				if suffix == "-trial" {
					if err != nil {
						t.Error(err)
					}
				} else if err == nil || !strings.Contains(err.Error(), path+suffix) {
					t.Errorf("got error %v, want one that contains %s", err, path+suffix)
				}
				target := filepath.Join(folder, "b.db")
				must(t, plant(target+suffix, victim))
				_, err = backup.Restore(ctx, backupFile, target, schema(t), noProgress)
				if suffix != "-trial" && (err == nil || !strings.Contains(err.Error(), target+suffix)) {
					t.Errorf("restore: got error %v, want one that contains %s", err, target+suffix)
				}
				if after, err := os.Lstat(path + suffix); suffix != "-trial" && (err != nil || !os.SameFile(before, after)) {
					t.Errorf("the planted file was replaced or removed (error %v)", err)
				}
				if got := content(t, victim); got != "precious" {
					t.Errorf("got victim %q, want %q", got, "precious")
				}
			})
		}
	}
}
