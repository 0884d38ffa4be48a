package db_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/stats/rollup"
	"relcheck/db"
	"relcheck/db/backup"
	"relcheck/db/faultfs"
)

// lifecycleFile is the name of stores that use the VFS of package faultfs.
const lifecycleFile = "life.db"

// keepReports is the retention of reports in a lifecycle.
const keepReports = 24 * time.Hour

// phases are the phases of a lifecycle, in order. A phase that fails is repeated, and must
// therefore be repeatable.
var phases = []struct {
	name string
	run  func(*lifecycle) error
}{
	{"create", (*lifecycle).create},
	{"upgrade", (*lifecycle).open},
	{"record the past", (*lifecycle).backfill},
	{"record", (*lifecycle).record},
	{"fold", (*lifecycle).fold},
	{"record during checkpoints", (*lifecycle).checkpoint},
	{"change the catalog while recording", (*lifecycle).catalog},
	{"record again", (*lifecycle).record},
	{"fold again", (*lifecycle).fold},
	{"back up while recording", (*lifecycle).backUp},
	{"sweep while recording", (*lifecycle).sweep},
	{"close", (*lifecycle).close},
	{"open again", (*lifecycle).open},
	{"record while folding", (*lifecycle).recordAndFold},
	{"remove a product", (*lifecycle).removeProduct},
	{"record a last time", (*lifecycle).record},
	{"back up again", (*lifecycle).backUp},
	{"close at the end", (*lifecycle).close},
}

// lifecycle is a store that passes through all phases. It marks on the disk when each report
// was acknowledged.
type lifecycle struct {
	folder, schema string
	oldSchema      string // the schema to begin with, or "" for the current one
	disk           *faultfs.Disk
	prepare        func(*db.Writer) error // called with each new writer; may be nil
	now            time.Time

	s          *db.Store
	w          *db.Writer // nil until the first report
	past       []db.Recorded
	backfilled int           // number of past reports that are recorded
	expired    []db.Recorded // reports that had expired when the sweep began

	backups int      // number of backups that were started
	intact  sync.Map // keys of backups that were verified successfully

	mu          sync.Mutex
	appReports  removable // the reports of the product that will be removed
	random      *rand.Rand
	sent        map[uuid.UUID]int
	refused     int  // number of reports that were not acknowledged
	lastRefused bool // whether the last report was not acknowledged

	totalsCache
}

// These are the marks on the disk: reports that were acknowledged, reports that may be gone
// from then on, and the file names of backups that were started and completed.
type (
	acknowledged  []uuid.UUID
	removable     []uuid.UUID
	backupStarted string
	backupDone    string
)

func newLifecycle(t *testing.T, seed uint64) (*lifecycle, error) {
	folder := t.TempDir()
	disk, err := faultfs.Watch(folder)
	if err != nil {
		return nil, err
	}
	t.Cleanup(disk.Close)
	l := &lifecycle{folder: folder, schema: schema(t), disk: disk, now: time.Now(), random: rand.New(rand.NewPCG(seed, 1)), sent: map[uuid.UUID]int{}}
	if seed%2 == 0 {
		l.oldSchema = schemaAt(t, 1)
	}
	l.scratch = t.TempDir()
	l.past = l.newPastReports(60)
	t.Cleanup(func() { l.close() })
	return l, nil
}

func (l *lifecycle) path() string { return filepath.Join(l.folder, lifecycleFile) }

func (l *lifecycle) open() (err error) {
	if l.s == nil {
		l.s, err = db.Open(context.Background(), l.path(), l.schema)
	}
	return err
}

