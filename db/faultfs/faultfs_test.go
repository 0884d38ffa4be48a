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

// A database that syncs correctly must survive every power failure with all committed
// rows. A database that does not sync must be damaged by some: this shows that the images
// are realistic.
func TestImages(t *testing.T) {
	for settings, survives := range map[string]bool{
		"_synchronous=EXTRA":                          true,
		"_synchronous=FULL&_pragma=journal_mode(wal)": true,
		"_synchronous=OFF":                            false,
		"_synchronous=OFF&_pragma=journal_mode(wal)":  false,
	} {
		t.Run(settings, func(t *testing.T) {
			disk := watch(t, settings)
			replay, committed, damaged := disk.Replay(rand.New(rand.NewPCG(1, 1))), 0, 0
			const images = 60
			for i := range images {
				replay.To((i+1)*disk.Len()/images, func(mark any) { committed = mark.(int) })
				dir := filepath.Join(t.TempDir(), "image")
				if err := os.Mkdir(dir, 0o700); err != nil {
					t.Fatal(err)
				}
				if err := replay.Image(dir); err != nil {
					t.Fatal(err)
				}
				if err := check(dir, committed); err != nil {
					damaged++
					if survives {
						t.Errorf("image %d: %v", i, err)
					}
				}
			}
			t.Logf("%d of %d images are damaged", damaged, images)
			if !survives && damaged < images/10 {
				t.Errorf("got %d damaged images of %d, want at least %d", damaged, images, images/10)
			}
		})
	}
}

// watch fills a database, and returns its disk. The marks are the numbers of committed
// rows.
func watch(t *testing.T, settings string) *faultfs.Disk {
	dir := t.TempDir()
	disk, err := faultfs.Watch(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	d := open(dir, settings)
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
		disk.Mark(i + 1)
	}
	return disk
}

func open(dir, settings string) *sql.DB {
	d, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "a.db")+"?vfs="+faultfs.Name+"&"+settings)
	if err != nil {
		panic(err) // all settings are constants
	}
	d.SetMaxOpenConns(1)
	return d
}

// check returns an error if the database is damaged or has fewer than the committed rows.
func check(dir string, committed int) error {
	d := open(dir, "mode=rwc")
	defer d.Close()
	var result string
	if err := d.QueryRow("PRAGMA integrity_check").Scan(&result); err != nil || result != "ok" {
		return fmt.Errorf("integrity check: got %q (error %w), want ok", result, err)
	}
	var n int
	err := d.QueryRow("SELECT count(*) FROM row").Scan(&n)
	if err != nil && !strings.Contains(err.Error(), "no such table") {
		return err
	}
	if n < committed {
		return fmt.Errorf("got %d rows, want at least the %d committed ones", n, committed)
	}
	return nil
}

// An injected fault must fail the right operations, with the right code.
func TestFault(t *testing.T) {
	for name, c := range map[string]struct {
		fault faultfs.Fault
		fails int // of four inserts
	}{
		"once":       {faultfs.Fault{Kind: faultfs.Sync, Nth: 1, Code: sqlite3.SQLITE_IOERR_FSYNC}, 1},
		"persistent": {faultfs.Fault{Kind: faultfs.Write, Nth: 1, Code: sqlite3.SQLITE_FULL, Done: faultfs.Half, Persistent: true}, 4},
		"later":      {faultfs.Fault{Kind: faultfs.Write, Nth: 1000, Code: sqlite3.SQLITE_FULL, Persistent: true}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			disk, err := faultfs.Watch(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer disk.Close()
			d := open(dir, "_synchronous=FULL")
			defer d.Close()
			if _, err := d.Exec("CREATE TABLE row (i INTEGER)"); err != nil {
				t.Fatal(err)
			}
			disk.Inject(c.fault)
			fails := 0
			for range 4 {
				if _, err := d.Exec("INSERT INTO row VALUES (1)"); err != nil {
					fails++
					if e, ok := err.(*sqlite.Error); !ok || e.Code() != int(c.fault.Code) {
						t.Errorf("got error %v, want code %d", err, c.fault.Code)
					}
				}
			}
			if failed := disk.ClearFault(); fails != c.fails || (failed > 0) != (fails > 0) {
				t.Errorf("got %d failed inserts and %d failed operations, want %d inserts", fails, failed, c.fails)
			}
			if _, err := d.Exec("INSERT INTO row VALUES (1)"); err != nil {
				t.Errorf("insert after ClearFault: %v", err)
			}
		})
	}
}
