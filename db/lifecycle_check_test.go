package db_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"relcheck/checker/catalog"
	"relcheck/checker/stats/rollup"
	"relcheck/db"
	"relcheck/db/backup"
	"relcheck/db/faultfs"
)

// expected describes what a store must contain at some point of its lifecycle.
type expected struct {
	lifecycle    *lifecycle
	acknowledged map[uuid.UUID]int
	removable    map[uuid.UUID]bool   // reports that may have been removed
	backups      map[string]backupRun // by file name
}

// backupRun is a backup that was started.
type backupRun struct {
	done         bool
	acknowledged []uuid.UUID // reports that it must contain
}

func (l *lifecycle) expected() *expected {
	return &expected{l, map[uuid.UUID]int{}, map[uuid.UUID]bool{}, map[string]backupRun{}}
}

func (e *expected) clone() *expected {
	return &expected{e.lifecycle, maps.Clone(e.acknowledged), maps.Clone(e.removable), maps.Clone(e.backups)}
}

// applyMark applies a mark on the disk.
func (e *expected) applyMark(mark any) {
	switch ids := mark.(type) {
	case acknowledged:
		for _, id := range ids {
			e.acknowledged[id]++
		}
	case removable:
		for _, id := range ids {
			e.removable[id] = true
		}
	case backupStarted:
		var b backupRun
		for id := range e.acknowledged {
			if !e.removable[id] {
				b.acknowledged = append(b.acknowledged, id)
			}
		}
		e.backups[string(ids)] = b
	case backupDone:
		e.backups[string(ids)] = backupRun{true, e.backups[string(ids)].acknowledged}
	}
}

// verdict describes the state of a store after a fault.
type verdict struct {
	lost    int     // number of acknowledged reports that are missing
	openErr error   // the error, if the store cannot be opened
	errs    []error // all other errors
}

func (v *verdict) check(err error) {
	if err != nil {
		v.errs = append(v.errs, err)
	}
}

func (v *verdict) err() error {
	all := append(v.errs, v.openErr)
	if v.lost > 0 {
		all = append(all, fmt.Errorf("%d acknowledged reports are lost", v.lost))
	}
	return errors.Join(all...)
}

// verify opens the store in a folder as the next start would, and checks it against what is
// expected.
func (e *expected) verify(folder string) (v verdict) {
	var log []db.Recorded
	ctx := context.Background()
	path := filepath.Join(folder, lifecycleFile)
	s, err := db.Open(ctx, path, e.lifecycle.schema)
	if err != nil {
		return verdict{openErr: err}
	}
	defer func() {
		v.check(s.Close())
		v.check(e.checkErased(log, path))
	}()
	v.check(checkIntegrity(path))
	for name, b := range e.backups {
		v.check(e.lifecycle.verifyOnce(filepath.Join(folder, name), func(path string) error { return b.verify(path, e.lifecycle.schema) }))
	}
	log, err = readReports(s, "opa")
	v.check(err)
	apps, err := readReports(s, "app")
	if !errors.Is(err, db.ErrNotFound) {
		v.check(err)
	}
	e.countReports(&v, append(slices.Clone(log), apps...))
	if len(v.errs) > 0 || v.lost > 0 {
		return v
	}
	v.check(e.checkTotals(s, slices.Clone(log)))
	v.check(checkUsable(s))
	v.check(s.SweepAt(ctx, db.Retention{Reports: keepReports}, e.lifecycle.now))
	return v
}

// verifyOnce verifies a file, unless a file with the same name and content has passed before:
// most images of a lifecycle contain the same backups.
func (l *lifecycle) verifyOnce(path string, verify func(path string) error) error {
	data, err := os.ReadFile(path)
	key := fmt.Sprintf("%s %x", filepath.Base(path), sha256.Sum256(data))
	if _, good := l.intact.Load(key); good && err == nil {
		return nil
	}
	if err := verify(path); err != nil {
		return err
	}
	if err == nil {
		l.intact.Store(key, true)
	}
	return nil
}

// verify checks that a backup exists if it was completed, and that an existing backup is valid
// and contains all reports that were acknowledged before it began.
func (b backupRun) verify(path, schema string) error {
	if _, err := os.Stat(path); err != nil && !b.done {
		return nil
	}
	ctx := context.Background()
	if _, err := backup.Verify(ctx, path, schema); err != nil {
		return fmt.Errorf("invalid backup: %w", err)
	}
	s, err := db.OpenUnchanged(ctx, path)
	if err != nil {
		return err
	}
	defer s.Close()
	got := map[uuid.UUID]bool{}
	for _, product := range []string{"opa", "app"} {
		log, err := readReports(s, product)
		if err != nil && !errors.Is(err, db.ErrNotFound) {
			return err
		}
		for _, r := range log {
			got[r.ID] = true
		}
	}
	for _, id := range b.acknowledged {
		if !got[id] {
			return fmt.Errorf("the backup lacks report %s, which was acknowledged before it began", id)
		}
	}
	return nil
}

