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

// A creation that was cut off while it wrote leaves a file, or parts of one, and a
// journal that takes all of it back. What is larger than a new store was a copy.
func TestOpenAfterInterruptedCreation(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*testing.T, string)
		want   string
	}{
		"whole":              {func(*testing.T, string) {}, ""},
		"without its end":    {func(t *testing.T, path string) { truncate(t, path, 4096) }, ""},
		"without its header": {func(t *testing.T, path string) { write(t, path, strings.Repeat("\x00", 4096)+content(t, path)[4096:]) }, ""},
		"a copy":             {func(t *testing.T, path string) { write(t, path, strings.Repeat("\x00", 3<<20)) }, "repeat the copy"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a.db")
			open(t, path).Close()
			c.change(t, path)
			write(t, path+"-journal", journal(0))
			s, err := db.Open(context.Background(), path, schema(t))
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("got error %v, want %q in it", err, c.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if _, err := s.Product(context.Background(), "opa"); err != nil || !s.Created() {
				t.Errorf("created %v, %v", s.Created(), err)
			}
		})
	}
}

// What is left of journals that are over does no harm.
func TestOpenWithStaleJournal(t *testing.T) {
	for name, journal := range map[string]string{
		"empty": "", "zeroed": strings.Repeat("\x00", 4096), "rubbish": strings.Repeat("rubbish", 1000), "without a page": journal(1000)[:27],
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a.db")
			s := open(t, path)
			w := writer(t, s)
			if err := w.Record(context.Background(), "opa", linux, report("1.0.0")); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(w.Close(), s.Close()); err != nil {
				t.Fatal(err)
			}
			write(t, path+"-journal", journal)
			if n := len(recorded(t, open(t, path), "opa")); n != 1 {
				t.Errorf("%d reports are there", n)
			}
		})
	}
}

// journal is a rollback journal (https://www.sqlite.org/fileformat.html#the_rollback_journal)
// that restores no page of a file which had so many.
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
		"garbage beside a journal": {func(t *testing.T, path string) {
			garbage(t, path)
			write(t, path+"-journal", journal(1))
		}, "not a relcheck database"},
		"a log beside nothing": {func(t *testing.T, path string) { write(t, path+"-wal", "reports") }, "put back the database"},
		"a log beside an empty file": {store(func(t *testing.T, path string) {
			write(t, path, "")
			write(t, path+"-wal", "the only place where some reports are")
		}), "put back the database"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a.db")
			c.prepare(t, path)
			before := readFiles(path)
			_, err := db.Open(context.Background(), path, schema(t))
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("got error %v, want one that names the file and says %q", err, c.want)
			}
			if readFiles(path) != before {
				t.Error("something was changed")
			}
		})
	}
}

// readFiles is what can be read of a file, its log and its journal.
func readFiles(path string) (all string) {
	for _, suffix := range []string{"", "-wal", "-journal"} {
		b, err := os.ReadFile(path + suffix)
		all += fmt.Sprintf("%s %v\n", b, err)
	}
	return all
}

// Killed while it wrote the log into the file, a server leaves a file whose
// header tells of more pages than there are. They are in the log.
func TestOpenAfterKilledCheckpoint(t *testing.T) {
	ctx := context.Background()
	from, path := filepath.Join(t.TempDir(), "a.db"), filepath.Join(t.TempDir(), "a.db")
	w := writer(t, open(t, from))
	defer w.Close()
	const reports = 500
	for range reports {
		if err := w.Record(ctx, "opa", linux, report("1.0.0")); err != nil {
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
		t.Fatalf("without its log the file opens, which makes this no test: %v", err)
	}
	write(t, path+"-wal", string(wal))
	if n := len(recorded(t, open(t, path), "opa")); n != reports {
		t.Errorf("%d reports of %d are there", n, reports)
	}
}

func TestOpenInMissingFolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none", "a.db")
	_, err := db.Open(context.Background(), path, schema(t))
	if err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("got error %v", err)
	}
}

func TestOpenExistingCreatesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	_, err := db.OpenExisting(context.Background(), path)
	if err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("got error %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("afterwards: %v", err)
	}
}

