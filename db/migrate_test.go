package db_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"relcheck/checker/catalog"
	"relcheck/db"
	"relcheck/db/backup"
	"relcheck/db/pgtest"
)

// schemaAt returns schema.sql of a schema version.
func schemaAt(t testing.TB, version int) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("testdata/schema-%d.sql", version))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// createOldStore creates a store with an earlier schema and a few rows in every table.
func createOldStore(t testing.TB, name string, version int) {
	t.Helper()
	if err := db.Create(context.Background(), name, schemaAt(t, version)); err != nil {
		t.Fatal(err)
	}
	d := raw(t, name)
	defer d.Close()
	blob := []byte("\x00\xff0123456789abcd")
	for _, row := range []struct {
		text string
		args []any
	}{
		{"UPDATE setting SET value = 7 WHERE name IN ('catalog', 'node', 'removed', 'swept')", nil},
		{"UPDATE setting SET value = 3 WHERE name = 'product'", nil},
		{"INSERT INTO product VALUES (3, 'app', $1, 'me/app', '', '', '')", []any{"Äpp \"quoted\""}},
		{"INSERT INTO release VALUES (3, 'v1.0.0', '1.0.0', '', 1000000000, false, '', NULL)", nil},
		{"INSERT INTO release VALUES (3, 'v1.1.0', '1.1.0', 'https://example.com', NULL, true, 'broken', false)", nil},
		{"INSERT INTO asset VALUES (3, 'v1.0.0', 'linux', 'amd64', 'https://example.com/a')", nil},
		{"INSERT INTO build VALUES (3, '1.0.0', 'linux', 'amd64', 1)", nil},
		{"INSERT INTO report VALUES (3, 8, 1700000000, 1, $1, NULL)", []any{blob}},
		{"INSERT INTO fold VALUES (3, 1, 0, 1700000000)", nil},
		{"INSERT INTO mark VALUES (3, 0, 8)", nil},
		{"INSERT INTO rollup VALUES (3, 1, 19675, 1, 1, 1, 1, 0)", nil},
		{"INSERT INTO sketch VALUES (3, 1, 19675, 1, $1)", []any{blob}},
		{"INSERT INTO life VALUES (3, -5, 1, 1700000000, 1700000000)", nil},
		{"INSERT INTO checks VALUES (3, 19675, 1, 4)", nil},
		{"INSERT INTO token VALUES ('aaaaaaaa', 'first start', 'read', $1, 1700000000, NULL, NULL)", []any{append(blob, blob...)[:32]}},
	} {
		if _, err := d.Exec(row.text, row.args...); err != nil {
			t.Fatalf("%s: %v", row.text, err)
		}
	}
}

// tableDefinitions returns the definitions of all tables, columns, constraints and indexes.
func tableDefinitions(t testing.TB, name string) []string {
	t.Helper()
	// SQLite stores the CREATE statements with their comments.
	q := "SELECT name || sql FROM sqlite_schema WHERE sql IS NOT NULL AND type <> 'view'"
	if strings.HasPrefix(name, "postgres://") {
		q = `SELECT table_name || ' ' || column_name || ' ' || ordinal_position || ' ' || data_type || ' ' || is_nullable || COALESCE(column_default, '')
				FROM information_schema.columns WHERE table_schema = 'public' AND table_name IN (SELECT tablename FROM pg_tables)
			UNION ALL SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace
			UNION ALL SELECT tablename || ' ' || indexdef FROM pg_indexes WHERE schemaname = 'public'`
	}
	rows, err := raw(t, name).Query(q)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var found []string
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			t.Fatal(err)
		}
		found = append(found, stripComments(text))
	}
	if err := rows.Err(); err != nil || len(found) < 10 {
		t.Fatalf("got %d definitions (error %v), want at least 10", len(found), err)
	}
	return found
}

// stripComments removes comments and normalizes white space.
func stripComments(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "--")
		b.WriteString(line + " ")
	}
	return strings.NewReplacer(" ,", ",", " )", ")").Replace(strings.Join(strings.Fields(b.String()), " "))
}

