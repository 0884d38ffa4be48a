package db_test

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"relcheck/checker"
	"relcheck/checker/stats/fleet"
	"relcheck/checker/stats/rollup"
	"relcheck/db"
	"relcheck/db/doctor"
	"relcheck/db/pgtest"
)

// longRetention keeps all reports of a test fleet.
const longRetention = 1000 * 24 * time.Hour

// examine runs the doctor and returns its findings by check. Each is a line of the form
// "SEVERITY CHECK: TEXT".
func examine(t testing.TB, name string, keep time.Duration) map[string]string {
	t.Helper()
	return examineWhile(t, name, keep, noProgress)
}

// examineWhile calls do between reading the reports and reading the statistics.
func examineWhile(t testing.TB, name string, keep time.Duration, do func(done, total int64)) map[string]string {
	t.Helper()
	return examineWith(t, name, doctor.Options{KeepReports: keep, Progress: do})
}

func examineWith(t testing.TB, name string, e doctor.Options) map[string]string {
	t.Helper()
	found := map[string]string{}
	e.Now = time.Now()
	e.Report = func(f doctor.Finding) {
		found[f.Check] += fmt.Sprintf("%d %s: %s\n", f.Severity, f.Check, f.Text)
	}
	if e.Progress == nil {
		e.Progress = noProgress
	}
	if err := doctor.Examine(context.Background(), name, e); err != nil {
		t.Fatal(err)
	}
	return found
}

// problems returns the errors and warnings among findings, except the warnings about tokens
// and releases, which every new store has.
func problems(found map[string]string) (all string) {
	for check, text := range found {
		if !strings.HasPrefix(text, "0 ") && check != "tokens" && check != "releases" {
			all += text
		}
	}
	return all
}

// newPopulatedStore returns a store with 30 days of reports until today. Whatever the day is,
// they include a complete period of four weeks.
func newPopulatedStore(t *testing.T, name string) *db.Store {
	t.Helper()
	s := open(t, name)
	f := fleet.Fleet{Seed: 5, Days: 30, End: today - 1, Instances: 12, Every: 6 * time.Hour, Remember: 0.4}
	populate(t, s, f)
	return s
}

// The doctor finds no problems in an intact store: a new one, one with unfolded reports, or one
// whose reports were swept up to the middle of a day.
func testDoctorIntactStore(t *testing.T, name string) {
	ctx := context.Background()
	s := open(t, name)
	check := func(when string, keep time.Duration) {
		t.Helper()
		found := examine(t, name, keep)
		if when != "folded" { // reports are a day old, which on PostgreSQL looks as if no server were running
			delete(found, "fold")
		}
		if text := problems(found); text != "" {
			t.Errorf("%s store: got problems %s, want none", when, text)
		}
		if when == "folded" && !strings.Contains(found["statistics"], "compared with complete days") {
			t.Errorf("got %s, want \"compared with complete days\"", found["statistics"])
		}
	}
	check("new", longRetention)
	newPopulatedStore(t, name)
	found := examine(t, name, longRetention)
	if strings.HasPrefix(name, "postgres://") != strings.HasPrefix(found["fold"], "1 ") || !strings.Contains(found["fold"], "not in the statistics yet") {
		t.Errorf("unfolded store: got %s, want \"not in the statistics yet\"", found["fold"])
	}
	delete(found, "fold")
	if text := problems(found); text != "" {
		t.Errorf("unfolded store: got problems %s, want none", text)
	}
	fold(t, s)
	check("folded", longRetention)
	recordDaily(t, s, time.Now(), 1)
	check("partly folded", longRetention)
	keep := 6*24*time.Hour + 7*time.Hour
	if err := s.SweepAt(ctx, db.Retention{Reports: keep}, time.Now()); err != nil {
		t.Fatal(err)
	}
	check("swept", keep)
	fold(t, s)
	check("folded", keep)
	if err := s.SweepAt(ctx, db.Retention{Reports: keep}, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	check("twice swept", keep)
}

// The doctor finds no problems in a store that is recorded into, folded and swept meanwhile.
func testDoctorBusyStore(t *testing.T, name string) {
	s := newPopulatedStore(t, name)
	fold(t, s)
	w := writer(t, s)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		random := rand.New(rand.NewPCG(1, 2))
		for hours := 0; ctx.Err() == nil; hours++ {
			recordRandom(t, w, 50, random)
			fold(t, s)
			now := time.Now().Add(time.Duration(hours-1000) * time.Hour)
			if err := s.SweepAt(context.Background(), db.Retention{Reports: 24 * time.Hour}, now); err != nil && !errors.Is(err, db.ErrNotErased) {
				t.Error(err)
			}
		}
	}()
	for end := time.Now().Add(time.Second); time.Now().Before(end); {
		found := examineWhile(t, name, longRetention, func(int64, int64) {
			recordRandom(t, w, 20, rand.New(rand.NewPCG(3, 4)))
			fold(t, s)
		})
		if text := problems(found); text != "" {
			t.Errorf("got problems %s, want none", text)
			break
		}
	}
	cancel()
	<-done
	w.Close()
}

