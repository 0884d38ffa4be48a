package db_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"relcheck/checker/catalog"
	"relcheck/db"
)

// fillOldReleases adds releases to a store with schema 2: synced and imported ones, ones
// that were added or changed by hand, and decisions of the operator.
func fillOldReleases(t *testing.T, name string) {
	t.Helper()
	d := raw(t, name)
	for _, q := range []string{
		"INSERT INTO product (id, name, title, repo, module, download, notes) VALUES (10, 'own', 'Own', '', '', '', ''), (11, 'lib', 'Lib', '', 'example.com/lib', '', '')",
		"UPDATE setting SET value = 11 WHERE name = 'product'",
		`INSERT INTO release (product, version, tag, notes, date, prerelease, retracted, withdrawn) VALUES
			(10, 'v1.0.0', '1.0.0', 'https://example.com/n', 1700000000, false, '', NULL),
			(10, 'v1.1.0', '1.1.0', '', NULL, true, '', true),
			(11, 'v1.0.0', 'v1.0.0', '', 1700000000, false, '', NULL),
			(11, 'v1.1.0', 'v1.1.0', '', 1700000001, false, 'broken', NULL),
			(11, 'v1.2.0', 'v1.2.0', '', 1700000002, false, 'broken', false),
			(11, 'v1.3.0', 'v1.3.0', '', 1700000003, false, '', true),
			(11, 'v1.4.0', 'v1.4.0', 'https://example.com/own', 1700000004, false, '', NULL),
			(11, 'v1.5.0', 'v1.5.0', '', 1700000005, false, 'broken', NULL)`,
		`INSERT INTO asset (product, version, os, arch, url) VALUES
			(10, 'v1.0.0', 'linux', 'amd64', 'https://example.com/d/own-linux'),
			(11, 'v1.0.0', 'linux', 'amd64', 'https://example.com/a/lib'),
			(11, 'v1.0.0', 'darwin', 'arm64', 'https://example.com/b/lib'),
			(11, 'v1.4.0', 'linux', 'amd64', 'https://example.com/')`,
		`INSERT INTO audit (id, at, who, action, product, detail) VALUES
			(101, 1700000000, 'command line', 'release.changed', 'lib', 'v1.4.0: notes, assets'),
			(102, 1700000000, 'command line', 'release.added', 'lib', 'v1.5.0'),
			(103, 1700000000, 'command line', 'release.changed', 'other', 'v1.0.0: notes'),
			(104, 1700000000, 'command line', 'release.withdrawn', 'lib', 'v1.0.0')`,
	} {
		execute(t, d, q)
	}
}

// The upgrade to schema 3 attributes releases to upstream or to the operator. What clients
// are offered stays the same.
func testUpgradeLayers(t *testing.T, name string) {
	ctx := context.Background()
	createOldStore(t, name, 1)
	execute(t, raw(t, name), "UPDATE setting SET value = 2 WHERE name = 'schema'; "+db.Steps[0])
	fillOldReleases(t, name)
	s, err := db.OpenExisting(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, c := range []struct {
		product, tag       string
		upstream, operator bool // have layers
		withdrawn          bool
		reason             string
		files              string
	}{
		{"own", "1.0.0", false, true, false, "", "own-linux linux/amd64"},
		{"own", "1.1.0", false, true, true, "", ""},
		{"lib", "v1.0.0", true, false, false, "", "lib darwin/arm64, lib linux/amd64"},
		{"lib", "v1.1.0", true, false, true, "broken", ""},
		{"lib", "v1.2.0", true, true, false, "", ""},
		{"lib", "v1.3.0", true, true, true, "", ""},
		{"lib", "v1.4.0", false, true, false, "", " linux/amd64"},
		{"lib", "v1.5.0", true, true, true, "broken", ""},
		{"app", "1.1.0", true, true, false, "", ""},
	} {
		r, layers, err := s.Release(ctx, c.product, c.tag)
		if err != nil {
			t.Errorf("%s %s: %v", c.product, c.tag, err)
			continue
		}
		var files []string
		for _, f := range r.Files {
			files = append(files, f.Name+" "+f.Platform.String())
		}
		if (layers[catalog.Upstream] != nil) != c.upstream || (layers[catalog.Operator] != nil) != c.operator {
			t.Errorf("%s %s: got layers %v, want upstream %v and operator %v", c.product, c.tag, layers, c.upstream, c.operator)
		}
		if r.Withdrawn != c.withdrawn || r.Reason != c.reason || strings.Join(files, ", ") != c.files || r.ID == 0 {
			t.Errorf("%s %s: got %+v, want withdrawn %v, reason %q and files %s", c.product, c.tag, r, c.withdrawn, c.reason, c.files)
		}
	}
	// A sync lists them for the first time, so it removes none.
	list := catalog.ListOf("go:example.com/lib", catalog.Release{Tag: "v1.6.0"})
	list.Whole = true
	if got, err := s.ImportReleases(ctx, "lib", list, false); err != nil || got != (db.ImportResult{Added: 1}) {
		t.Errorf("first sync: got %v (error %v), want one release added", got, err)
	}
	ids := map[int64]string{}
	for _, product := range []string{"own", "lib", "app"} {
		all, err := s.Releases(ctx, product)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range all {
			if other := ids[r.ID]; other != "" {
				t.Errorf("%s and %s %s have the same ID", other, product, r.Tag)
			}
			ids[r.ID] = product + " " + r.Tag
		}
	}
}

// A relcheck with schema 2 that has the store open reads the same releases after the
// upgrade, and cannot change them.
func testOldReaderAfterUpgrade(t *testing.T, name string) {
	createOldStore(t, name, 1)
	d := raw(t, name)
	execute(t, d, "UPDATE setting SET value = 2 WHERE name = 'schema'; "+db.Steps[0])
	fillOldReleases(t, name)
	read := func() (lines []string) {
		t.Helper()
		for _, q := range []string{ // as in relcheck with schema 2
			"SELECT product, version, tag, notes, date, prerelease, COALESCE(withdrawn, retracted <> '') FROM release",
			"SELECT product, version, os, arch, url, '', '' FROM asset",
		} {
			rows, err := d.Query(q)
			if err != nil {
				t.Fatal(err)
			}
			defer rows.Close()
			for rows.Next() {
				row := make([]any, 7)
				into := make([]any, 7)
				for i := range row {
					into[i] = &row[i]
				}
				if err := rows.Scan(into...); err != nil {
					t.Fatal(err)
				}
				for i := 5; i < 7; i++ { // SQLite has no type for the columns of an expression
					if n, ok := row[i].(int64); ok {
						row[i] = n != 0
					}
				}
				lines = append(lines, strings.TrimSpace(cmp.Diff(nil, row)))
			}
			if err := rows.Err(); err != nil {
				t.Fatal(err)
			}
		}
		slices.Sort(lines)
		return lines
	}
	before := read()
	s, err := db.OpenExisting(context.Background(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if diff := cmp.Diff(before, read()); diff != "" {
		t.Errorf("releases (-before +after):\n%s", diff)
	}
	for _, q := range []string{
		"INSERT INTO release (product, version, tag, notes, date, prerelease, retracted) VALUES (11, 'v9.0.0', 'v9.0.0', '', 0, false, '')",
		"UPDATE release SET withdrawn = true WHERE product = 11",
		"DELETE FROM asset WHERE product = 11",
	} {
		if _, err := d.Exec(q); err == nil {
			t.Errorf("%s: got no error, want one", q)
		}
	}
}
