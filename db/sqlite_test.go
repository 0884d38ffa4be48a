package db_test

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gofrs/flock"
	"github.com/google/uuid"

	"relcheck/db"
)

func TestOpenEmptyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, path)
}

// An interrupted creation leaves a complete or partial file, and a journal that rolls it back.
// Open starts over. If the file is larger than a new store, an interrupted copy has left it,
// and Open returns an error.
func TestOpenAfterInterruptedCreation(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*testing.T, string)
		want   string
	}{
		"complete file":  {func(*testing.T, string) {}, ""},
		"truncated file": {func(t *testing.T, path string) { truncate(t, path, 4096) }, ""},
		"missing header": {func(t *testing.T, path string) { write(t, path, strings.Repeat("\x00", 4096)+content(t, path)[4096:]) }, ""},
		"copy":           {func(t *testing.T, path string) { write(t, path, strings.Repeat("\x00", 3<<20)) }, "repeat the copy"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a.db")
			open(t, path).Close()
			c.change(t, path)
			write(t, path+"-journal", journal(0))
			s, err := db.Open(context.Background(), path, schema(t))
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("got error %v, want %q", err, c.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if _, err := s.Product(context.Background(), "opa"); err != nil || !s.Created() {
				t.Errorf("got created = %v (error %v), want true", s.Created(), err)
			}
		})
	}
}

// Open ignores a stale rollback journal.
func TestOpenWithStaleJournal(t *testing.T) {
	for name, journal := range map[string]string{
		"empty": "", "zeroed": strings.Repeat("\x00", 4096), "garbage": strings.Repeat("garbage", 1000), "incomplete header": journal(1000)[:27],
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a.db")
			s := open(t, path)
			w := writer(t, s)
			if _, err := w.Record(context.Background(), "opa", linux, report("1.0.0")); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(w.Close(), s.Close()); err != nil {
				t.Fatal(err)
			}
			write(t, path+"-journal", journal)
			if n := len(recorded(t, open(t, path), "opa")); n != 1 {
				t.Errorf("got %d reports, want 1", n)
			}
		})
	}
}

// journal returns a rollback journal without pages for a file that had the given number of
// pages (https://www.sqlite.org/fileformat.html#the_rollback_journal).
func journal(pages uint32) string {
	header := []byte{0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7}
	for _, n := range []uint32{0, 1, pages, 512, 4096} { // records, nonce, pages, sector size, page size
		header = binary.BigEndian.AppendUint32(header, n)
	}
	return string(append(header, make([]byte, 512-len(header))...))
}

func TestOpenErrors(t *testing.T) {
	garbage := func(t *testing.T, path string) { write(t, path, "this is a text of some length, not a database") }
	execute := func(q string) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			d := raw(t, path)
			if _, err := d.Exec(q); err != nil {
				t.Fatal(err)
			}
			d.Close()
		}
	}
	store := func(change func(*testing.T, string)) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			open(t, path).Close()
			change(t, path)
		}
	}
	for name, c := range map[string]struct {
		prepare func(t *testing.T, path string)
		want    string
	}{
		"garbage":      {garbage, "not a relcheck database"},
		"foreign":      {execute("CREATE TABLE recipe (name TEXT); PRAGMA application_id = 7"), "not a relcheck database"},
		"unmarked":     {execute("CREATE TABLE recipe (name TEXT)"), "not a relcheck database"},
		"foreign, WAL": {execute("PRAGMA journal_mode = WAL; CREATE TABLE recipe (name TEXT)"), "not a relcheck database"},
		"newer":        {store(execute("UPDATE setting SET value = 1000 WHERE name = 'schema'")), "written by a newer relcheck"},
		"truncated":    {store(func(t *testing.T, path string) { truncate(t, path, 6000) }), "damaged or truncated"},
		"folder":       {func(t *testing.T, path string) { mkdir(t, path) }, "not a relcheck database"},
		"garbage with a journal": {func(t *testing.T, path string) {
			garbage(t, path)
			write(t, path+"-journal", journal(1))
		}, "not a relcheck database"},
		"WAL without a file": {func(t *testing.T, path string) { write(t, path+"-wal", "reports") }, "put back the database"},
		"WAL of an empty file": {store(func(t *testing.T, path string) {
			write(t, path, "")
			write(t, path+"-wal", "reports that are in no other file")
		}), "put back the database"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a.db")
			c.prepare(t, path)
			before := readFiles(path)
			_, err := db.Open(context.Background(), path, schema(t))
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("got error %v, want one that contains %q and the path", err, c.want)
			}
			if readFiles(path) != before {
				t.Error("Open changed the files")
			}
		})
	}
}

