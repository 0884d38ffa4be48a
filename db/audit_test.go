package db_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"relcheck/checker/access"
	"relcheck/checker/catalog"
	"relcheck/db"
)

func auditRows(t *testing.T, s *db.Store, product string, since time.Time) (all []string) {
	t.Helper()
	log, err := s.Audit(context.Background(), product, since)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range log {
		if age := time.Since(a.At); age < -time.Second || age > 10*time.Minute {
			t.Errorf("%+v: got age %v, want a few seconds", a, age)
		}
		if text := a.Sentence(); strings.Contains(text, a.Action) || !strings.Contains(text, a.Detail) {
			t.Errorf("%+v: got sentence %q, want one with the detail and without the action", a, text)
		}
		all = append(all, strings.Join([]string{a.Actor, a.Action, a.Product, a.Detail}, " | "))
	}
	return all
}

// newReleasePatch returns a patch that sets the notes, whether the release is withdrawn,
// and the URL of its linux/amd64 asset. An empty argument leaves the field out.
func newReleasePatch(t *testing.T, notes, withdrawn, asset string) (e catalog.ReleasePatch) {
	t.Helper()
	if notes != "" {
		if err := e.SetNotes(notes); err != nil {
			t.Fatal(err)
		}
	}
	if withdrawn != "" {
		e.SetWithdrawn(withdrawn == "true")
	}
	if asset != "" {
		if err := e.SetAsset("linux/amd64", asset); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

// Each change is logged once, with the token that made it. A call that changes nothing is
// not logged.
func testAuditLog(t *testing.T, name string) {
	ctx := context.Background()
	cli := open(t, name)
	s := cli.As("k2x7q4mw")
	var want []string
	step := func(what string, err error, row ...string) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		want = append(row, want...)
		if diff := cmp.Diff(want, auditRows(t, s, "", time.Time{})); diff != "" {
			t.Fatalf("audit log after %s (-want +got):\n%s", what, diff)
		}
	}
	release := func(notes, withdrawn, asset string) error {
		_, _, err := s.EditRelease(ctx, "app", "1.0.0", newReleasePatch(t, notes, withdrawn, asset))
		return err
	}
	product := func(e catalog.ProductPatch) error {
		_, _, err := s.EditProduct(ctx, "app", e)
		return err
	}
	step("nothing", nil)
	step("a new product", product(nil), "k2x7q4mw | product.added | app | ")
	step("the same title", product(catalog.ProductPatch{"title": "app"}))
	step("another title and module", product(catalog.ProductPatch{"module": "example.com/app", "title": "App"}), "k2x7q4mw | product.changed | app | title, module")
	step("another title from the command line", cli.SetProduct(ctx, catalog.Product{Name: "app", Title: "The App", Module: "example.com/app"}),
		"command line | product.changed | app | title")
	step("the same title from the command line", cli.SetProduct(ctx, catalog.Product{Name: "app", Title: "The App", Module: "example.com/app"}))
	step("a release", release("", "", ""), "k2x7q4mw | release.added | app | v1.0.0")
	step("the same release", release("", "false", ""))
	step("notes and an asset", release("https://example.com", "", "https://example.com/a"), "k2x7q4mw | release.changed | app | v1.0.0: notes, files")
	step("the same notes and asset", release("https://example.com", "", "https://example.com/a"))
	step("a withdrawal and new notes", release("https://example.com/2", "true", ""),
		"k2x7q4mw | release.withdrawn | app | v1.0.0", "k2x7q4mw | release.changed | app | v1.0.0: notes")
	step("a second withdrawal", errOf2(cli.Withdraw(ctx, "app", "v1.0.0", true)))
	step("a restored release", errOf2(cli.Withdraw(ctx, "app", "v1.0.0", false)), "command line | release.restored | app | v1.0.0")

	three := []catalog.Release{{Tag: "v1.0.0"}, {Tag: "v1.1.0"}, {Tag: "v1.2.0"}}
	_, err := putReleases(ctx, cli, "app", three)
	step("an import", err, "command line | releases.imported | app | 3 releases: 2 added, 0 changed, 1 unchanged")
	_, err = cli.ImportReleases(ctx, "app", catalog.ListOf("go:example.com/app", append(three, catalog.Release{Tag: "v1.3.0"})...), false)
	step("a sync", err, "command line | releases.synced | app | 4 releases: 1 added, 0 changed, 3 unchanged")
	_, err = putReleases(ctx, cli, "app", three)
	step("a sync without changes", err)

	k, _ := access.NewToken("Ann's laptop", access.Release, time.Now())
	step("a token", cli.AddToken(ctx, k), "command line | token.added |  | "+k.ID+": release")
	step("a revocation", cli.RevokeToken(ctx, k.ID, time.Now()), "command line | token.revoked |  | "+k.ID)
	step("a second revocation", cli.RevokeToken(ctx, k.ID, time.Now()))
	step("a use of the token", cli.UseToken(ctx, k.ID, time.Now()))

	w := writer(t, cli)
	defer w.Close()
	if _, err := w.Record(ctx, "app", linux, report("1.0.0")); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"product has reports": s.DropProduct(ctx, "app", false),
		"name is taken":       s.AddProduct(ctx, catalog.Product{Name: "app", Title: "App"}),
		"repository is taken": func() error {
			_, _, err := s.EditProduct(ctx, "app", catalog.ProductPatch{"repo": "Open-Policy-Agent/OPA"})
			return err
		}(),
	} {
		if !errors.Is(err, db.ErrInUse) {
			t.Errorf("%s: got error %v, want ErrInUse", what, err)
		}
		step(what, nil)
	}
	for what, err := range map[string]error{
		"unknown release":           errOf2(s.Withdraw(ctx, "app", "v9.9.9", true)),
		"unknown product":           func() error { _, _, err := s.EditRelease(ctx, "none", "v1.0.0", catalog.ReleasePatch{}); return err }(),
		"remove an unknown product": s.DropProduct(ctx, "none", true),
		"unknown token":             s.RevokeToken(ctx, "none", time.Now()),
	} {
		if !errors.Is(err, db.ErrNotFound) {
			t.Errorf("%s: got error %v, want ErrNotFound", what, err)
		}
		step(what, nil)
	}
	step("a removed product", s.RemoveProduct(ctx, "app", true), "k2x7q4mw | product.removed | app | with its reports")

	if got := auditRows(t, s, "app", time.Time{}); len(got) != len(want)-2 {
		t.Errorf("rows of the removed product: got %q, want %d rows", got, len(want)-2)
	}
	if got := auditRows(t, s, "", time.Now().Add(time.Hour)); len(got) != 0 {
		t.Errorf("rows since a time in the future: got %q, want none", got)
	}
}

