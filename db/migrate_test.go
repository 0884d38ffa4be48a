package db_test

import (
	"context"
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

// schemaAt is schema.sql as it was at a version.
func schemaAt(t testing.TB, version int) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("testdata/schema-%d.sql", version))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// createOldStore makes a store of an earlier schema with a bit of everything in it.
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

// tableDefinitions returns what the tables of a store are like, to the last column and
// constraint.
func tableDefinitions(t testing.TB, name string) []string {
	t.Helper()
	// SQLite keeps the text by which a table was made, without what stands before it.
	q := "SELECT name || sql FROM sqlite_schema WHERE sql IS NOT NULL"
	if strings.HasPrefix(name, "postgres://") {
		q = `SELECT table_name || ' ' || column_name || ' ' || ordinal_position || ' ' || data_type || ' ' || is_nullable || COALESCE(column_default, '')
				FROM information_schema.columns WHERE table_schema = 'public'
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
		t.Fatalf("%d facts about tables, %v", len(found), err)
	}
	return found
}

// stripComments leaves out comments, and how a text is laid out.
func stripComments(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "--")
		b.WriteString(line + " ")
	}
	return strings.NewReplacer(" ,", ",", " )", ")").Replace(strings.Join(strings.Fields(b.String()), " "))
}

// A store of the first schema becomes like a new one, and keeps what it holds.
// Commands that only read do so too.
func testUpgrade(t *testing.T, name string) {
	ctx := context.Background()
	createOldStore(t, name, 1)
	kept := db.Tables(schemaAt(t, 1))
	before := dumpTables(t, name, kept)
	s, err := db.OpenExisting(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if from, to := s.Upgraded(); from != 1 || to != int64(len(db.Steps)+1) {
		t.Errorf("upgraded from %d to %d", from, to)
	}
	after := dumpTables(t, name, db.Tables(schema(t)))
	before["setting"] = append(before["setting"], "[audit 0]", "[expired 7]", "[proxy 0]", "[marked 0]", "[dropped 0]", "[releases 2]", fmt.Sprintf("[schema %d]", len(db.Steps)+1))
	after["setting"] = slices.DeleteFunc(after["setting"], func(row string) bool { return strings.HasPrefix(row, "[store ") })
	before["secret"] = slices.DeleteFunc(before["secret"], func(row string) bool { return strings.HasPrefix(row, "[session ") })
	for table, added := range map[string]string{"product": " 0]", "release": " 0]"} { // columns that were added, with their defaults
		for i, row := range before[table] {
			if table == "product" {
				added = "  0]"
			}
			before[table][i] = strings.TrimSuffix(row, "]") + added
		}
	}
	for _, table := range kept {
		got := after[table]
		if diff := cmp.Diff(stringSet(before[table], "[schema 1]"), stringSet(got)); diff != "" || len(got) == 0 {
			t.Errorf("%s has %d rows:\n%s", table, len(got), diff)
		}
	}
	if len(after["audit"]) > 0 {
		t.Errorf("something was changed by nobody: %v", after["audit"])
	}
	if _, err := s.PutReleases(ctx, "app", []catalog.Release{{Version: "1.2.0"}}, replaceStored); err != nil {
		t.Error(err)
	}
	w := writer(t, s)
	defer w.Close()
	if err := w.Record(ctx, "app", linux, report("1.0.0")); err != nil {
		t.Error(err)
	}
	if from, _ := open(t, name).Upgraded(); from != 0 {
		t.Error("it is upgraded again")
	}
}

// stringSet returns sorted lines, but for some of them.
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

// What comes of upgrading is to the last column what a new store is.
func TestUpgradedSchemaEqualsNew(t *testing.T) {
	for engine, place := range engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			upgraded, created := place(t), place(t)
			createOldStore(t, upgraded, 1)
			open(t, upgraded)
			s := open(t, created)
			if from, _ := s.Upgraded(); from != 0 {
				t.Errorf("a new store is upgraded from %d", from)
			}
			if diff := cmp.Diff(stringSet(tableDefinitions(t, created)), stringSet(tableDefinitions(t, upgraded))); diff != "" {
				t.Errorf("a new store (-) and an upgraded one (+):\n%s", diff)
			}
		})
	}
}

// Of several processes that open an old store at once, one takes each step.
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
		t.Errorf("%d processes have upgraded it, in %d steps", n, len(db.Steps))
	}
}

// A store may be upgraded while those who know the schema before it use it.
func testUpgradeWhileInUse(t *testing.T, name string) {
	ctx := context.Background()
	s := open(t, name) // of this version; what a step adds is nothing to a writer that knows the build
	w := writer(t, s)
	defer w.Close()
	if err := w.Record(ctx, "opa", linux, report("1.0.0")); err != nil {
		t.Fatal(err)
	}
	downgrade(t, name)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if from, _ := open(t, name).Upgraded(); from != 2 {
			t.Errorf("upgraded from %d", from)
		}
	}()
	for n := 1; ; n++ {
		if err := w.Record(ctx, "opa", linux, report("1.0.0")); err != nil {
			t.Fatal(err)
		}
		select {
		case <-done:
			if got := len(recorded(t, s, "opa")); got != n+1 {
				t.Errorf("%d reports of %d are there", got, n+1)
			}
			return
		case <-time.After(time.Millisecond): // else SQLite, which tries now and then, may not find the lock free
		}
	}
}

// downgrade takes back what the last step has added.
func downgrade(t testing.TB, name string) {
	t.Helper()
	d := raw(t, name)
	defer d.Close()
	for _, q := range []string{"DROP TABLE IF EXISTS session", "DROP TABLE IF EXISTS link", "DROP TABLE IF EXISTS stage",
		"INSERT INTO secret SELECT 'session', value FROM secret WHERE name = 'ids' AND NOT EXISTS (SELECT 1 FROM secret WHERE name = 'session')",
		"DELETE FROM setting WHERE name IN ('store', 'proxy', 'marked', 'dropped', 'releases')",
		"DROP INDEX IF EXISTS product_repo", "DROP INDEX IF EXISTS product_revision", "DROP INDEX IF EXISTS release_revision",
		"ALTER TABLE product DROP COLUMN origins", "ALTER TABLE product DROP COLUMN revision", "ALTER TABLE release DROP COLUMN revision",
		"UPDATE setting SET value = 2 WHERE name = 'schema'"} {
		_, err := d.Exec(q)
		if err != nil && !(strings.Contains(q, "DROP COLUMN") && strings.Contains(err.Error(), "column")) { // half an upgrade has not added them all
			t.Fatal(err)
		}
	}
}

// What cannot be upgraded stays as it is.
func TestFailedUpgrade(t *testing.T) {
	name := pgtest.Database(t)
	createOldStore(t, name, 1)
	pgtest.Exec(t, name, "CREATE TABLE audit (other TEXT)")
	_, err := db.OpenExisting(context.Background(), name)
	if err == nil || !strings.Contains(err.Error(), "upgrade its schema from 1 to 2") {
		t.Errorf("got error %v", err)
	}
	if got := dumpTables(t, name, []string{"setting"})["setting"]; !strings.Contains(strings.Join(got, ""), "[schema 1]") {
		t.Errorf("it was half upgraded: %v", got)
	}
}

// A copy of an old store is a new one. That of a store which a newer relcheck has
// upgraded since it was opened is refused.
func TestCopyOldStore(t *testing.T) {
	ctx := context.Background()
	from, to := filepath.Join(t.TempDir(), "a.db"), pgtest.Database(t)
	createOldStore(t, from, 1)
	s, err := db.OpenExisting(ctx, from)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Copy(ctx, to, schema(t), func(int64, int64) {}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(dumpTables(t, from, db.Tables(schema(t))), dumpTables(t, to, db.Tables(schema(t)))); diff != "" {
		t.Error(diff)
	}
	if from, _ := open(t, to).Upgraded(); from != 0 {
		t.Errorf("the copy is of schema %d", from)
	}
	d := raw(t, from)
	if _, err := d.Exec("UPDATE setting SET value = 1000 WHERE name = 'schema'"); err != nil {
		t.Fatal(err)
	}
	_, err = s.Copy(ctx, filepath.Join(t.TempDir(), "b.db"), schema(t), func(int64, int64) {})
	if err == nil || !strings.Contains(err.Error(), "written by a newer relcheck") {
		t.Errorf("of what became newer: %v", err)
	}
}

// engines are places for new stores.
var engines = map[string]func(testing.TB) string{
	"SQLite":     func(t testing.TB) string { return filepath.Join(t.TempDir(), "a.db") },
	"PostgreSQL": func(t testing.TB) string { return pgtest.Database(t) },
}

// What a relcheck of before has left is a backup, too: a file of an older schema is
// restored as it is, and upgraded by the next who opens it. The doctor looks at it
// and finds nothing wrong.
func TestRestoreOldStore(t *testing.T) {
	ctx := context.Background()
	oldFile, place := filepath.Join(t.TempDir(), "a.db"), filepath.Join(t.TempDir(), "b.db")
	createOldStore(t, oldFile, 1)
	kept := db.Tables(schemaAt(t, 1))
	before := dumpTables(t, oldFile, kept)
	found := examine(t, oldFile, longRetention)
	if !strings.Contains(found["store"], "0 ") || !strings.Contains(found["store"], "with schema 1") {
		t.Errorf("the doctor finds %s", found["store"])
	}
	if text := found["statistics"]; strings.Contains(text, "cannot be compared") {
		t.Errorf("the doctor finds %s", text)
	}
	rows, err := backup.Restore(ctx, oldFile, place, schema(t), noProgress)
	if err != nil || rows["report"] != 1 {
		t.Fatalf("restored %v, %v", rows, err)
	}
	checkRows(t, before, dumpTables(t, place, kept))
	if from, _ := open(t, place).Upgraded(); from != 1 {
		t.Errorf("what was restored is upgraded from %d", from)
	}
	_, err = backup.Restore(ctx, oldFile, pgtest.Database(t), schema(t), noProgress)
	if err == nil || !strings.Contains(err.Error(), "restore it to a file") {
		t.Errorf("into another engine: %v", err)
	}
}
