package faultfs_test

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"relcheck/db/faultfs"
)

// A database that syncs what it has to survives every power cut, with all that was
// committed. One that does not is damaged by some: without that, images would be
// worth nothing.
func TestImages(t *testing.T) {
	for settings, survives := range map[string]bool{
		"_synchronous=EXTRA":                          true,
		"_synchronous=FULL&_pragma=journal_mode(wal)": true,
		"_synchronous=OFF":                            false,
		"_synchronous=OFF&_pragma=journal_mode(wal)":  false,
	} {
		t.Run(settings, func(t *testing.T) {
			disk := watch(t, settings)
			replay, committed, harmed := disk.Replay(rand.New(rand.NewPCG(1, 1))), 0, 0
			const images = 60
			for i := range images {
				replay.To((i+1)*disk.Len()/images, func(mark any) { committed = mark.(int) })
				folder := filepath.Join(t.TempDir(), "image")
				if err := os.Mkdir(folder, 0o700); err != nil {
					t.Fatal(err)
				}
				if err := replay.Image(folder); err != nil {
					t.Fatal(err)
				}
				if err := check(folder, committed); err != nil {
					harmed++
					if survives {
						t.Errorf("image %d: %v", i, err)
					}
				}
			}
			t.Logf("%d of %d images are harmed", harmed, images)
			if !survives && harmed < images/10 {
				t.Error("hardly an image is harmed")
			}
		})
	}
}

// watch fills a database, and returns what was done to its disk. Marks are how many
// rows were committed.
func watch(t *testing.T, settings string) *faultfs.Disk {
	folder := t.TempDir()
	disk, err := faultfs.Watch(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	d := open(folder, settings)
	defer d.Close()
	const rows = 60
	for i := range rows {
		_, err := d.Exec("CREATE TABLE IF NOT EXISTS row (i INTEGER PRIMARY KEY, text BLOB); INSERT INTO row VALUES (?, randomblob(3000))", i)
		if err == nil && i%20 == 19 {
			_, err = d.Exec("PRAGMA wal_checkpoint(TRUNCATE)")
		}
		if err != nil {
			t.Fatal(err)
		}
		disk.Note(i + 1)
	}
	return disk
}

func open(folder, settings string) *sql.DB {
	d, err := sql.Open("sqlite", "file:"+filepath.Join(folder, "a.db")+"?vfs="+faultfs.Name+"&"+settings)
	if err != nil {
		panic(err) // of the constants above
	}
	d.SetMaxOpenConns(1)
	return d
}

func check(folder string, committed int) error {
	d := open(folder, "mode=rwc")
	defer d.Close()
	var found string
	if err := d.QueryRow("PRAGMA integrity_check").Scan(&found); err != nil || found != "ok" {
		return fmt.Errorf("integrity check: %s, %w", found, err)
	}
	var n int
	err := d.QueryRow("SELECT count(*) FROM row").Scan(&n)
	if err != nil && !strings.Contains(err.Error(), "no such table") {
		return err
	}
	if n < committed {
		return fmt.Errorf("%d rows are there, %d were committed", n, committed)
	}
	return nil
}

// What is to fail does, as often as it is to, and says what it is to say.
func TestFail(t *testing.T) {
	for name, c := range map[string]struct {
		fault faultfs.Fault
		fails int // of four inserts
	}{
		"once":        {faultfs.Fault{Kind: faultfs.Sync, Nth: 1, Code: sqlite3.SQLITE_IOERR_FSYNC}, 1},
		"for good":    {faultfs.Fault{Kind: faultfs.Write, Nth: 1, Code: sqlite3.SQLITE_FULL, Done: faultfs.Half, Ever: true}, 4},
		"not so soon": {faultfs.Fault{Kind: faultfs.Write, Nth: 1000, Code: sqlite3.SQLITE_FULL, Ever: true}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			disk, err := faultfs.Watch(folder)
			if err != nil {
				t.Fatal(err)
			}
			defer disk.Close()
			d := open(folder, "_synchronous=FULL")
			defer d.Close()
			if _, err := d.Exec("CREATE TABLE row (i INTEGER)"); err != nil {
				t.Fatal(err)
			}
			disk.Fail(c.fault)
			fails := 0
			for range 4 {
				if _, err := d.Exec("INSERT INTO row VALUES (1)"); err != nil {
					fails++
					if e, ok := err.(*sqlite.Error); !ok || e.Code() != int(c.fault.Code) {
						t.Errorf("got error %v, want code %d", err, c.fault.Code)
					}
				}
			}
			if failed := disk.Heal(); fails != c.fails || (failed > 0) != (fails > 0) {
				t.Errorf("%d inserts and %d operations failed, want %d inserts", fails, failed, c.fails)
			}
			if _, err := d.Exec("INSERT INTO row VALUES (1)"); err != nil {
				t.Errorf("healed: %v", err)
			}
		})
	}
}