// readFiles returns the contents of a file, its WAL and its journal.
func readFiles(path string) (all string) {
	for _, suffix := range []string{"", "-wal", "-journal"} {
		b, err := os.ReadFile(path + suffix)
		all += fmt.Sprintf("%s %v\n", b, err)
	}
	return all
}

// A server that is killed during a checkpoint leaves a file whose header counts more pages than
// the file has. The missing pages are in the WAL.
func TestOpenAfterKilledCheckpoint(t *testing.T) {
	ctx := context.Background()
	from, path := filepath.Join(t.TempDir(), "a.db"), filepath.Join(t.TempDir(), "a.db")
	w := writer(t, open(t, from))
	defer w.Close()
	const reports = 500
	for range reports {
		if _, err := w.Record(ctx, "opa", linux, report("1.0.0")); err != nil {
			t.Fatal(err)
		}
	}
	// https://www.sqlite.org/fileformat.html#the_write_ahead_log
	const pageSize, headerSize, frameHeaderSize = 4096, 32, 24
	file, wal := []byte(content(t, from)), []byte(content(t, from+"-wal"))
	for frame := wal[headerSize:]; len(frame) >= frameHeaderSize+pageSize; frame = frame[frameHeaderSize+pageSize:] {
		if binary.BigEndian.Uint32(frame) == 1 {
			copy(file, frame[frameHeaderSize:][:pageSize])
		}
	}
	write(t, path, string(file))
	if _, err := db.Open(ctx, path, schema(t)); err == nil || !strings.Contains(err.Error(), "damaged or truncated") {
		t.Fatalf("open without the WAL: got error %v, want \"damaged or truncated\"", err)
	}
	write(t, path+"-wal", string(wal))
	if n := len(recorded(t, open(t, path), "opa")); n != reports {
		t.Errorf("got %d reports, want %d", n, reports)
	}
}

func TestOpenInMissingFolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none", "a.db")
	_, err := db.Open(context.Background(), path, schema(t))
	if err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("got error %v, want \"does not exist\"", err)
	}
}

func TestOpenExistingCreatesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	_, err := db.OpenExisting(context.Background(), path)
	if err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("got error %v, want \"no such file\"", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("stat after OpenExisting: got error %v, want ErrNotExist", err)
	}
}

// Removing a product erases the bytes of its reports from the file. Later reports do not reuse
// their sequence numbers.
func TestRemovedReportsAreErased(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "a.db")
	s := open(t, path)
	w := writer(t, s)
	var ids []uuid.UUID
	for range 500 {
		r := report("1.0.0")
		ids = append(ids, r.ID)
		if _, err := w.Record(ctx, "relcheck", linux, r); err != nil {
			t.Fatal(err)
		}
	}
	last := lastSeq(t, path)
	w.Close()
	if err := s.RemoveProduct(ctx, "relcheck", true); err != nil {
		t.Fatal(err)
	}
	w = writer(t, s)
	if _, err := w.Record(ctx, "opa", linux, report("1.0.0")); err != nil {
		t.Fatal(err)
	}
	if now := lastSeq(t, path); now <= last {
		t.Errorf("got last sequence number %d, want one above %d", now, last)
	}
	w.Close()
	s.Close()
	bytes, left := content(t, path), 0
	for _, id := range ids {
		if strings.Contains(bytes, string(id[:])) {
			left++
		}
	}
	if left > 0 {
		t.Errorf("the file contains %d of %d removed instance IDs, want none", left, len(ids))
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func truncate(t *testing.T, path string, size int64) {
	t.Helper()
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
}

func mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
}

func content(t *testing.T, path string) string {
	t.Helper()
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return ""
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func lastSeq(t *testing.T, path string) (seq int64) {
	t.Helper()
	d := raw(t, path)
	defer d.Close()
	if err := d.QueryRow("SELECT MAX(seq) FROM report").Scan(&seq); err != nil {
		t.Fatal(err)
	}
	return seq
}

// A store is only written to if commits wait for the disk.
func TestVerifyDurable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	open(t, path)
	for setting, want := range map[string]string{"FULL": "", "NORMAL": "synchronous 1", "OFF": "synchronous 0", "EXTRA": "synchronous 3"} {
		d, err := sql.Open("sqlite", "file:"+path+"?_busy_timeout=5000&_synchronous="+setting)
		if err != nil {
			t.Fatal(err)
		}
		err = db.VerifySQLite(context.Background(), d)
		d.Close()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("synchronous = %s: got error %v, want %q", setting, err, want)
		}
	}
}

// A store that is closed consists of one file.
func TestCloseLeavesOneFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	s := open(t, path)
	w := writer(t, s)
	if _, err := w.Record(context.Background(), "opa", linux, report("1.0.0")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"-wal", "-shm"} {
		if _, err := os.Stat(path + suffix); err == nil {
			t.Errorf("got file %s after Close, want it removed", path+suffix)
		}
	}
}

func TestOneWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	s := open(t, path)
	w := writer(t, s)
	link := filepath.Join(t.TempDir(), "link.db")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, link} {
		_, err := open(t, name).NewWriter(nil)
		if !errors.Is(err, db.ErrInUse) || !strings.Contains(fmt.Sprint(err), fmt.Sprintf("process %d", os.Getpid())) {
			t.Errorf("second writer on %s: got error %v, want ErrInUse with process %d", name, err, os.Getpid())
		}
	}
	w.Close()
	writer(t, s).Close()
}

// Checking whether a server is running does not keep a server from starting.
func TestLockHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	s := open(t, path)
	write(t, path+"-lock", "1") // as after a kill, so that the lock itself is tested
	if holder, err := db.LockHolder(path); holder != "" || err != nil {
		t.Errorf("got holder %q (error %v), want none", holder, err)
	}
	sharedLock := flock.New(path + "-lock")
	if ok, err := sharedLock.TryRLock(); !ok || err != nil {
		t.Fatal(ok, err)
	}
	time.AfterFunc(20*time.Millisecond, func() { sharedLock.Unlock() })
	w := writer(t, s)
	if holder, err := db.LockHolder(path); err != nil || holder != fmt.Sprintf("process %d", os.Getpid()) {
		t.Errorf("got holder %q (error %v), want process %d", holder, err, os.Getpid())
	}
	w.Close()
}

// A writer is not ready once its file or WAL was removed or replaced.
func TestFileRemoved(t *testing.T) {
	for name, take := range map[string]func(path string) error{
		"removed":     os.Remove,
		"WAL removed": func(path string) error { return os.Remove(path + "-wal") },
		"replaced": func(path string) error {
			return errors.Join(os.Rename(path, path+".old"), os.WriteFile(path, nil, 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a.db")
			w := writer(t, open(t, path))
			defer w.Close()
			if err := w.Ready(); err != nil {
				t.Fatal(err)
			}
			if err := take(path); err != nil {
				t.Fatal(err)
			}
			if w.Ready() == nil {
				t.Error("the writer is ready without its file")
			}
			if _, err := w.Record(context.Background(), "opa", linux, report("1.0.0")); err == nil {
				t.Error("Record without the file: got no error")
			}
		})
	}
}

// A reader keeps SQLite from erasing expired reports. Recording does not wait for the reader,
// and the next sweep erases them.
func TestSweptReportsAreErased(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "a.db")
	s := open(t, path)
	now := time.Now()
	ids := recordDaily(t, s, now.AddDate(0, 0, -50), 30)
	fold(t, s)
	w := writer(t, s)
	defer w.Close()
	reader, err := raw(t, path).Begin()
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if err := reader.QueryRow("SELECT count(*) FROM report").Scan(&n); err != nil || n == 0 {
		t.Fatal(n, err)
	}
	sweep := func(after time.Duration) error {
		return s.SweepAt(ctx, db.Retention{Reports: 24 * time.Hour}, now.Add(after))
	}
	swept, slowest := make(chan struct{}), make(chan time.Duration)
	go func() {
		most := time.Duration(0)
		for done := false; !done; {
			select {
			case <-swept:
				done = true
			default:
			}
			start := time.Now()
			w.Record(ctx, "opa", linux, report("1.0.0"))
			most = max(most, time.Since(start))
		}
		slowest <- most
	}()
	if err := sweep(0); err == nil {
		t.Error("sweep with a reader: got no error")
	}
	close(swept)
	if took := <-slowest; took > lockTimeout/2 {
		t.Errorf("Record took %v during the sweep, want at most %v", took, lockTimeout/2)
	}
	reader.Rollback()
	if err := sweep(time.Second); err != nil {
		t.Error(err)
	}
	bytes := content(t, path) + content(t, path+"-wal")
	for _, id := range ids {
		if strings.Contains(bytes, string(id[:])) {
			t.Fatalf("the files contain the removed instance ID %s", id)
		}
	}
}

// lockTimeout is how long SQLite waits for a lock.
const lockTimeout = 10 * time.Second

// A WAL without its database is kept, even if the database is opened through a symbolic link.
func TestOrphanedWALBehindLink(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "a.db"), filepath.Join(t.TempDir(), "b.db")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	write(t, path, "")
	write(t, path+"-wal", "acknowledged")
	if _, err := db.Open(context.Background(), link, schema(t)); err == nil || !strings.Contains(err.Error(), "WAL file without its database") {
		t.Errorf("got error %v, want \"WAL file without its database\"", err)
	}
	if got := content(t, path+"-wal"); got != "acknowledged" {
		t.Errorf("got WAL %q, want %q", got, "acknowledged")
	}
}
