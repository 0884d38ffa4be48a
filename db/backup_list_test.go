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
	"relcheck/db/doctor"
	"relcheck/db/pgtest"
)

// backUpHourly makes n backups, an hour apart, and keeps the newest ones. It returns the log.
func backUpHourly(t testing.TB, s *db.Store, folder string, from time.Time, n, keep int) (log string) {
	t.Helper()
	var b bytes.Buffer
	backups := &backup.Schedule{Folder: folder, Every: time.Hour, Keep: keep, Schema: schema(t)}
	for i := range n {
		if _, err := backups.BackUp(context.Background(), s, from.Add(time.Duration(i)*time.Hour), slog.New(slog.NewTextHandler(&b, nil))); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

// backupNames lists the backups in a folder whose names have the ID of a store.
func backupNames(t testing.TB, folder string, store int64) (own []string) {
	t.Helper()
	prefix, _, _ := strings.Cut(backup.FileName(store, longAgo), "2020")
	for _, name := range fileNames(t, folder) {
		if strings.HasPrefix(name, prefix) && strings.HasSuffix(name, ".db") {
			own = append(own, name)
		}
	}
	return own
}

func checkFilesExist(t testing.TB, folder string, wanted []string) {
	t.Helper()
	got := fileNames(t, folder)
	for _, name := range wanted {
		if !slices.Contains(got, name) {
			t.Errorf("missing file %s in %v", name, got)
		}
	}
}

// Two stores that share a folder each keep their own number of backups.
func testBackupsOfTwoStores(t *testing.T, name string) {
	s, other := open(t, name), open(t, filepath.Join(t.TempDir(), "b.db"))
	folder := t.TempDir()
	for hours := range 4 {
		at := longAgo.Add(time.Duration(hours) * time.Hour)
		backUpHourly(t, s, folder, at, 1, 2)
		backUpHourly(t, other, folder, at, 1, 3)
	}
	if own := backupNames(t, folder, storeID(t, s)); len(own) != 2 {
		t.Errorf("got backups %v of the first store, want 2", own)
	}
	if own := backupNames(t, folder, storeID(t, other)); len(own) != 3 {
		t.Errorf("got backups %v of the second store, want 3", own)
	}

	// Backups of the other store are kept and never count as the newest, even if their
	// names have the ID of this store.
	id := storeID(t, s)
	renamed := []string{backup.FileName(id, longAgo.AddDate(-1, 0, 0)), backup.FileName(id, longAgo.AddDate(1, 0, 0))}
	foreign := content(t, filepath.Join(folder, backupNames(t, folder, storeID(t, other))[0]))
	for _, name := range renamed {
		write(t, filepath.Join(folder, name), foreign)
	}
	// So is a backup that is in use as a store. A backup without an ID in its name belongs
	// to the store whose ID is in the file.
	used := backUpAt(t, s, folder, longAgo.AddDate(-2, 0, 0))
	write(t, filepath.Join(folder, used+"-wal"), "")
	unnamed, foreigner := "relcheck-20190101T000000Z.db", "relcheck-20190101T000001Z.db"
	if _, err := backup.Create(context.Background(), s, filepath.Join(folder, unnamed), schema(t), noProgress); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(folder, foreigner), foreign)
	newest, err := newestBackup(folder, id, longAgo.AddDate(3, 0, 0))
	if want := longAgo.Add(3 * time.Hour); err != nil || !newest.At.Equal(want) {
		t.Errorf("got newest backup %v (error %v), want the one of %v", newest, err, want)
	}
	log := backUpHourly(t, s, folder, longAgo.AddDate(0, 0, 1), 3, 2)
	checkFilesExist(t, folder, append(renamed, used, foreigner))
	if slices.Contains(fileNames(t, folder), unnamed) {
		t.Errorf("%s was kept, want it removed", unnamed)
	}
	if own := backupNames(t, folder, id); len(own) != 2+len(renamed)+1 {
		t.Errorf("got backups %v of the first store, want %d", own, 2+len(renamed)+1)
	}
	for _, name := range append(renamed, used) {
		if !strings.Contains(log, name) {
			t.Errorf("got log without %s:\n%s", name, log)
		}
	}
	found := examineWith(t, name, doctor.Options{BackupDir: folder, BackupEvery: time.Hour})["backups"]
	for _, want := range append(renamed, used, "4 in "+folder+" belong to other stores", "see the log of the server") {
		if !strings.Contains(found, want) {
			t.Errorf("doctor: got %s, want it to contain %q", found, want)
		}
	}
}

// A new store that replaces a lost one removes none of the lost store's backups. The log
// and the doctor list them. A store that is restored from one of them manages them again.
func testBackupsOfLostStore(t *testing.T, name string) {
	ctx := context.Background()
	s := open(t, name)
	fillStore(t, s)
	lost := storeID(t, s)
	folder := t.TempDir()
	backUpHourly(t, s, folder, longAgo, 3, 3)
	good := fileNames(t, folder)
	s.Close()
	if strings.HasPrefix(name, "postgres://") {
		pgtest.Exec(t, name, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
	} else if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if found := examineWith(t, name, doctor.Options{BackupDir: folder})["backups"]; !strings.Contains(found, "3 in ") || !strings.Contains(found, good[2]) {
		t.Errorf("doctor without a store: got %s, want 3 backups and %s", found, good[2])
	}

	s = open(t, name)
	if id := storeID(t, s); id == lost {
		t.Fatal("the new store has the ID of the lost store")
	}
	b := &backup.Schedule{Folder: folder, Every: time.Second, Keep: 1, Schema: schema(t)}
	stop := runSchedule(t, s, b)
	seen := map[time.Time]bool{}
	await(t, "three backups", func() bool {
		at, _ := b.Last()
		seen[at] = !at.IsZero()
		delete(seen, time.Time{})
		return len(seen) == 3
	})
	if log := stop(); strings.Count(log, "other stores") != 1 || !strings.Contains(log, good[2]) {
		t.Errorf("got this log, want it to list the backups of other stores once:\n%s", log)
	}
	checkFilesExist(t, folder, good)
	if all := fileNames(t, folder); len(all) != 4 {
		t.Errorf("got files %v, want 4", all)
	}
	if found := examineWith(t, name, doctor.Options{BackupDir: folder, BackupEvery: time.Hour})["backups"]; !strings.Contains(found, "1 backups: 3 in ") || !strings.Contains(found, good[2]) {
		t.Errorf("doctor: got %s, want 1 own backup, 3 others and %s", found, good[2])
	}

	target := filepath.Join(t.TempDir(), "restored.db")
	if _, err := backup.Restore(ctx, filepath.Join(folder, good[2]), target, schema(t), noProgress); err != nil {
		t.Fatal(err)
	}
	restored := open(t, target)
	if id := storeID(t, restored); id != lost {
		t.Errorf("got ID %x of the restored store, want %x", id, lost)
	}
	backUpHourly(t, restored, folder, longAgo.AddDate(0, 0, 1), 1, 2)
	if own := backupNames(t, folder, lost); len(own) != 2 || own[0] != good[2] {
		t.Errorf("got backups %v of the restored store, want 2 and the first to be %s", own, good[2])
	}
}

// A copy in the other engine and a restored backup have the ID of the original, and they
// share its backups.
func testCopiesKeepID(t *testing.T, name string) {
	ctx := context.Background()
	s := open(t, name)
	id := storeID(t, s)
	copied := pgtest.Database(t)
	if strings.HasPrefix(name, "postgres://") {
		copied = filepath.Join(t.TempDir(), "copy.db")
	}
	if _, err := s.Copy(ctx, copied, schema(t), noProgress); err != nil {
		t.Fatal(err)
	}
	backupFile := filepath.Join(t.TempDir(), "backup.db")
	if _, err := backup.Create(ctx, s, backupFile, schema(t), noProgress); err != nil {
		t.Fatal(err)
	}
	restored := pgtest.Database(t)
	if _, err := backup.Restore(ctx, backupFile, restored, schema(t), noProgress); err != nil {
		t.Fatal(err)
	}
	folder, want := t.TempDir(), []string(nil)
	for hours := range unlessRace(4, 2) {
		for minutes, name := range []string{copied, restored} {
			copy := open(t, name)
			if got := storeID(t, copy); got != id {
				t.Errorf("got ID %x of %s, want %x", got, name, id)
			}
			at := longAgo.Add(time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute)
			backUpHourly(t, copy, folder, at, 1, 3)
			want = append(want, backup.FileName(id, at))
			copy.Close()
		}
	}
	if got := fileNames(t, folder); !slices.Equal(got, want[len(want)-3:]) { // the newest of both
		t.Errorf("got %v, want the last 3 of %v", got, want)
	}
}

// newestBackup returns the newest backup of a store in a folder that is not later than now.
func newestBackup(folder string, store int64, now time.Time) (backup.File, error) {
	l, err := backup.List(context.Background(), folder, store, now)
	return backup.Newest(l.Own), err
}
