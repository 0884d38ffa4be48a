package db_test

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"

	"relcheck/db"
	"relcheck/db/pgtest"
)

// A PgBouncer may give each transaction another connection to PostgreSQL, or each client.
func TestBehindPgBouncer(t *testing.T) {
	for mode, names := range map[string][]string{
		"transaction": {"ConcurrentOpen", "Upgrade", "Releases", "Tokens", "ConcurrentRecord", "CountChecks", "CatalogChangesUnderLoad", "Follow",
			"RemoveProductWhileRecording", "FoldByTwoProcesses", "Sweep", "BackupAndRestore", "DoctorIntactStore"},
		"session": {"Upgrade", "ConcurrentRecord"},
	} {
		t.Run(mode, func(t *testing.T) {
			for _, c := range conformance {
				if slices.Contains(names, c.name) {
					t.Run(c.name, func(t *testing.T) {
						t.Parallel()
						c.test(t, pgtest.Pooled(t, mode))
					})
				}
			}
		})
	}
}

// A copy inserts more rows than fit into one statement.
func TestCopyThroughPgBouncer(t *testing.T) {
	ctx := context.Background()
	path, s := newLargeStore(t)
	s.Close()
	want := dump(t, path)
	place := path
	for _, to := range []string{pgtest.Pooled(t, "transaction"), filepath.Join(t.TempDir(), "b.db")} {
		from, err := db.OpenExisting(ctx, place)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := from.Copy(ctx, to, schema(t), noProgress); err != nil {
			t.Fatal(err)
		}
		from.Close()
		if diff := cmp.Diff(want, dump(t, to)); diff != "" {
			t.Errorf("%s is not equal:\n%s", to, diff)
		}
		place = to
	}
}

// A pooler that allows no transactions is refused before anything is made, and when a
// store is there.
func TestPgBouncerWithoutTransactions(t *testing.T) {
	ctx := context.Background()
	name := pgtest.Pooled(t, "statement")
	refused := func() {
		t.Helper()
		if _, err := db.Open(ctx, name, schema(t)); err == nil || !strings.Contains(err.Error(), "set its pool_mode to transaction or session") {
			t.Errorf("got error %v", err)
		}
	}
	refused()
	var tables int
	if err := raw(t, name).QueryRow("SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'").Scan(&tables); err != nil || tables > 0 {
		t.Errorf("there are %d tables, %v", tables, err)
	}
	if found := examine(t, name, longRetention); !strings.Contains(found["store"], "set its pool_mode") {
		t.Errorf("the doctor finds %s", found["store"])
	}
}

// A pooler that passes on the process numbers of PostgreSQL is not noticed. The errors
// that it causes name the remedy.
func TestPoolerErrors(t *testing.T) {
	for code, hint := range map[string]bool{"26000": true, "42P05": true, "42601": false} {
		err := db.ExplainPostgres(&pgconn.PgError{Code: code, Message: "no such statement"})
		if strings.Contains(err.Error(), "default_query_exec_mode=exec") != hint {
			t.Errorf("%s: %v", code, err)
		}
	}
}