// create creates a new store. In every other lifecycle, it creates one with schema 1 and a few
// reports.
func (l *lifecycle) create() error {
	if l.oldSchema == "" {
		return l.open()
	}
	ctx := context.Background()
	err := db.Create(ctx, l.path(), l.oldSchema)
	if err != nil && !strings.Contains(err.Error(), "already exists") { // by a failed attempt
		return err
	}
	d, err := sql.Open("sqlite", "file:"+l.path()+"?_busy_timeout=5000&_synchronous=FULL&_pragma=journal_mode(wal)&vfs="+faultfs.Name)
	if err != nil {
		return err
	}
	defer d.Close()
	var ids acknowledged
	text := "BEGIN IMMEDIATE; INSERT INTO build SELECT id, '0.9.0', 'linux', 'amd64', 1 FROM product WHERE name = 'opa' ON CONFLICT DO NOTHING;"
	at := l.now.AddDate(0, 0, -50).Unix() // before all other reports
	for range 5 {
		id := uuid.New()
		id[0] = 0 // see lastOf
		ids = append(ids, id)
		l.sent[id]++
		text += fmt.Sprintf("INSERT INTO report SELECT product.id, (SELECT COALESCE(MAX(seq), 0) + 1 FROM report), %d, 1, x'%x', 1000 FROM product WHERE name = 'opa';", at, id[:])
	}
	if _, err := d.Exec(text + "COMMIT"); err != nil {
		return err
	}
	l.disk.Mark(ids)
	return nil
}

func (l *lifecycle) close() error {
	var errs []error
	if l.w != nil {
		errs = append(errs, l.w.Close())
	}
	if l.s != nil {
		errs = append(errs, l.s.Close())
	}
	l.w, l.s = nil, nil
	return errors.Join(errs...)
}

// newPastReports returns n reports of a few instances, five on every third day.
func (l *lifecycle) newPastReports(n int) (all []db.Recorded) {
	ids := make([]uuid.UUID, n/6+1)
	for i := range ids {
		ids[i] = uuid.New()
	}
	for i := range n {
		r := checker.Report{ID: ids[l.random.IntN(len(ids))], Version: []string{"v1.0.0", "0.9.0"}[i%2]}
		if heap := l.random.Int64N(1 << 30); i%5 > 0 {
			r.HeapUsageBytes = &heap
		}
		at := l.now.AddDate(0, 0, -2-3*((n-i)/5)).Truncate(time.Second).UTC()
		all = append(all, db.Recorded{At: at, Platform: linux, Report: r})
	}
	return all
}

// lastOf returns what the client of a report remembers. It depends on the instance ID, so that
// it is known from the log, which does not contain it.
func (l *lifecycle) lastOf(id uuid.UUID) checker.Last {
	switch id[0] % 4 {
	case 0:
		return checker.CannotRemember
	case 1:
		return checker.NeverAnswered
	}
	return checker.Last(rollup.DayOf(l.now)) - checker.Last(id[0]/4)
}

func (l *lifecycle) backfill() error {
	rest := l.past[l.backfilled:]
	for i := range rest {
		rest[i].Last = l.lastOf(rest[i].ID)
		l.sent[rest[i].ID]++
	}
	n, err := l.s.Backfill(context.Background(), "opa", slices.Values(rest), slices.Values([]db.Checked(nil)))
	var ids acknowledged
	for _, r := range rest[:n] {
		ids = append(ids, r.ID)
	}
	l.disk.Mark(ids)
	l.backfilled += int(n)
	for i := range l.past[l.backfilled:] { // they may be recorded despite the error: replace them
		l.past[l.backfilled+i].ID = uuid.New()
	}
	return err
}

func (l *lifecycle) writer() (err error) {
	if l.w != nil {
		return nil
	}
	if l.w, err = l.s.NewWriter(slog.New(slog.DiscardHandler)); err != nil {
		l.w = nil
		return err
	}
	if l.prepare != nil {
		return l.prepare(l.w)
	}
	return nil
}