// Opening a store with schema 1 upgrades it and keeps its rows, even for a command that only
// reads.
func testUpgrade(t *testing.T, name string) {
	ctx := context.Background()
	createOldStore(t, name, 1)
	kept := slices.DeleteFunc(db.Tables(schemaAt(t, 1)), func(name string) bool { return name == "release" || name == "asset" })
	before := dumpTables(t, name, kept)
	s, err := db.OpenExisting(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if from, to := s.Upgraded(); from != 1 || to != int64(len(db.Steps)+1) {
		t.Errorf("got upgrade from %d to %d, want from 1 to %d", from, to, len(db.Steps)+1)
	}
	after := dumpTables(t, name, db.Tables(schema(t)))
	before["setting"] = append(before["setting"], "[audit 0]", "[expired 7]", "[proxy 0]", "[marked 0]", "[dropped 0]", "[releases 2]", "[release 2]", "[file 1]", "[site 0]", fmt.Sprintf("[schema %d]", len(db.Steps)+1))
	after["setting"] = slices.DeleteFunc(after["setting"], func(row string) bool { return strings.HasPrefix(row, "[store ") })
	before["secret"] = slices.DeleteFunc(before["secret"], func(row string) bool { return strings.HasPrefix(row, "[session ") })
	for i, row := range before["product"] { // columns that were added, with their defaults
		dialects := ""
		if strings.Contains(row, " opa ") {
			dialects = "openpolicyagent"
		}
		before["product"][i] = strings.TrimSuffix(row, "]") + "      0 0  0  0    " + dialects + " 0]"
	}
	for i, row := range before["report"] {
		before["report"][i] = strings.TrimSuffix(row, "]") + " <nil>]"
	}
	for _, table := range kept {
		got := after[table]
		if diff := cmp.Diff(stringSet(before[table], "[schema 1]"), stringSet(got)); diff != "" || len(got) == 0 {
			t.Errorf("table %s with %d rows (-want +got):\n%s", table, len(got), diff)
		}
	}
	if len(after["audit"]) > 0 {
		t.Errorf("got audit log %v, want it empty", after["audit"])
	}
	if _, err := putReleases(ctx, s, "app", []catalog.Release{{Tag: "1.2.0"}}); err != nil {
		t.Error(err)
	}
	w := writer(t, s)
	defer w.Close()
	if _, err := w.Record(ctx, "app", linux, report("1.0.0")); err != nil {
		t.Error(err)
	}
	if from, _ := open(t, name).Upgraded(); from != 0 {
		t.Errorf("got another upgrade from schema %d, want none", from)
	}
}

// stringSet returns a set of lines without those to drop.
func stringSet(lines []string, drop ...string) map[string]bool {
	set := map[string]bool{}
	for _, l := range lines {
		set[l] = true
	}
	for _, d := range drop {
		delete(set, d)
	}
	return set
}

// An upgraded store has exactly the tables of a new one.
func TestUpgradedSchemaEqualsNew(t *testing.T) {
	for engine, newStore := range engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			upgraded, created := newStore(t), newStore(t)
			createOldStore(t, upgraded, 1)
			open(t, upgraded)
			s := open(t, created)
			if from, _ := s.Upgraded(); from != 0 {
				t.Errorf("got upgrade of a new store from schema %d, want none", from)
			}
			if diff := cmp.Diff(stringSet(tableDefinitions(t, created)), stringSet(tableDefinitions(t, upgraded))); diff != "" {
				t.Errorf("tables (-new +upgraded):\n%s", diff)
			}
		})
	}
}