// checkErased checks that a closed file contains no bytes of removed reports.
func (e *expected) checkErased(log []db.Recorded, path string) error {
	got := map[uuid.UUID]bool{}
	for _, r := range log {
		got[r.ID] = true
	}
	file, err := os.ReadFile(path)
	for _, r := range e.lifecycle.expired {
		if e.removable[r.ID] && !got[r.ID] && bytes.Contains(file, r.ID[:]) {
			return fmt.Errorf("the file still contains the removed report %s", r.ID)
		}
	}
	return err
}

// countReports counts the acknowledged reports that are missing, and checks that no report is
// recorded more often than it was sent.
func (e *expected) countReports(v *verdict, log []db.Recorded) {
	seen := map[uuid.UUID]int{}
	for _, r := range log {
		seen[r.ID]++
	}
	for id, n := range e.acknowledged {
		if !e.removable[id] {
			v.lost += max(0, n-seen[id])
		}
	}
	e.lifecycle.mu.Lock()
	defer e.lifecycle.mu.Unlock()
	for id, n := range seen {
		if n > e.lifecycle.sent[id] {
			v.check(fmt.Errorf("report %s: got it %d times, want at most the %d times that it was sent", id, n, e.lifecycle.sent[id]))
		}
	}
}

// checkTotals folds all reports, and compares the totals, which include the counts of
// installations, with a new store that has the same reports.
func (e *expected) checkTotals(s *db.Store, log []db.Recorded) error {
	if _, err := s.Fold(context.Background()); err != nil {
		return err
	}
	if len(e.removable) > 0 { // removed or not, they are in the totals
		log = slices.DeleteFunc(log, func(r db.Recorded) bool { return e.removable[r.ID] })
		log = append(slices.Clone(e.lifecycle.expired), log...)
	}
	got, err := readTotalsOf(s)
	if err != nil {
		return err
	}
	want, err := e.lifecycle.referenceTotals(log)
	if err != nil {
		return err
	}
	if diff := cmp.Diff(flatten(want), flatten(got)); diff != "" {
		return fmt.Errorf("totals (-want +got):\n%s", diff)
	}
	return nil
}

// referenceTotals returns the totals of reports. It caches them, because many images of a
// lifecycle contain the same reports.
func (l *lifecycle) referenceTotals(log []db.Recorded) (*rollup.Totals, error) {
	slices.SortStableFunc(log, func(a, b db.Recorded) int { return a.At.Compare(b.At) })
	var key bytes.Buffer
	for _, r := range log {
		key.Write(r.ID[:])
	}
	l.totalsMu.Lock()
	defer l.totalsMu.Unlock()
	if f := l.totals[key.String()]; f != nil {
		return f, nil
	}
	f, err := l.foldInNewStore(log)
	if l.totals == nil {
		l.totals = map[string]*rollup.Totals{}
	}
	l.totals[key.String()] = f
	return f, err
}

func (l *lifecycle) foldInNewStore(log []db.Recorded) (*rollup.Totals, error) {
	folder, err := os.MkdirTemp(l.scratch, "")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	ctx := context.Background()
	s, err := db.Open(ctx, filepath.Join(folder, lifecycleFile), l.schema)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	for i := range log {
		log[i].Last = l.lastOf(log[i].ID)
	}
	if _, err := s.Backfill(ctx, "opa", slices.Values(log), slices.Values([]db.Checked(nil))); err != nil {
		return nil, err
	}
	if _, err := s.Fold(ctx); err != nil {
		return nil, err
	}
	return readTotalsOf(s)
}

func readTotalsOf(s *db.Store) (*rollup.Totals, error) {
	return s.Totals(context.Background(), "opa", rollup.Range{To: today + 1}.Last(60), allBuilds)
}

// checkUsable records a report and adds a product.
func checkUsable(s *db.Store) error {
	w, err := s.NewWriter(slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	ctx := context.Background()
	_, err = w.Record(ctx, "opa", linux, report("v1.0.0"))
	return errors.Join(err, w.Ready(), w.Close(),
		s.AddProduct(ctx, catalog.Product{Name: "after", Title: "After"}))
}

func readReports(s *db.Store, product string) (all []db.Recorded, err error) {
	err = s.Reports(context.Background(), product, time.Time{}, func(r *db.Recorded) error {
		all = append(all, *r)
		return nil
	})
	return all, err
}

func checkIntegrity(path string) error {
	d, err := sql.Open("sqlite", "file:"+path+"?vfs="+faultfs.Name)
	if err != nil {
		return err
	}
	defer d.Close()
	var found string
	if err := d.QueryRow("PRAGMA integrity_check").Scan(&found); err != nil || found != "ok" {
		return fmt.Errorf("integrity check: got %q (error %w), want ok", found, err)
	}
	return nil
}

// totalsCache caches the totals of reports.
type totalsCache struct {
	totalsMu sync.Mutex
	totals   map[string]*rollup.Totals
	scratch  string
}