// The doctor finds inconsistencies between the statistics, the reports and the settings.
func testDoctorInconsistentStore(t *testing.T, name string) {
	s := newPopulatedStore(t, name)
	fold(t, s)
	if text := problems(examine(t, name, longRetention)); text != "" {
		t.Fatalf("intact store: got problems %s, want none", text)
	}
	const some = "product = 1 AND span = 1 AND day = (SELECT MAX(day) - 3 FROM rollup WHERE span = 1) AND build = (SELECT MAX(build) FROM rollup WHERE product = 1 AND span = 1 AND day = (SELECT MAX(day) - 3 FROM rollup WHERE span = 1))"
	const one = "seq = (SELECT MAX(seq) - 50 FROM report)"
	checkDamages(t, name, longRetention, []damage{
		{"UPDATE rollup SET reports = reports + 1 WHERE " + some, "statistics", "its sketch"},
		{"UPDATE rollup SET ids = ids - 1 WHERE " + some, "statistics", "its sketch"},
		{"UPDATE rollup SET reports = reports + 1 WHERE product = 1 AND span = 7 AND day = (SELECT MIN(day) FROM rollup WHERE span = 7)", "statistics", "its sketch"},
		{"DELETE FROM rollup WHERE " + some, "statistics", "is missing"},
		{"DELETE FROM sketch WHERE " + some, "statistics", "has no sketch"},
		{"DELETE FROM sketch WHERE product = 1 AND span = 28", "statistics", "has no sketch"},
		{"UPDATE sketch SET data = (SELECT data FROM sketch WHERE product = 1 AND span = 28 ORDER BY day LIMIT 1) WHERE " + some, "statistics", "its sketch"},
		{"DELETE FROM report WHERE " + one, "statistics", "and the log"},
		{"UPDATE report SET at = at - 86400 WHERE " + one, "statistics", "and the log"},
		{"UPDATE report SET build = 9999 WHERE " + one, "statistics", "it"},
		{"UPDATE installation_count SET daily = daily + 1 WHERE product = 1 AND day = (SELECT MAX(day) - 3 FROM installation_count)", "statistics", "installations, and the log"},
		{"DELETE FROM installation_count WHERE product = 1 AND day = (SELECT MAX(day) - 3 FROM installation_count)", "statistics", "has no installations"},
		{"UPDATE installation_count SET weekly = daily + 1 WHERE product = 1 AND day = (SELECT MIN(day) FROM installation_count)", "statistics", "impossible"},
		{"DELETE FROM secret WHERE name = 'ids'", "statistics", "cannot be compared"},
		{"UPDATE setting SET value = 1000 WHERE name = 'schema'", "store", "newer relcheck"},
		{"UPDATE setting SET value = 5 WHERE name = 'application'", "store", "not a relcheck database"},
		{"UPDATE setting SET value = 9999999999 WHERE name = 'swept'", "clock", "in the future"},
		{"UPDATE setting SET value = 1 WHERE name = 'proxy'", "proxy", "--trusted-proxy"},
		{"UPDATE report SET at = 9999999999 WHERE seq = (SELECT MAX(seq) FROM report)", "times", "the future"},
	})
}