// What is removed leaves no trace in the bytes of the file, and its place in
// the order of recording to nobody.
func TestRemovedReportsAreErased(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "a.db")
	s := open(t, path)
	w := writer(t, s)
	var ids []uuid.UUID
	for range 500 {
		r := report("1.0.0")
		ids = append(ids, r.ID)
		if err := w.Record(ctx, "relcheck", linux, r); err != nil {
			t.Fatal(err)
		}
	}
	last := lastSeq(t, path)
	w.Close()
	if err := s.RemoveProduct(ctx, "relcheck", true); err != nil {
		t.Fatal(err)
	}
	w = writer(t, s)
	if err := w.Record(ctx, "opa", linux, report("1.0.0")); err != nil {
		t.Fatal(err)
	}
	if now := lastSeq(t, path); now <= last {
		t.Errorf("seq went from %d to %d", last, now)
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
		t.Errorf("%d of %d ids are still in the file", left, len(ids))
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

// What does not wait for the disk is not written to.
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
			t.Errorf("with synchronous = %s: %v", setting, err)
		}
	}
}

// Once all is closed, everything stands in the one file.
func TestCloseLeavesOneFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	s := open(t, path)
	w := writer(t, s)
	if err := w.Record(context.Background(), "opa", linux, report("1.0.0")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"-wal", "-shm"} {
		if _, err := os.Stat(path + suffix); err == nil {
			t.Errorf("%s is left", path+suffix)
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
			t.Errorf("a second writer on %s: %v", name, err)
		}
	}
	w.Close()
	writer(t, s).Close()
}

// Whoever looks whether a server runs keeps none from starting.
func TestLockHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	s := open(t, path)
	write(t, path+"-lock", "1") // as after a kill, so that it has to be tried
	if holder, err := db.LockHolder(path); holder != "" || err != nil {
		t.Errorf("held by %q, %v", holder, err)
	}
	sharedLock := flock.New(path + "-lock")
	if ok, err := sharedLock.TryRLock(); !ok || err != nil {
		t.Fatal(ok, err)
	}
	time.AfterFunc(20*time.Millisecond, func() { sharedLock.Unlock() })
	w := writer(t, s)
	if holder, err := db.LockHolder(path); err != nil || holder != fmt.Sprintf("process %d", os.Getpid()) {
		t.Errorf("held by %q, %v", holder, err)
	}
	w.Close()
}

func TestFileRemoved(t *testing.T) {
	for name, take := range map[string]func(path string) error{
		"removed":         os.Remove,
		"its log removed": func(path string) error { return os.Remove(path + "-wal") },
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
				t.Error("ready without a file")
			}
			if w.Record(context.Background(), "opa", linux, report("1.0.0")) == nil {
				t.Error("recorded into a file that is no longer there")
			}
		})
	}
}

// A reader keeps SQLite from overwriting what was removed. Nobody has to wait for
// that, and it is made up for.
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
		t.Error("nothing is said of what could not be overwritten")
	}
	close(swept)
	if took := <-slowest; took > lockTimeout/2 {
		t.Errorf("recording took %v meanwhile", took)
	}
	reader.Rollback()
	if err := sweep(time.Second); err != nil {
		t.Error(err)
	}
	bytes := content(t, path) + content(t, path+"-wal")
	for _, id := range ids {
		if strings.Contains(bytes, string(id[:])) {
			t.Fatal("an id that was removed is still in the file")
		}
	}
}

// lockTimeout is how long SQLite waits for others.
const lockTimeout = 10 * time.Second

// A log without its database is not thrown away, whatever the database is called.
func TestOrphanedWALBehindLink(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "a.db"), filepath.Join(t.TempDir(), "b.db")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	write(t, path, "")
	write(t, path+"-wal", "acknowledged")
	if _, err := db.Open(context.Background(), link, schema(t)); err == nil || !strings.Contains(err.Error(), "WAL file without its database") {
		t.Errorf("got error %v", err)
	}
	if got := content(t, path+"-wal"); got != "acknowledged" {
		t.Errorf("the log is %q", got)
	}
}
