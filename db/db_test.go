package db_test

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"relcheck/checker"
	"relcheck/db"
)

var linux = checker.Platform{OS: "linux", Arch: "amd64"}

func schema(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("../schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// open opens a store, a new one unless the file is there, until the test ends.
func open(t testing.TB, path string) *db.Store {
	t.Helper()
	s, err := db.Open(context.Background(), path, schema(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func writer(t testing.TB, s *db.Store) *db.Writer {
	t.Helper()
	w, err := s.NewWriter(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func report(version string) *checker.Report {
	heap := int64(596000)
	return &checker.Report{ID: uuid.New(), Version: version, HeapUsageBytes: &heap}
}

// recorded returns the reports of a product, in order.
func recorded(t testing.TB, s *db.Store, product string) (all []db.Recorded) {
	t.Helper()
	err := s.Reports(context.Background(), product, time.Time{}, func(r *db.Recorded) error {
		all = append(all, *r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// raw opens the file behind the store's back. Everything goes through SQLite:
// opening the file itself would cost the process its locks.
func raw(t testing.TB, path string) *sql.DB {
	t.Helper()
	d, err := sql.Open("sqlite", "file:"+path+"?_busy_timeout=5000")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func TestNewStoreHasPresets(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "a.db"))
	products, err := s.Products(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if len(products) != 2 || products[0].Name != "opa" || products[1].Name != "relcheck" {
		t.Errorf("a new store has products %v", products)
	}
	for _, p := range products {
		for _, template := range []string{p.Download, p.Notes} {
			if template != "" && checker.CheckTemplate(template) != nil {
				t.Errorf("product %s: template %q is not valid", p.Name, template)
			}
		}
	}
}

func TestRemovedPresetStaysAway(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	s := open(t, path)
	if err := s.RemoveProduct(context.Background(), "opa", false); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if _, err := open(t, path).Product(context.Background(), "opa"); !errors.Is(err, db.ErrNotFound) {
		t.Errorf("after opening again: %v", err)
	}
}

func TestOpenCreatesInEmptyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, path)
}

// A creation that was killed while it wrote leaves a file, and a journal that
// takes all of it back.
func TestOpenAfterKilledCreation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	open(t, path).Close()
	// The header of a journal (https://www.sqlite.org/fileformat.html#the_rollback_journal):
	// no page to restore, and a file that had no page before.
	journal := []byte{0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7}
	for _, n := range []uint32{0, 1, 0, 512, 4096} { // records, nonce, pages, sector size, page size
		journal = binary.BigEndian.AppendUint32(journal, n)
	}
	write(t, path+"-journal", string(append(journal, make([]byte, 512-len(journal))...)))
	if _, err := open(t, path).Product(context.Background(), "opa"); err != nil {
		t.Error(err)
	}
}

func TestOpenAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	text := schema(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			s, err := db.Open(context.Background(), path, text)
			if err != nil {
				t.Error(err)
				return
			}
			s.Close()
		})
	}
	wg.Wait()
}

func TestOpenRefuses(t *testing.T) {
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
		"cut short":    {store(func(t *testing.T, path string) { truncate(t, path, 6000) }), "damaged or cut short"},
		"folder":       {func(t *testing.T, path string) { mkdir(t, path) }, "not a relcheck database"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a.db")
			c.prepare(t, path)
			before := content(t, path)
			_, err := db.Open(context.Background(), path, schema(t))
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("got error %v, want one that names the file and says %q", err, c.want)
			}
			if content(t, path) != before {
				t.Error("the file was changed")
			}
		})
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

func keep(stored, _ checker.Release) checker.Release { return stored }
func take(_, given checker.Release) checker.Release  { return given }

func TestReleases(t *testing.T) {
	ctx := context.Background()
	s := open(t, filepath.Join(t.TempDir(), "a.db"))
	full := checker.Release{
		Version: "v1.2.3", Notes: "https://example.com/notes", Date: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Assets: map[checker.Platform]string{linux: "https://example.com/linux"},
	}
	put := func(merge func(_, _ checker.Release) checker.Release, want db.Change, releases ...checker.Release) {
		t.Helper()
		got, err := s.PutReleases(ctx, "opa", releases, merge)
		if err != nil || got != want {
			t.Errorf("put: %+v, %v; want %+v", got, err, want)
		}
	}
	list := func(want ...checker.Release) {
		t.Helper()
		got, err := s.Releases(ctx, "opa")
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%v\n%s", err, diff)
		}
	}
	first := revision(t, s)
	put(take, db.Change{Added: 1}, full)
	list(full)
	if now := revision(t, s); now <= first {
		t.Errorf("revision went from %d to %d", first, now)
	}
	first = revision(t, s)
	put(take, db.Change{Unchanged: 1}, full)
	if now := revision(t, s); now != first {
		t.Errorf("revision went from %d to %d without a change", first, now)
	}
	put(keep, db.Change{Unchanged: 1}, checker.Release{Version: "1.2.3"}) // another spelling of the same
	full.Version, full.Assets = "1.2.3", nil
	put(take, db.Change{Changed: 1}, full)
	list(full)

	if err := s.Withdraw(ctx, "opa", "v1.2.3", true); err != nil {
		t.Error(err)
	}
	put(take, db.Change{Unchanged: 1}, full) // does not restore it
	full.Withdrawn = true
	list(full)

	full.Retracted = "broken"
	if err := s.Withdraw(ctx, "opa", "1.2.3", false); err != nil {
		t.Error(err)
	}
	put(take, db.Change{Changed: 1}, full) // the operator's word holds
	full.Withdrawn = false
	list(full)

	if err := s.Withdraw(ctx, "opa", "v9.9.9", true); !errors.Is(err, db.ErrNotFound) {
		t.Errorf("withdrawing what is not there: %v", err)
	}
}

func TestRetractedIsWithdrawn(t *testing.T) {
	ctx := context.Background()
	s := open(t, filepath.Join(t.TempDir(), "a.db"))
	if _, err := s.PutReleases(ctx, "opa", []checker.Release{{Version: "v1.0.0", Retracted: "broken"}}, take); err != nil {
		t.Fatal(err)
	}
	all, err := s.Releases(ctx, "opa")
	if err != nil || !all[0].Withdrawn {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestPutReleasesAllOrNone(t *testing.T) {
	ctx := context.Background()
	s := open(t, filepath.Join(t.TempDir(), "a.db"))
	_, err := s.PutReleases(ctx, "opa", []checker.Release{{Version: "v1.0.0"}, {Version: "nightly"}}, take)
	if err == nil || !strings.Contains(err.Error(), "nightly") {
		t.Errorf("got error %v", err)
	}
	if all, err := s.Releases(ctx, "opa"); len(all) != 0 || err != nil {
		t.Errorf("afterwards: %v, %v", all, err)
	}
}

func TestProducts(t *testing.T) {
	ctx := context.Background()
	s := open(t, filepath.Join(t.TempDir(), "a.db"))
	app := checker.Product{Name: "app", Title: "App", Repo: "me/app"}
	if err := s.AddProduct(ctx, app); err != nil {
		t.Fatal(err)
	}
	if err := s.AddProduct(ctx, app); !errors.Is(err, db.ErrInUse) {
		t.Errorf("adding it twice: %v", err)
	}
	if err := s.AddProduct(ctx, checker.Product{Name: "fork", Title: "Fork", Repo: "Me/App"}); !errors.Is(err, db.ErrInUse) {
		t.Errorf("one repository for two: %v", err)
	}
	app.Title = "The App"
	if err := s.SetProduct(ctx, app); err != nil {
		t.Error(err)
	}
	if got, err := s.Product(ctx, "app"); got != app || err != nil {
		t.Errorf("got %+v, %v", got, err)
	}
	if err := s.SetProduct(ctx, checker.Product{Name: "none"}); !errors.Is(err, db.ErrNotFound) {
		t.Errorf("changing what is not there: %v", err)
	}
	for name, want := range map[string]error{"app": nil, "none": db.ErrNotFound} {
		if err := s.RemoveProduct(ctx, name, false); !errors.Is(err, want) {
			t.Errorf("removing %s: %v", name, err)
		}
	}
}

func TestRemoveProductWithReports(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "a.db")
	s := open(t, path)
	w := writer(t, s)
	defer w.Close()
	if _, err := s.PutReleases(ctx, "opa", []checker.Release{{Version: "v1.0.0", Assets: map[checker.Platform]string{linux: "https://example.com"}}}, take); err != nil {
		t.Fatal(err)
	}
	for _, product := range []string{"opa", "relcheck"} {
		if err := w.Record(ctx, product, linux, report("1.0.0")); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.RemoveProduct(ctx, "opa", false); !errors.Is(err, db.ErrInUse) {
		t.Errorf("without saying so: %v", err)
	}
	if err := s.RemoveProduct(ctx, "opa", true); err != nil {
		t.Error(err)
	}
	if err := w.Record(ctx, "opa", linux, report("1.0.0")); !errors.Is(err, db.ErrNotFound) {
		t.Errorf("a report of a removed product: %v", err)
	}
	if n := len(recorded(t, s, "relcheck")); n != 1 {
		t.Errorf("%d reports of the other product are left", n)
	}
	var left int
	if err := raw(t, path).QueryRow("SELECT count(*) FROM report").Scan(&left); err != nil || left != 1 {
		t.Errorf("%d rows are left, %v", left, err)
	}
}

func revision(t *testing.T, s *db.Store) int64 {
	t.Helper()
	n, err := s.Revision(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// What is removed leaves no trace in the bytes of the file, and its place in
// the order of recording to nobody.
func TestRemovedIsGone(t *testing.T) {
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

func lastSeq(t *testing.T, path string) (seq int64) {
	t.Helper()
	d := raw(t, path)
	defer d.Close()
	if err := d.QueryRow("SELECT MAX(seq) FROM report").Scan(&seq); err != nil {
		t.Fatal(err)
	}
	return seq
}