// damage is a change of a table that the doctor must find, and what it must report.
type damage struct{ change, check, want string }

// checkDamages makes each change of an intact store, examines the store, and undoes the change.
func checkDamages(t *testing.T, name string, keep time.Duration, all []damage) {
	t.Helper()
	d := raw(t, name)
	for _, c := range all {
		words := strings.Fields(c.change)
		table := words[1]
		if table == "FROM" {
			table = words[2]
		}
		execAll(t, d, "CREATE TABLE saved AS SELECT * FROM "+table)
		res, err := d.Exec(c.change)
		if err != nil {
			t.Fatal(c.change, err)
		}
		if n, _ := res.RowsAffected(); n == 0 {
			t.Fatalf("%s changes nothing", c.change)
		}
		found := examine(t, name, keep)
		if text := found[c.check]; strings.HasPrefix(text, "0 ") || !strings.Contains(text, c.want) {
			t.Errorf("%s: got %s, want %q; all problems:\n%s", c.change, text, c.want, problems(found))
		}
		execAll(t, d, "DELETE FROM "+table, "INSERT INTO "+table+" SELECT * FROM saved", "DROP TABLE saved")
	}
	if text := problems(examine(t, name, keep)); text != "" {
		t.Errorf("store after undoing the changes: got problems %s, want none", text)
	}
}

func execAll(t testing.TB, d *sql.DB, all ...string) {
	t.Helper()
	for _, text := range all {
		if _, err := d.Exec(text); err != nil {
			t.Fatal(text, err)
		}
	}
}

// The doctor finds any page whose header is overwritten. It cannot find every flipped bit:
// the bit may be in a heap value or in free space.
func TestDoctorDamagedPages(t *testing.T) {
	t.Parallel()
	intact := filepath.Join(t.TempDir(), "a.db")
	s := newPopulatedStore(t, intact)
	fold(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	data, pages := content(t, intact), usedPages(t, intact)
	found := func(change func(path string)) bool {
		path := filepath.Join(t.TempDir(), "a.db")
		write(t, path, data)
		change(path)
		return strings.Contains(fmt.Sprint(examine(t, path, longRetention)), ":2 ")
	}
	if found(func(string) {}) {
		t.Fatal("the doctor finds an error in an intact store")
	}
	for i := 0; i < len(pages); i += max(1, len(pages)/12) {
		if !found(func(path string) { damagePage(t, path, pages[i]) }) {
			t.Errorf("the doctor did not find the damaged page %d", pages[i])
		}
	}
}

// usedPages returns the numbers of the pages that are not free.
func usedPages(t *testing.T, path string) (pages []int64) {
	t.Helper()
	d := raw(t, path)
	defer d.Close()
	rows, err := d.Query("SELECT pageno FROM dbstat ORDER BY pageno")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var page int64
		if err := rows.Scan(&page); err != nil {
			t.Fatal(err)
		}
		pages = append(pages, page)
	}
	return pages
}

// flipBits inverts bits of a byte. No process may have the file open.
func flipBits(t testing.TB, path string, at int64, bits byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= bits
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
}

// The doctor reports files with unsafe permissions or owners, stale lock files, and files that
// are missing, truncated or no store.
func TestDoctorFiles(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		want    string
		prepare func(path string) error
	}{
		{"0 files: permissions 0600", func(string) error { return nil }},
		{"1 files: every user of this machine can read", func(path string) error { return os.Chmod(path, 0o644) }},
		{"2 files: every user of this machine can write", func(path string) error { return os.Chmod(path, 0o666) }},
		{"2 files: every user of this machine can replace", func(path string) error { return os.Chmod(filepath.Dir(path), 0o777) }},
		{"-wal belongs to another user", func(path string) error {
			return errors.Join(os.WriteFile(path+"-wal", nil, 0o600), os.Chown(path+"-wal", 12345, -1))
		}},
		{"1 server: none is running, and the last one did not shut down", func(path string) error { return os.WriteFile(path+"-lock", []byte("1"), 0o600) }},
		{"2 store: ", func(path string) error { return os.Remove(path) }},
		{"2 store: open", func(path string) error { return os.Truncate(path, 6000) }},
		{"not a relcheck database", func(path string) error { return os.WriteFile(path, []byte(strings.Repeat("text ", 2000)), 0o600) }},
	} {
		path := filepath.Join(t.TempDir(), "a.db")
		open(t, path).Close()
		if err := c.prepare(path); errors.Is(err, syscall.EPERM) {
			t.Log("missing: permission to change the owner of a file")
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		if found := fmt.Sprint(examine(t, path, longRetention)); !strings.Contains(found, c.want) {
			t.Errorf("got %s, want it to contain %q", found, c.want)
		}
	}
}

