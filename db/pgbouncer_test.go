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

// The store works with a PgBouncer that assigns connections to PostgreSQL by transaction or by
// session.
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

// A copy also works through PgBouncer, although it inserts more rows than fit into one
// statement.
func TestCopyThroughPgBouncer(t *testing.T) {
	ctx := context.Background()
	path, s := newLargeStore(t)
	s.Close()
	want := dump(t, path)
	source := path
	for _, to := range []string{pgtest.Pooled(t, "transaction"), filepath.Join(t.TempDir(), "b.db")} {
		from, err := db.OpenExisting(ctx, source)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := from.Copy(ctx, to, schema(t), noProgress); err != nil {
			t.Fatal(err)
		}
		from.Close()
		if diff := cmp.Diff(want, dump(t, to)); diff != "" {
			t.Errorf("copy to %s (-want +got):\n%s", to, diff)
		}
		source = to
	}
}

// A pooler that allows no transactions is refused, before anything is created.
func TestPgBouncerWithoutTransactions(t *testing.T) {
	ctx := context.Background()
	name := pgtest.Pooled(t, "statement")
	refused := func() {
		t.Helper()
		if _, err := db.Open(ctx, name, schema(t)); err == nil || !strings.Contains(err.Error(), "set its pool_mode to transaction or session") {
			t.Errorf("got error %v, want \"set its pool_mode to transaction or session\"", err)
		}
	}
	refused()
	var tables int
	if err := raw(t, name).QueryRow("SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'").Scan(&tables); err != nil || tables > 0 {
		t.Errorf("got %d tables (error %v), want none", tables, err)
	}
	if found := examine(t, name, longRetention); !strings.Contains(found["store"], "set its pool_mode") {
		t.Errorf("doctor: got %s, want \"set its pool_mode\"", found["store"])
	}
}

// A pooler that passes on the process IDs of PostgreSQL cannot be detected. The errors that it
// causes say how to configure relcheck for it.
func TestPoolerErrors(t *testing.T) {
	for code, hint := range map[string]bool{"26000": true, "42P05": true, "42601": false} {
		err := db.ExplainPostgres(&pgconn.PgError{Code: code, Message: "no such statement"})
		if strings.Contains(err.Error(), "default_query_exec_mode=exec") != hint {
			t.Errorf("code %s: got error %v, want \"default_query_exec_mode=exec\" in it: %v", code, err, hint)
		}
	}
}
