package db_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/stats/rollup"
	"relcheck/db"
	"relcheck/db/pgtest"
)

var copied = flag.Int("copied", unlessRace(30_000, 3_000), "number of reports to copy between engines (make test-backup: 1,000,000)")

// A store that is copied to the other engine and back equals the original.
func TestCopyRoundTrip(t *testing.T) {
	ctx := context.Background()
	original, postgres, copyBack := filepath.Join(t.TempDir(), "a.db"), pgtest.Database(t), filepath.Join(t.TempDir(), "b.db")
	s := open(t, original)
	fillStore(t, s)
	reports := *copied
	insertReports(t, original, reports)
	want := dump(t, original)
	for table, rows := range want {
		if len(rows) == 0 {
			t.Errorf("table %s has no rows to copy", table)
		}
	}
	for _, to := range []string{postgres, copyBack} {
		last := int64(0)
		rows, err := s.Copy(ctx, to, schema(t), func(done, total int64) {
			if done < last || done > total {
				t.Errorf("progress went from %d to %d of %d", last, done, total)
			}
			last = done
		})
		if err != nil || rows["report"] != int64(reports+2) || last < int64(2*reports) {
			t.Fatalf("got rows %v and progress %d (error %v), want %d reports and progress of at least %d", rows, last, err, reports+2, 2*reports)
		}
		if diff := cmp.Diff(want, dump(t, to)); diff != "" {
			t.Errorf("copy to %s (-want +got):\n%s", to, diff)
		}
		s = open(t, to) // the next copy is made from this one
	}
	w := writer(t, s)
	defer w.Close()
	if _, err := w.Record(ctx, "opa", linux, report("1.0.0")); err != nil {
		t.Errorf("record in the copy: %v", err)
	}
}

// fillStore adds a few rows to every table: among them, 3 products and 2 reports.
func fillStore(t *testing.T, s *db.Store) {
	t.Helper()
	ctx := context.Background()
	app := catalog.Product{Name: "app", Title: "Äpp \"quoted\"", Repo: "me/app", Module: "example.com/app", Download: "https://example.com/{tag}/{os}",
		Notes: "https://example.com/{tag}", File: "app_{os}_{arch}", Origins: "https://example.com app:", Prefixes: "v app-", Suffix: "k3s[0-9]+", Match: "<9",
		MinAge: 36 * time.Hour, RequireFiles: true, Channels: "lts <2\nedge * prereleases",
		Upstreams: "github:me/app file:/srv/app", NotesHere: true, Links: catalog.LinksHostedOnly,
		Aliases: "@me/app", Hosts: "updates.example.com:8443", Dialects: "npm checkpoint", Hidden: true}
	for i := range reflect.TypeFor[catalog.Product]().NumField() {
		if name := reflect.TypeFor[catalog.Product]().Field(i).Name; name != "Syncs" && name != "Bundles" && reflect.ValueOf(app).Field(i).IsZero() {
			t.Errorf("field %s of the product has no value", name)
		}
	}
	if err := s.AddProduct(ctx, app); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Product(ctx, "app"); err != nil || !got.Equal(app) {
		t.Errorf("got product %+v (error %v), want %+v", got, err, app)
	}
	releases := []catalog.Release{
		{Tag: "v1.0.0", Date: time.Unix(1e9, 0), Files: file(linux, "https://example.com/a")},
		{Tag: "v1.1.0", Notes: "https://example.com", Withdrawn: true, Reason: "broken"},
		{Tag: "v1.2.0-rc.1", Prerelease: true},
	}
	if _, err := putReleases(ctx, s, "app", releases); err != nil {
		t.Fatal(err)
	}
	layer := catalog.Layer{Title: new("Ünfinished"), Notes: new("https://example.com/notes"), Text: new("# Notes\n"), Created: new(time.Unix(1e9, 0)), Published: new(time.Unix(2e9, 0)),
		Prerelease: new(false), Withdrawn: new(true), Reason: new("old"), List: "file",
		Files: []catalog.File{{Name: "app.tar.gz", Platform: linux, URL: "https://example.com/app.tar.gz", Size: 1 << 40, SHA256: strings.Repeat("a", 64), SHA512: strings.Repeat("b", 128), MediaType: "application/gzip"}}}
	operator := layer
	operator.Title, operator.List = new(""), ""
	list := catalog.List{Name: "file", Entries: []catalog.Entry{{Tag: "v1.3.0", Upstream: layer, Operator: &operator}}}
	if _, err := s.ImportReleases(ctx, "app", list, true); err != nil {
		t.Fatal(err)
	}
	for version, withdrawn := range map[string]bool{"v1.0.0": true, "v1.1.0": false} {
		if err := errOf2(s.Withdraw(ctx, "app", version, withdrawn)); err != nil {
			t.Fatal(err)
		}
	}
	fillHosting(t, s)
	w := writer(t, s)
	defer w.Close()
	w.Count("app", "1.1.0", linux)
	withoutHeap := report("9.9.9-dev")
	withoutHeap.HeapUsageBytes, withoutHeap.Last = nil, checker.NeverAnswered
	for product, r := range map[string]*checker.Report{"app": withoutHeap, "opa": report("v0.70.0")} {
		if _, err := w.Record(ctx, product, checker.Other, r); err != nil {
			t.Fatal(err)
		}
	}
}