// If several processes open an old store at once, each step is done by one of them.
func testConcurrentUpgrade(t *testing.T, name string) {
	createOldStore(t, name, 1)
	text := schema(t)
	var upgrades atomic.Int64
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			schemaText := text
			if i%2 == 0 {
				schemaText = "" // a command that only reads
			}
			s, err := db.Open(context.Background(), name, schemaText)
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			if from, _ := s.Upgraded(); from != 0 {
				upgrades.Add(1)
			}
			if _, err := s.Changes(context.Background(), catalog.Revision{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := int(upgrades.Load()); n < 1 || n > len(db.Steps) {
		t.Errorf("got upgrades by %d processes, want 1 to %d", n, len(db.Steps))
	}
}

// A store can be upgraded while a process of an earlier version records into it.
func testUpgradeWhileInUse(t *testing.T, name string) {
	ctx := context.Background()
	s := open(t, name)
	w := writer(t, s)
	if _, err := w.Record(ctx, "opa", linux, report("1.0.0")); err != nil {
		t.Fatal(err)
	}
	w.Close()
	downgrade(t, name, 2)
	earlier := raw(t, name)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if from, _ := open(t, name).Upgraded(); from != 2 {
			t.Errorf("got upgrade from schema %d, want from 2", from)
		}
	}()
	defer func() { <-done }()
	for n := 1; ; n++ {
		_, err := earlier.Exec(`INSERT INTO report (product, seq, at, build, instance, heap)
			SELECT product, (SELECT max(seq) + 1 FROM report), at, build, instance, heap FROM report ORDER BY seq LIMIT 1`)
		if err != nil {
			t.Fatal(err)
		}
		select {
		case <-done:
			if got := len(recorded(t, s, "opa")); got != n+1 {
				t.Errorf("got %d reports, want %d", got, n+1)
			}
			return
		case <-time.After(time.Millisecond): // give the upgrade, which polls for the lock, a chance to get it
		}
	}
}

// downgrade undoes the steps after schema 2 or 3, also partial ones.
func downgrade(t testing.TB, name string, schema int) {
	t.Helper()
	d := raw(t, name)
	defer d.Close()
	undo := []string{"DELETE FROM setting WHERE name = 'site'", "ALTER TABLE report DROP COLUMN first", "ALTER TABLE product DROP COLUMN upstreams", "ALTER TABLE product DROP COLUMN notes_here", "ALTER TABLE product DROP COLUMN links",
		"ALTER TABLE product DROP COLUMN aliases", "ALTER TABLE product DROP COLUMN hosts", "ALTER TABLE product DROP COLUMN dialects",
		"ALTER TABLE product DROP COLUMN hidden"}
	for _, table := range db.Tables(strings.Join(db.Steps[2:], "\n")) {
		undo = append(undo, "DROP TABLE IF EXISTS "+table)
	}
	if schema < 3 {
		undo = append(undo, prepareSchema2(t, name, d)...)
	}
	for _, q := range append(undo, fmt.Sprintf("UPDATE setting SET value = %d WHERE name = 'schema'", schema)) {
		_, err := d.Exec(q)
		if err != nil && !(strings.Contains(q, "DROP COLUMN") && strings.Contains(err.Error(), "column")) { // a partial upgrade may not have added it
			t.Fatal(err)
		}
	}
}

// prepareSchema2 restores the tables that the step to schema 3 removed. It returns the
// statements that remove its additions.
func prepareSchema2(t testing.TB, name string, d *sql.DB) (undo []string) {
	t.Helper()
	for _, old := range []struct{ table, rows string }{
		{"release", `SELECT COALESCE(u.product, o.product), 'v' || COALESCE(u.tag, o.tag), COALESCE(u.tag, o.tag), COALESCE(o.notes, u.notes, ''), COALESCE(o.published, u.published),
			COALESCE(o.prerelease, u.prerelease), COALESCE(u.reason, ''), o.withdrawn
			FROM (SELECT * FROM release_layer WHERE layer = 0) AS u FULL JOIN (SELECT * FROM release_layer WHERE layer = 1) AS o ON o.product = u.product AND o.tag = u.tag`},
		{"asset", "SELECT product, 'v' || tag, os, arch, url FROM file_layer"},
	} {
		query := "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = $1"
		if strings.HasPrefix(name, "postgres://") {
			query = "SELECT count(*) FROM pg_tables WHERE tablename = $1"
		}
		var n int
		if err := d.QueryRow(query, old.table).Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n == 1 {
			continue
		}
		_, definition, _ := strings.Cut(stripComments(schemaAt(t, 2)), "CREATE TABLE "+old.table+" ")
		definition, _, _ = strings.Cut(definition, ";")
		execute(t, d, "DROP VIEW IF EXISTS "+old.table+"; CREATE TABLE "+old.table+" "+definition+"; INSERT INTO "+old.table+" "+old.rows)
	}
	return []string{"DROP TABLE IF EXISTS session", "DROP TABLE IF EXISTS link", "DROP TABLE IF EXISTS stage",
		"INSERT INTO secret SELECT 'session', value FROM secret WHERE name = 'ids' AND NOT EXISTS (SELECT 1 FROM secret WHERE name = 'session')",
		"DELETE FROM setting WHERE name IN ('store', 'proxy', 'marked', 'dropped', 'releases', 'release', 'file')",
		"DROP INDEX IF EXISTS product_repo", "DROP INDEX IF EXISTS product_revision",
		"ALTER TABLE product DROP COLUMN origins", "ALTER TABLE product DROP COLUMN revision",
		"ALTER TABLE product DROP COLUMN file", "ALTER TABLE product DROP COLUMN prefixes", "ALTER TABLE product DROP COLUMN suffix",
		"ALTER TABLE product DROP COLUMN versions", "ALTER TABLE product DROP COLUMN min_age", "ALTER TABLE product DROP COLUMN require_files",
		"ALTER TABLE product DROP COLUMN channels", "DROP TABLE IF EXISTS file_layer", "DROP TABLE IF EXISTS release_layer", "DROP TABLE IF EXISTS upgraded"}
}

// A failed upgrade changes nothing.
func TestFailedUpgrade(t *testing.T) {
	name := pgtest.Database(t)
	createOldStore(t, name, 1)
	pgtest.Exec(t, name, "CREATE TABLE audit (other TEXT)")
	_, err := db.OpenExisting(context.Background(), name)
	if err == nil || !strings.Contains(err.Error(), "upgrade its schema from 1 to 2") {
		t.Errorf("got error %v, want \"upgrade its schema from 1 to 2\"", err)
	}
	if got := dumpTables(t, name, []string{"setting"})["setting"]; !strings.Contains(strings.Join(got, ""), "[schema 1]") {
		t.Errorf("got settings %v, want schema 1", got)
	}
}

// A copy of an old store has the current schema. A store that a newer relcheck has upgraded
// meanwhile cannot be copied.
func TestCopyOldStore(t *testing.T) {
	ctx := context.Background()
	from, to := filepath.Join(t.TempDir(), "a.db"), pgtest.Database(t)
	createOldStore(t, from, 1)
	s, err := db.OpenExisting(ctx, from)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Copy(ctx, to, schema(t), noProgress); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(dumpTables(t, from, db.Tables(schema(t))), dumpTables(t, to, db.Tables(schema(t)))); diff != "" {
		t.Errorf("copy (-want +got):\n%s", diff)
	}
	if from, _ := open(t, to).Upgraded(); from != 0 {
		t.Errorf("got upgrade of the copy from schema %d, want none", from)
	}
	d := raw(t, from)
	if _, err := d.Exec("UPDATE setting SET value = 1000 WHERE name = 'schema'"); err != nil {
		t.Fatal(err)
	}
	_, err = s.Copy(ctx, filepath.Join(t.TempDir(), "b.db"), schema(t), noProgress)
	if err == nil || !strings.Contains(err.Error(), "written by a newer relcheck") {
		t.Errorf("copy of a newer store: got error %v, want \"written by a newer relcheck\"", err)
	}
}

// engines return the name of a new store of each engine.
var engines = map[string]func(testing.TB) string{
	"SQLite":     func(t testing.TB) string { return filepath.Join(t.TempDir(), "a.db") },
	"PostgreSQL": func(t testing.TB) string { return pgtest.Database(t) },
}

// A file with an older schema is a valid backup. It is restored unchanged and upgraded when it
// is opened. The doctor finds no error in it.
func TestRestoreOldStore(t *testing.T) {
	ctx := context.Background()
	oldFile, target := filepath.Join(t.TempDir(), "a.db"), filepath.Join(t.TempDir(), "b.db")
	createOldStore(t, oldFile, 1)
	kept := slices.DeleteFunc(db.Tables(schemaAt(t, 1)), func(name string) bool { return name == "release" || name == "asset" })
	before := dumpTables(t, oldFile, kept)
	found := examine(t, oldFile, longRetention)
	if !strings.Contains(found["store"], "0 ") || !strings.Contains(found["store"], "with schema 1") {
		t.Errorf("doctor: got %s, want \"with schema 1\" without an error", found["store"])
	}
	if text := found["statistics"]; strings.Contains(text, "cannot be compared") {
		t.Errorf("doctor: got %s, want the statistics compared", text)
	}
	rows, err := backup.Restore(ctx, oldFile, target, schema(t), noProgress)
	if err != nil || rows["report"] != 1 {
		t.Fatalf("got rows %v (error %v), want 1 report", rows, err)
	}
	checkRows(t, before, dumpTables(t, target, kept))
	if from, _ := open(t, target).Upgraded(); from != 1 {
		t.Errorf("got upgrade of the restored store from schema %d, want from 1", from)
	}
	_, err = backup.Restore(ctx, oldFile, pgtest.Database(t), schema(t), noProgress)
	if err == nil || !strings.Contains(err.Error(), "restore it to a file") {
		t.Errorf("restore to the other engine: got error %v, want \"restore it to a file\"", err)
	}
}
