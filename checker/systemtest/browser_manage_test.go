package systemtest

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"relcheck/checker/access"
	"relcheck/checker/bundle"
	"relcheck/checker/catalog"
	"relcheck/checker/stats/rollup"
	"relcheck/db"
)

// managedServer is a server whose pages people change.
type managedServer struct {
	Base   string   `json:"base"`
	Admin  []string `json:"admin"`   // sign-in links
	Others []string `json:"others"`  // sign-in links of a release and a read token
	Latest string   `json:"latest"`  // release of opa
	Before string   `json:"before"`  // the release before
	Keys   []string `json:"keys"`    // public keys
	Token  string   `json:"tokenID"` // of a token that can be revoked

	SiteKey string `json:"siteKey"` // ID of the trusted key of site berlin
}

// managedPages serves a store with statistics, a product whose upstream is a file, with a
// channel and a withdrawn release, a site, and a token of each scope.
func managedPages(t *testing.T) managedServer {
	t.Helper()
	ctx := context.Background()
	file := filepath.Join(t.TempDir(), "managed.db")
	fill(t, file, knownFleet())
	list := filepath.Join(t.TempDir(), "releases.json")
	if err := os.WriteFile(list, []byte(`[{"tag_name":"v1.0.0","assets":[{"name":"app-linux-amd64","browser_download_url":"https://example.com/app-linux-amd64"}]}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := db.Open(ctx, file, readSchema())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(s.AddProduct(ctx, catalog.Product{Name: "app", Title: "App", Upstreams: "file:" + list, Channels: "lts <2\n"}))
	_, _, err = s.EditRelease(ctx, "app", "v0.2.0", catalog.ReleasePatch{})
	must(err)
	_, _, err = s.Withdraw(ctx, "app", "v0.2.0", true)
	must(err)
	_, public, err := bundle.GenerateKey("berlin")
	must(err)
	key := strings.TrimSpace(public)
	must(s.TrustCountsKey(ctx, key, nil, time.Now()))
	counts := db.SiteBundle{Bundle: db.Bundle{ID: "first", Store: "0a1b", Created: time.Now(), Time: time.Now(), Keys: []string{key}}, Site: "berlin", Threshold: 5, Through: rollup.DayOf(time.Now()) - 1}
	_, err = s.ApplyCounts(ctx, counts, []*db.CountedProduct{{Name: "opa", Sequence: 1, Cells: func(func(*rollup.Cell, error) bool) {}}})
	must(err)
	p, err := s.Product(ctx, "opa")
	must(err)
	known, err := s.Releases(ctx, "opa")
	must(err)
	ranked := p.Rank(known)
	latest := p.Offer(ranked, nil, time.Now()).Latest
	before := p.OfferChanges(ranked, latest.Tag, nil, time.Now())[0].To
	m := managedServer{Base: servePages(t, file).Base, Latest: latest.Tag, Before: before, SiteKey: bundle.TrustedKey{Key: key}.ID()}
	for _, name := range []string{"factory", "laboratory"} {
		_, public, err := bundle.GenerateKey(name)
		must(err)
		m.Keys = append(m.Keys, strings.TrimSpace(public))
	}
	link := func(scope access.Scope) string {
		token, _ := access.NewToken("the "+string(scope)+" browser", scope, time.Now())
		must(s.AddToken(ctx, token))
		m.Token = token.ID
		link, secret := access.NewLink(token.ID, time.Now())
		must(s.AddLink(ctx, link))
		return access.SignInURL(m.Base, secret)
	}
	for range 7 {
		m.Admin = append(m.Admin, link(access.Admin))
	}
	m.Others = []string{link(access.Release), link(access.Read)}
	link(access.Read) // of the token that can be revoked
	return m
}
