package db_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"relcheck/checker/catalog"
	"relcheck/checker/stats/rollup"
	"relcheck/db"
	"relcheck/db/pgtest"
)

// Reads end when their context does, even while they return rows, and leave the store
// readable.
func testCanceledReads(t *testing.T, name string) {
	s := open(t, name)
	w := writer(t, s)
	for i := range 5 {
		if _, err := w.Record(context.Background(), "opa", linux, report(fmt.Sprintf("1.%d.0", i))); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	if _, err := s.Fold(context.Background()); err != nil {
		t.Fatal(err)
	}
	today := rollup.DayOf(time.Now())
	ctx, cancel := context.WithCancel(context.Background())
	readFigures := func(ctx context.Context, keep func(rollup.Build) bool) error {
		_, err := s.Totals(ctx, "opa", rollup.Range{From: today, To: today}, keep)
		return err
	}
	err := readFigures(ctx, func(rollup.Build) bool { cancel(); return true })
	if err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Figures canceled while reading: got error %v, want one that is not DeadlineExceeded", err)
	}
	for what, read := range map[string]func(context.Context) error{
		"figures": func(ctx context.Context) error { return readFigures(ctx, allBuilds) },
		"catalog": func(ctx context.Context) error { _, err := s.Changes(ctx, catalog.Revision{}); return err },
		"token":   func(ctx context.Context) error { _, err := s.Token(ctx, "x"); return err },
	} {
		if err := read(ctx); err == nil {
			t.Errorf("%s: got no error with a canceled context", what)
		}
		if err := read(context.Background()); err != nil {
			t.Errorf("%s after the cancellation: %v", what, err)
		}
	}
}

// A read that waits for a lock in PostgreSQL ends at its deadline.
func TestReadBehindLock(t *testing.T) {
	name := pgtest.Database(t)
	s := open(t, name)
	tx, err := raw(t, name).Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if _, err := tx.Exec("LOCK TABLE rollup, token IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	for what, read := range map[string]func(context.Context) error{
		"figures": func(ctx context.Context) error {
			_, err := s.Totals(ctx, "opa", rollup.Range{From: 20000, To: 20001}, allBuilds)
			return err
		},
		"token": func(ctx context.Context) error { _, err := s.Token(ctx, "x"); return err },
	} {
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		begin := time.Now()
		if err := read(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: got error %v, want DeadlineExceeded", what, err)
		}
		if took := time.Since(begin); took > 20*time.Second {
			t.Errorf("%s: got error after %v, want it after 200ms", what, took)
		}
		cancel()
	}
	tx.Rollback()
	if _, err := s.Token(context.Background(), "x"); err != nil {
		t.Errorf("read after the lock was released: %v", err)
	}
}

// What database/sql closes when a context is done fails with errors that do not say so.
func TestClosedByContext(t *testing.T) {
	d, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "a.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	tx, err := d.BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	statement, err := tx.Prepare("SELECT 1")
	if err != nil {
		t.Fatal(err)
	}
	if other := errors.New("other"); db.ClosedBy(ctx, sql.ErrTxDone) != sql.ErrTxDone || db.ClosedBy(ctx, other) != other {
		t.Error("an error is changed although the context is not done")
	}
	cancel()
	for begin := time.Now(); tx.Commit() != sql.ErrTxDone; time.Sleep(time.Millisecond) {
		if time.Since(begin) > 10*time.Second {
			t.Fatal("timeout: the transaction was not closed")
		}
	}
	_, ofStatement := statement.Exec()
	_, ofTx := tx.Exec("SELECT 1")
	for what, err := range map[string]error{"statement": ofStatement, "transaction": ofTx} {
		if err == nil || errors.Is(err, context.Canceled) {
			t.Errorf("%s: got error %v, want one that does not name the context", what, err)
		} else if got := db.ClosedBy(ctx, fmt.Errorf("copy: %w", err)); !errors.Is(got, context.Canceled) {
			t.Errorf("%s: got error %v, want context.Canceled", what, got)
		}
	}
}