// recordConcurrently records reports of a product from several goroutines, some of them with
// unreleased versions.
func (l *lifecycle) recordConcurrently(product string, callers, each int) error {
	if err := l.writer(); err != nil {
		return err
	}
	errs := make([]error, callers)
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for range each {
				errs[c] = errors.Join(errs[c], l.recordOne(product))
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (l *lifecycle) recordOne(product string) error {
	l.mu.Lock()
	r := report(fmt.Sprintf("1.%d.0", l.random.IntN(8)))
	*r.HeapUsageBytes = l.random.Int64N(1 << 30)
	r.Last = l.lastOf(r.ID)
	l.sent[r.ID]++
	l.mu.Unlock()
	_, err := l.w.Record(context.Background(), product, linux, r)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lastRefused = err != nil
	switch {
	case err != nil:
		l.refused++
	case product == "app":
		l.appReports = append(l.appReports, r.ID)
		fallthrough
	default:
		l.disk.Mark(acknowledged{r.ID})
	}
	return err
}

func (l *lifecycle) record() error { return l.recordConcurrently("opa", 4, 8) }

// whileRecording calls f while reports are recorded.
func (l *lifecycle) whileRecording(f func() error) error {
	if err := l.writer(); err != nil {
		return err
	}
	recorded := make(chan error)
	go func() { recorded <- l.recordConcurrently("opa", 3, 6) }()
	err := f()
	return errors.Join(err, <-recorded)
}

func (l *lifecycle) fold() error {
	_, err := l.s.Fold(context.Background())
	return err
}

func (l *lifecycle) recordAndFold() error {
	return l.whileRecording(func() error { return errors.Join(l.fold(), l.fold()) })
}

// checkpoint runs each kind of checkpoint.
func (l *lifecycle) checkpoint() error {
	return l.whileRecording(func() error {
		d, err := sql.Open("sqlite", "file:"+l.path()+"?_busy_timeout=5000&vfs="+faultfs.Name)
		if err != nil {
			return err
		}
		defer d.Close()
		var errs []error
		for _, mode := range []string{"PASSIVE", "FULL", "RESTART", "TRUNCATE"} {
			_, err := d.Exec("PRAGMA wal_checkpoint(" + mode + ")")
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	})
}

// backUp makes a backup with a new name.
func (l *lifecycle) backUp() error {
	l.backups++
	name := fmt.Sprintf("%s.backup-%d", lifecycleFile, l.backups)
	return l.whileRecording(func() error {
		l.disk.Mark(backupStarted(name))
		_, err := backup.Create(context.Background(), l.s, filepath.Join(l.folder, name), l.schema, noProgress)
		if err == nil {
			l.disk.Mark(backupDone(name))
		}
		return err
	})
}

func (l *lifecycle) catalog() error {
	return l.whileRecording(func() error {
		ctx := context.Background()
		err := l.s.AddProduct(ctx, catalog.Product{Name: "app", Title: "App"})
		if errors.Is(err, db.ErrInUse) { // in a failed attempt
			err = nil
		}
		releases := []catalog.Release{{Tag: "v1.2.0", Files: file(linux, "https://example.com/linux")}, {Tag: "v1.3.0"}}
		_, err2 := putReleases(ctx, l.s, "opa", releases)
		if err := errors.Join(err, err2); err != nil {
			return err
		}
		return l.recordConcurrently("app", 2, 4)
	})
}

// sweep removes the expired reports.
func (l *lifecycle) sweep() error {
	if err := l.markExpired(); err != nil {
		return err
	}
	return l.whileRecording(func() error {
		err := l.s.SweepAt(context.Background(), db.Retention{Reports: keepReports}, l.now)
		l.mu.Lock()
		l.now = l.now.Add(time.Hour) // so that another attempt is due
		l.mu.Unlock()
		if errors.Is(err, db.ErrNotErased) {
			err = nil
		}
		return err
	})
}

// markExpired marks the reports that the sweep will remove, whether they were acknowledged or
// not.
func (l *lifecycle) markExpired() error {
	if l.expired != nil { // in a failed attempt
		return nil
	}
	log, err := readReports(l.s, "opa")
	if err != nil {
		return err
	}
	var ids removable
	for _, r := range log {
		if l.now.Sub(r.At) > keepReports {
			l.expired, ids = append(l.expired, r), append(ids, r.ID)
		}
	}
	l.disk.Mark(ids)
	return nil
}

func (l *lifecycle) removeProduct() error {
	if err := l.writer(); err != nil {
		return err
	}
	l.disk.Mark(l.appReports)
	err := l.s.RemoveProduct(context.Background(), "app", true)
	if errors.Is(err, db.ErrNotFound) { // in a failed attempt
		err = nil
	}
	return err
}