// fillHosting adds a few rows to the tables about upstreams, hosted files and bundles.
func fillHosting(t *testing.T, s *db.Store) {
	t.Helper()
	ctx := context.Background()
	hosted := catalog.HostedFile{Name: "app.tar.gz", SHA256: strings.Repeat("a", 64), Size: 1 << 40, Verified: true, Fetched: time.Unix(1e9, 0)}
	err := s.HostFile(ctx, "app", "v1.3.0", hosted)
	if err == nil {
		err = s.MarkDamaged(ctx, hosted.SHA256, time.Unix(2e9, 0))
	}
	if err == nil {
		err = s.RecordSync(ctx, "app", catalog.Sync{Upstream: "github:me/app", Tried: time.Unix(2e9, 0), Succeeded: time.Unix(2e9, 0), Latest: "v1.3.0", State: []byte("[\x00]")})
	}
	if err == nil {
		err = s.RecordSync(ctx, "app", catalog.Sync{Upstream: "file:/srv/app", Tried: time.Unix(2e9, 0), Error: "no such file"})
	}
	if err == nil {
		err = s.TrustKey(ctx, "home+01234567+AQID", []string{"app", "opa"}, time.Unix(1e9, 0))
	}
	if err == nil {
		bundle := db.Bundle{ID: strings.Repeat("b", 64), Store: "12345", Time: time.Unix(2e9, 0), Keys: []string{"home+01234567+AQID"}}
		_, err = s.ApplyBundle(ctx, bundle, []*db.BundleProduct{releasesOf(catalog.Product{Name: "app", Title: "App"}, 7)})
	}
	if err == nil {
		err = s.RevokeKey(ctx, "home+01234567+AQID", time.Unix(2e9, 0))
	}
	if err == nil {
		err = s.TrustCountsKey(ctx, "factory+01234567+AQID", nil, time.Unix(1e9, 0))
	}
	if err == nil {
		cell := rollup.Cell{Period: rollup.Period{Span: rollup.OneDay, Day: 20_000}, Build: rollup.Build{Version: "v1.0.0", Platform: linux}, Reports: 1 << 40, Installations: rollup.Installations{Daily: 3, Back28: 2}}
		cell.Heaps.Add(1000, 5)
		bundle := db.Bundle{ID: strings.Repeat("c", 64), Store: "67890", Created: time.Unix(2e9, 0), Time: time.Unix(2e9, 0), Keys: []string{"factory+01234567+AQID"}}
		_, err = s.ApplyCounts(ctx, db.SiteBundle{Bundle: bundle, Site: "factory", Threshold: 1, Through: 20_001}, counted(7, []rollup.Cell{cell}))
	}
	if err == nil {
		_, err = s.NextBundleSequences(ctx, []string{"app", "opa"}, time.Unix(1e9, 0))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// insertReports adds n reports to a SQLite file, alternating between two products.
func insertReports(t *testing.T, path string, n int) {
	t.Helper()
	_, err := raw(t, path).Exec(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
		INSERT INTO report (product, seq, at, build, instance, heap)
		SELECT build.product, 100 + i, 1700000000 + i / 100, build.id, randomblob(16), abs(random())
		FROM n JOIN build ON build.product = 1 + i % 2 * 2 AND build.id = 1`, n)
	if err != nil {
		t.Fatal(err)
	}
}

// dump returns the rows of each table, or their hash if there are more than 100.
func dump(t *testing.T, name string) map[string][]string {
	t.Helper()
	return dumpTables(t, name, []string{"setting", "product", "release_layer", "file_layer", "build", "report", "checks", "audit",
		"hosted_file", "upstream_sync", "trusted_key", "bundle_sequence", "applied_bundle", "site", "site_product", "site_count"})
}

func dumpTables(t *testing.T, name string, tables []string) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	d := raw(t, name)
	defer d.Close()
	for _, table := range tables {
		rows, err := d.Query("SELECT * FROM " + table)
		if err != nil {
			t.Fatal(err)
		}
		all[table] = rowLines(t, rows)
	}
	return all
}

// boolReplacer formats booleans as SQLite does.
var boolReplacer = strings.NewReplacer(" true", " 1", " false", " 0")

func rowLines(t *testing.T, rows *sql.Rows) (all []string) {
	t.Helper()
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	row, into := make([]any, len(columns)), make([]any, len(columns))
	for i := range row {
		into[i] = &row[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		all = append(all, boolReplacer.Replace(fmt.Sprintf("%v", row)))
	}
	slices.Sort(all)
	if len(all) > 100 {
		return []string{fmt.Sprintf("%d rows, %x", len(all), sha256.Sum256([]byte(strings.Join(all, "\n"))))}
	}
	return all
}

func TestCopyErrors(t *testing.T) {
	ctx := context.Background()
	s := open(t, filepath.Join(t.TempDir(), "a.db"))
	used := filepath.Join(t.TempDir(), "used.db")
	open(t, used).Close()
	foreign := filepath.Join(t.TempDir(), "foreign.db")
	write(t, foreign, "this is a text of some length, not a database")
	usedDatabase, foreignDatabase := pgtest.Database(t), pgtest.Database(t)
	open(t, usedDatabase).Close()
	pgtest.Exec(t, foreignDatabase, "CREATE TABLE recipe (name TEXT)")
	w := writer(t, s)
	if _, err := s.Copy(ctx, filepath.Join(t.TempDir(), "new.db"), schema(t), noProgress); !errors.Is(err, db.ErrInUse) {
		t.Errorf("copy of a store with a writer: got error %v, want ErrInUse", err)
	}
	w.Close()
	for _, to := range []string{s.Name(), used, usedDatabase, foreignDatabase, foreign} {
		_, err := s.Copy(ctx, to, schema(t), noProgress)
		if want := "already exists at the destination"; to != foreign && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("copy to %s: got error %v, want %q", to, err, want)
		}
		if err == nil {
			t.Errorf("copy to %s: got no error", to)
		}
	}
}

// An interrupted copy leaves nothing, and can be repeated.
func TestCopyInterrupted(t *testing.T) {
	skipRace(t)
	path := filepath.Join(t.TempDir(), "a.db")
	s := open(t, path)
	fillStore(t, s)
	insertReports(t, path, 10_500)
	for _, to := range []string{filepath.Join(t.TempDir(), "b.db"), pgtest.Database(t)} {
		for _, stop := range []int64{10_000, 20_000} { // while writing, and while reading back
			ctx, cancel := context.WithCancel(context.Background())
			_, err := s.Copy(ctx, to, schema(t), func(done, _ int64) {
				if done == stop {
					cancel()
				}
			})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("stopped at %d: got error %v, want context.Canceled", stop, err)
			}
		}
		if _, err := s.Copy(context.Background(), to, schema(t), noProgress); err != nil {
			t.Errorf("repeated copy: %v", err)
		}
		if diff := cmp.Diff(dump(t, path), dump(t, to)); diff != "" {
			t.Errorf("repeated copy (-want +got):\n%s", diff)
		}
	}
}

// Copy fails, and removes the copy, if it differs from the original.
func TestCopyIsVerified(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	s := open(t, path)
	fillStore(t, s)
	for _, spoil := range []string{
		"UPDATE report SET heap = 1 WHERE heap IS NULL",
		"DELETE FROM file_layer",
		"UPDATE release_layer SET layer = layer, gone = NOT gone WHERE tag = 'v1.0.0'",
		"UPDATE product SET title = repo, repo = title WHERE name = 'app'",
	} {
		// The table checks is copied last, when all other tables are complete.
		text := schema(t) + "\nCREATE TRIGGER spoil AFTER INSERT ON checks BEGIN " + spoil + "; END;"
		to := filepath.Join(t.TempDir(), "b.db")
		_, err := s.Copy(context.Background(), to, text, noProgress)
		if err == nil || !strings.Contains(err.Error(), "differs from the original") {
			t.Errorf("%s: got error %v, want \"differs from the original\"", spoil, err)
		}
		if info, err := os.Stat(to); err == nil && info.Size() > 0 {
			t.Errorf("%s: got a file of %d bytes, want none", spoil, info.Size())
		}
	}
}