// The audit log names the server as the creator of the first token.
func testAuditFirstToken(t *testing.T, name string) {
	s := open(t, name)
	k, _ := access.NewToken("first start", access.Read, time.Now())
	link, _ := access.NewLink(k.ID, time.Now())
	for range 2 {
		if _, err := s.AddFirstToken(context.Background(), k, link); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"server | token.added |  | " + k.ID + ": read"}, auditRows(t, s, "", time.Time{})); diff != "" {
		t.Error(diff)
	}
}

// A change that cannot be logged is not made.
func testChangesRequireAudit(t *testing.T, name string) {
	ctx := context.Background()
	s := open(t, name)
	k, _ := access.NewToken("kept", access.Read, time.Now())
	other, _ := access.NewToken("other", access.Read, time.Now())
	if err := s.AddToken(ctx, k); err != nil {
		t.Fatal(err)
	}
	putReleases(ctx, s, "opa", []catalog.Release{{Tag: "v1.0.0"}})
	if _, err := raw(t, name).Exec("ALTER TABLE audit RENAME TO away"); err != nil {
		t.Fatal(err)
	}
	tables := []string{"setting", "product", "release_layer", "file_layer", "token"}
	before := dumpTables(t, name, tables)
	for what, change := range auditedChanges(t, s, k, other) {
		if err := change(); err == nil {
			t.Errorf("%s: got no error although the change cannot be logged", what)
		}
		if diff := cmp.Diff(before, dumpTables(t, name, tables)); diff != "" {
			t.Errorf("%s changed the store (-want +got):\n%s", what, diff)
		}
	}
}

// auditedChanges returns all changes that the audit log records. They need release v1.0.0
// of opa, and a store that has token k but not the other token.
func auditedChanges(t *testing.T, s *db.Store, k, other access.Token) map[string]func() error {
	ctx := context.Background()
	return map[string]func() error{
		"add a product":    func() error { return s.AddProduct(ctx, catalog.Product{Name: "app", Title: "App"}) },
		"set a product":    func() error { return s.SetProduct(ctx, catalog.Product{Name: "opa", Title: "App"}) },
		"edit a product":   func() error { _, _, err := s.EditProduct(ctx, "opa", catalog.ProductPatch{"title": "App"}); return err },
		"remove a product": func() error { return s.DropProduct(ctx, "opa", true) },
		"add a release":    func() error { _, _, err := s.EditRelease(ctx, "opa", "v1.1.0", catalog.ReleasePatch{}); return err },
		"edit a release": func() error {
			_, _, err := s.EditRelease(ctx, "opa", "v1.0.0", newReleasePatch(t, "https://example.com", "", "https://example.com"))
			return err
		},
		"withdraw by edit": func() error {
			_, _, err := s.EditRelease(ctx, "opa", "v1.0.0", newReleasePatch(t, "", "true", ""))
			return err
		},
		"withdraw": func() error { return errOf2(s.Withdraw(ctx, "opa", "v1.0.0", true)) },
		"import": func() error {
			_, err := putReleases(ctx, s, "opa", []catalog.Release{{Tag: "v2.0.0"}})
			return err
		},
		"add a token":    func() error { return s.AddToken(ctx, other) },
		"revoke a token": func() error { return s.RevokeToken(ctx, k.ID, k.Created) },
	}
}

// Concurrent changes through several stores are each logged once.
func testConcurrentAudit(t *testing.T, name string) {
	ctx := context.Background()
	s := open(t, name)
	const others, each = 4, 6
	var wg sync.WaitGroup
	for i := range others {
		by := open(t, name).As(fmt.Sprintf("token%d", i))
		wg.Go(func() {
			for n := range each {
				if _, _, err := by.EditRelease(ctx, "opa", fmt.Sprintf("v1.%d.%d", i, n), catalog.ReleasePatch{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	rows := map[string]bool{}
	for _, row := range auditRows(t, s, "opa", time.Time{}) {
		rows[row] = true
	}
	for i := range others {
		for n := range each {
			if row := fmt.Sprintf("token%d | release.added | opa | v1.%[1]d.%d", i, n); !rows[row] {
				t.Errorf("missing row %q", row)
			}
		}
	}
	if len(rows) != others*each {
		t.Errorf("got %d different rows, want %d", len(rows), others*each)
	}
}
