package db_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"relcheck/db"
	"relcheck/db/backup"
)

func fileNames(t testing.TB, folder string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// runSchedule makes backups in the background until stop is called. stop returns the log.
func runSchedule(t *testing.T, s *db.Store, b *backup.Schedule) (stop func() string) {
	t.Helper()
	if err := b.Prepare(context.Background(), s); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		b.Run(ctx, s, slog.New(slog.NewTextHandler(&log, nil)))
		close(done)
	}()
	stopped := false
	stop = func() string {
		if !stopped {
			cancel()
			<-done
		}
		stopped = true
		return log.String()
	}
	t.Cleanup(func() { stop() })
	return stop
}

// await waits up to a minute for a condition.
func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("timeout after a minute while waiting for %s", what)
		}
	}
}

func storeID(t testing.TB, s *db.Store) int64 {
	t.Helper()
	id, err := s.ID(context.Background())
	if err != nil || id <= 0 {
		t.Fatalf("got ID %d (error %v), want a positive number", id, err)
	}
	return id
}

// backUpAt makes a backup with the name that a scheduled backup of that time has.
func backUpAt(t testing.TB, s *db.Store, folder string, at time.Time) (name string) {
	t.Helper()
	name = backup.FileName(storeID(t, s), at)
	if _, err := backup.Create(context.Background(), s, filepath.Join(folder, name), schema(t), noProgress); err != nil {
		t.Fatal(err)
	}
	return name
}

var longAgo = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// The schedule makes backups regularly, removes the oldest ones and stale partial files, and
// leaves all other files alone.
func testScheduledBackups(t *testing.T, name string) {
	s := open(t, name)
	fillStore(t, s)
	folder := t.TempDir()
	others := []string{"notes.txt", "relcheck-20200101T000000Z.db", "relcheck-20200101T000000Z.db.bak", "relcheck-2020.db", "relcheck.db"}
	for _, other := range others {
		write(t, filepath.Join(folder, other), "mine")
	}
	oldest := backUpAt(t, s, folder, longAgo)
	stale := filepath.Join(folder, backup.FileName(storeID(t, s), longAgo.Add(time.Second))+".partial-1")
	write(t, stale, "half a backup")
	if err := os.Chtimes(stale, time.Time{}, time.Now().Add(-2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	b := &backup.Schedule{Folder: folder, Every: time.Second, Keep: 2, Schema: schema(t)}
	stop := runSchedule(t, s, b)
	seen := map[time.Time]bool{}
	await(t, "three backups", func() bool {
		if at, _ := b.Last(); at.Year() > 2020 {
			seen[at] = true
		}
		return len(seen) == 3
	})
	log := stop()
	var left []string
	for _, name := range fileNames(t, folder) {
		if !slices.Contains(others, name) {
			left = append(left, name)
		}
	}
	if len(left) != 2 || slices.Contains(left, oldest) {
		t.Errorf("got backups %v, want 2 without %s", left, oldest)
	}
	if len(fileNames(t, folder)) != len(others)+2 {
		t.Errorf("got files %v, want 2 and %v", fileNames(t, folder), others)
	}
	for _, name := range left {
		if rows, err := backup.Verify(context.Background(), filepath.Join(folder, name), schema(t)); err != nil || rows["report"] != 2 {
			t.Errorf("verify %s: got rows %v (error %v), want 2 reports", name, rows, err)
		}
	}
	at, size := b.Last()
	if info, err := os.Stat(filepath.Join(folder, left[1])); err != nil || info.Size() != size || time.Since(at) > time.Minute || b.Failures() > 0 {
		t.Errorf("got last backup of %v with %d bytes and %d failures, want a recent one of the size of %s\n%s", at, size, b.Failures(), left[1], log)
	}
}

// Failing backups remove no old ones and are logged once.
func TestFailedBackups(t *testing.T) {
	t.Parallel()
	path, s := newLargeStore(t)
	s.Close()
	good := content(t, path)
	damagePage(t, path, 50)
	s = open(t, path)
	folder := t.TempDir()
	for days := range 2 {
		write(t, filepath.Join(folder, backup.FileName(storeID(t, s), longAgo.AddDate(0, 0, days))), good)
	}
	b := &backup.Schedule{Folder: folder, Every: time.Second, Keep: 1, Schema: schema(t)}
	stop := runSchedule(t, s, b)
	await(t, "three failures", func() bool { return b.Failures() >= 3 })
	log := stop()
	if n := strings.Count(log, "backup failed"); n != 1 || !strings.Contains(log, "damaged") {
		t.Errorf("got %d log lines about the failure, want one that contains \"damaged\":\n%s", n, log)
	}
	if left := fileNames(t, folder); len(left) != 2 {
		t.Errorf("got files %v, want 2", left)
	}
}

// The schedule continues once a missing folder is back.
func TestBackupsAfterMissingFolder(t *testing.T) {
	t.Parallel()
	_, s := newLargeStore(t)
	folder := filepath.Join(t.TempDir(), "backups")
	b := &backup.Schedule{Folder: folder, Every: time.Second, Keep: 1, Schema: schema(t)}
	if err := b.Prepare(context.Background(), s); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("missing folder: got error %v, want \"does not exist\"", err)
	}
	mkdir(t, folder)
	stop := runSchedule(t, s, b)
	await(t, "a backup", func() bool { return len(fileNames(t, folder)) > 0 })
	if err := os.Rename(folder, folder+"-old"); err != nil { // a removal would fail if a backup is being written
		t.Fatal(err)
	}
	await(t, "a failure", func() bool { return b.Failures() > 0 })
	mkdir(t, folder)
	await(t, "another backup", func() bool { return len(fileNames(t, folder)) > 0 })
	if log := stop(); strings.Count(log, "backup failed") != 1 {
		t.Errorf("got this log, want one failure:\n%s", log)
	}
}

// When the clock jumps, the schedule keeps the latest backup, and removes the others in the
// order of their creation.
func TestBackupsAfterClockJump(t *testing.T) {
	t.Parallel()
	_, s := newLargeStore(t)
	ctx := context.Background()
	folder := t.TempDir()
	b := &backup.Schedule{Folder: folder, Every: time.Hour, Keep: 3, Schema: schema(t)}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var made []string
	backUp := func(at time.Time) {
		t.Helper()
		m, err := b.BackUp(ctx, s, at, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, m.Name)
		want := slices.Clone(made[max(0, len(made)-3):])
		slices.Sort(want)
		if got := fileNames(t, folder); !slices.Equal(got, want) {
			t.Errorf("at %v: got files %v, want %v", at, got, want)
		}
		if newest, err := newestBackup(folder, storeID(t, s), at); err != nil || newest.Name != m.Name {
			t.Errorf("at %v: got newest backup %v (error %v), want %s", at, newest, err, m.Name)
		}
	}
	for hours := range 4 {
		backUp(now.Add(time.Duration(hours) * time.Hour))
	}
	ahead := now.AddDate(1, 0, 0)
	for hours := range 4 {
		backUp(ahead.Add(time.Duration(hours) * time.Hour))
	}
	if newest, err := newestBackup(folder, storeID(t, s), now.AddDate(0, 0, 1)); err != nil || newest.Name != "" {
		t.Errorf("newest backup after the clock was corrected: got %v (error %v), want none", newest, err)
	}
	for hours := range 5 { // these replace the backups with a future date
		backUp(now.AddDate(0, 0, 1).Add(time.Duration(hours) * time.Hour))
	}
	backUp(time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC))
}