func TestDoctorPostgres(t *testing.T) {
	t.Parallel()
	name := pgtest.Database(t)
	if text := examine(t, name, longRetention)["store"]; !strings.HasPrefix(text, "2 ") || !strings.Contains(text, "no relcheck store found") {
		t.Errorf("empty database: got %s, want \"no relcheck store found\"", text)
	}
	open(t, name)
	pgtest.Exec(t, name, "ALTER DATABASE "+name[strings.LastIndex(name, "/")+1:]+" SET synchronous_commit = off")
	if text := examine(t, name, longRetention)["commits"]; !strings.HasPrefix(text, "2 ") {
		t.Errorf("synchronous_commit off: got %s, want an error", text)
	}
	if text := examine(t, "postgres://nobody@127.0.0.1:1/none", longRetention)["store"]; !strings.HasPrefix(text, "2 ") || !strings.Contains(text, "PostgreSQL is running there") {
		t.Errorf("no server: got %s, want \"PostgreSQL is running there\"", text)
	}
}

// oldSketch is the sketch that relcheck with schema 2 wrote for 24 reports of one instance
// with 1 GiB of heap, one report each of 19 instances with 10 MiB, and one report without
// heap usage.
const oldSketch = "012c02d20c13ce03180300056624b7596f0c4d66444a59023aafef1d7651ef1f89d95830ab604e32babd5438028b0a465190b44baf" +
	"078b4e4feb348318b506958733a59d30df95a62f7db9c89d5d86c9847b47d86fa981e368823eeb91deeaf6190566702849e0"

// A sketch of an earlier version can be read and folded into. It counted the heap of each
// report instead of one per instance, which the doctor does not report as an error.
func testDoctorOldSketch(t *testing.T, name string) {
	s, d := open(t, name), raw(t, name)
	day := (today - 1).Time()
	record := func(at time.Time, id uuid.UUID, heap int64) db.Recorded {
		r := checker.Report{ID: id, Version: "v1.0.0", HeapUsageBytes: &heap}
		if heap == 0 {
			r.HeapUsageBytes = nil
		}
		return db.Recorded{At: at, Platform: linux, Report: r}
	}
	server := uuid.New()
	var reports []db.Recorded
	for range 19 {
		reports = append(reports, record(day, uuid.New(), 10<<20))
	}
	reports = append(reports, record(day, uuid.New(), 0))
	for hour := range time.Duration(24) {
		reports = append(reports, record(day.Add(hour*time.Hour), server, 1<<30))
	}
	check := func(when string, instances int64) {
		t.Helper()
		fold(t, s)
		f := readTotals(t, s, 28)
		if h := f.Builds[0].Heaps; len(f.Builds) != 1 || h.Total() != instances || math.Abs(h.Quantile(0.5)/(10<<20)-1) > rollup.HeapError {
			t.Errorf("%s sketch: got %d instance-days with a median of %f, want %d with about 10 MiB", when, h.Total(), h.Quantile(0.5), instances)
		}
		found := examine(t, name, longRetention)
		delete(found, "fold") // no server is running
		if text := problems(found); text != "" {
			t.Errorf("%s sketch: got problems %s, want none", when, text)
		}
	}
	backfill(t, s, reports)
	check("new", 20)
	sketch, err := hex.DecodeString(oldSketch)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Exec("UPDATE sketch SET data = $1", sketch); err != nil {
		t.Fatal(err)
	}
	check("old", 20)
	backfill(t, s, []db.Recorded{record(day.Add(23*time.Hour), uuid.New(), 10<<20)})
	check("continued old", 21)
}
