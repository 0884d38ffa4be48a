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
	"relcheck/db"
	"relcheck/db/backup"
	"relcheck/db/faultfs"
)

// lifecycleFile is the name of each store that lies on a disk of package faultfs.
const lifecycleFile = "life.db"

// keepReports is how long reports are kept in a life.
const keepReports = 24 * time.Hour

// phases are what a store goes through in its life. One that failed is gone
// through again.
var phases = []struct {
	name string
	run  func(*lifecycle) error
}{
	{"create", (*lifecycle).create},
	{"upgrade", (*lifecycle).open},
	{"record the past", (*lifecycle).backfill},
	{"record", (*lifecycle).record},
	{"fold", (*lifecycle).fold},
	{"record while the log is written into the file", (*lifecycle).checkpoint},
	{"change the catalog while recording", (*lifecycle).catalog},
	{"record again", (*lifecycle).record},
	{"fold again", (*lifecycle).fold},
	{"back up while recording", (*lifecycle).backUp},
	{"remove what is old while recording", (*lifecycle).sweep},
	{"close", (*lifecycle).close},
	{"open again", (*lifecycle).open},
	{"record while folding", (*lifecycle).recordAndFold},
	{"remove a product", (*lifecycle).removeProduct},
	{"record at last", (*lifecycle).record},
	{"back up once more", (*lifecycle).backUp},
	{"close at last", (*lifecycle).close},
}

// lifecycle is a store from its creation to its end. Of each report it notes on the
// disk when it was acknowledged.
type lifecycle struct {
	folder, schema string
	oldSchema      string // the schema that it begins with, if that is an older one
	disk           *faultfs.Disk
	prepare        func(*db.Writer) error // if not nil
	now            time.Time

	s          *db.Store
	w          *db.Writer // nil until something is to be recorded
	past       []db.Recorded
	backfilled int           // how many of past are recorded
	expired    []db.Recorded // those that were there when removing began

	backups int      // how many were begun
	intact  sync.Map // those that were looked into, and are whole

	mu          sync.Mutex
	appReports  removable // the reports of the product that will be removed
	random      *rand.Rand
	sent        map[uuid.UUID]int
	refused     int  // how many reports were not acknowledged
	lastRefused bool // whether the last one was not

	totalsCache
}

// What is noted on the disk: reports that are acknowledged, and those that may be
// gone from then on.
// And backups, by the name of their file: those that are begun, and then those that
// are done.
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

// create makes a new store, or in every other life one as the first relcheck has
// left it, with some reports.
func (l *lifecycle) create() error {
	if l.oldSchema == "" {
		return l.open()
	}
	ctx := context.Background()
	err := db.Create(ctx, l.path(), l.oldSchema)
	if err != nil && !strings.Contains(err.Error(), "already exists") { // by an earlier try
		return err
	}
	d, err := sql.Open("sqlite", "file:"+l.path()+"?_busy_timeout=5000&_synchronous=FULL&_pragma=journal_mode(wal)&vfs="+faultfs.Name)
	if err != nil {
		return err
	}
	defer d.Close()
	var ids acknowledged
	text := "BEGIN IMMEDIATE; INSERT INTO build SELECT id, '0.9.0', 'linux', 'amd64', 1 FROM product WHERE name = 'opa' ON CONFLICT DO NOTHING;"
	at := l.now.AddDate(0, 0, -50).Unix() // before all that is recorded later
	for range 5 {
		id := uuid.New()
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

// reportsOfThePast are those of some ids, on every third day.
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

func (l *lifecycle) backfill() error {
	rest := l.past[l.backfilled:]
	for _, r := range rest {
		l.sent[r.ID]++
	}
	n, err := l.s.Backfill(context.Background(), "opa", slices.Values(rest), slices.Values([]db.Checked(nil)))
	var ids acknowledged
	for _, r := range rest[:n] {
		ids = append(ids, r.ID)
	}
	l.disk.Mark(ids)
	l.backfilled += int(n)
	for i := range l.past[l.backfilled:] { // nobody knows whether they are recorded: others take their place
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

// recordSome records reports of a product over a number of callers. Versions are
// some that are known and some that are not.
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
	l.sent[r.ID]++
	l.mu.Unlock()
	err := l.w.Record(context.Background(), product, linux, r)
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

// beside runs f while reports come in.
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

// checkpoint writes the log into the file in all the ways there are.
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

// backUp makes one backup, with a new name each time.
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
		if errors.Is(err, db.ErrInUse) { // in an earlier try
			err = nil
		}
		releases := []catalog.Release{{Version: "v1.2.0", Assets: map[checker.Platform]string{linux: "https://example.com/linux"}}, {Version: "v1.3.0"}}
		_, err2 := l.s.PutReleases(ctx, "opa", releases, replaceStored)
		if err := errors.Join(err, err2); err != nil {
			return err
		}
		return l.recordConcurrently("app", 2, 4)
	})
}

// sweep removes the reports of the past.
func (l *lifecycle) sweep() error {
	if err := l.markExpired(); err != nil {
		return err
	}
	return l.whileRecording(func() error {
		err := l.s.SweepAt(context.Background(), db.Retention{Reports: keepReports}, l.now)
		l.now = l.now.Add(time.Hour) // until the next try
		if errors.Is(err, db.ErrNotErased) {
			err = nil
		}
		return err
	})
}

// noteOld notes which reports will be removed. There may be some among them that
// were not acknowledged.
func (l *lifecycle) markExpired() error {
	if l.expired != nil { // in an earlier try
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
	if errors.Is(err, db.ErrNotFound) { // in an earlier try
		err = nil
	}
	return err
}
