package manage

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"relcheck/checker/bundle"
	"relcheck/checker/catalog"
	"relcheck/checker/server/pages"
	"relcheck/checker/stats/rollup"
)

// sites lists the sites and the keys that bundles are verified with, and trusts a key.
func (s *Service) sites(r *Request) (*Answer, error) {
	all, err := r.Store.Sites(r.Context())
	if err != nil {
		return nil, err
	}
	keys, err := r.Store.TrustedKeys(r.Context())
	if err != nil {
		return nil, err
	}
	f := newForm(r, "", "Trust key")
	key := f.add(pages.Field{Name: "key", Label: "Public key", Kind: pages.Area, MinRows: 3, Hint: "Paste the text of the .pub file that relcheck key generate has written.", Required: true})
	purpose := f.add(pages.Field{Name: "purpose", Label: "Trust it for", Kind: pages.Choice, Value: "releases", Options: []pages.Option{{Value: "releases", Text: "Bundles of releases"}, {Value: "counts", Text: "The counts of a site"}}})
	products := f.add(pages.Field{Name: "product", Label: "Products", Kind: pages.Area, Hint: "Its bundles may contain only these products. Enter their names, one a line. If empty, they may contain all."})
	if f.wasSent() {
		if a := s.trustKey(r, f, keys, key, purpose, products); a != nil {
			return a, nil
		}
	}
	return page("Sites and keys", nil,
		pages.ManageSection{Title: "Sites", Texts: []string{"A site is another relcheck, usually in a closed network, whose counts are part of the statistics here. They arrive in bundles."}, Manual: s.manual("closed-networks#counts-out-of-a-closed-network", "Manual: counts out of a closed network"),
			Grid: s.siteGrid(all), Empty: "There are no sites."},
		pages.ManageSection{Title: "Keys", Texts: []string{"A bundle is applied only if one of these keys has signed it."}, Manual: s.manual("closed-networks#keys", "Manual: keys"), Grid: s.keyGrid(keys), Empty: "No key is trusted."},
		f.section("Trust a key"),
		pages.ManageSection{Title: "Apply a bundle", Texts: []string{"Apply bundles on the command line of the server's machine. The first command shows what would change, and the second one changes it."}, Manual: s.manual("closed-networks#apply-a-bundle", "Manual: apply a bundle"),
			Code: "relcheck bundle apply FILE --dry-run\nrelcheck bundle apply FILE"}), nil
}

func (s *Service) siteGrid(all []rollup.Site) *pages.Grid {
	g := &pages.Grid{Caption: "Sites", Head: []pages.Column{{Text: "Site"}, {Text: "Products", Long: true}, {Text: "Through"}, {Text: "Threshold"}, {Text: "Key"}, {}}}
	for _, site := range all {
		var names, through, thresholds []string
		for _, p := range site.Products {
			names = append(names, p.Product)
			through = append(through, p.Through.String())
			thresholds = append(thresholds, plural(int(p.Threshold), "instance"))
		}
		oneOf := func(all []string) pages.Cell { return pages.Cell{Text: strings.Join(slices.Compact(all), ", ")} }
		g.Rows = append(g.Rows, []pages.Cell{{Text: site.Name, Note: "store " + site.Store}, oneOf(names), oneOf(through), oneOf(thresholds), {Text: bundle.TrustedKey{Key: site.Key}.ID()},
			{Of: site.Name, Links: []pages.Action{{Text: "Rename", URL: s.Root + "/manage/sites/" + site.Name + "/rename"}, {Text: "Remove", URL: s.Root + "/manage/sites/" + site.Name + "/remove", Danger: true}}}})
	}
	return g
}

func (s *Service) keyGrid(keys []bundle.TrustedKey) *pages.Grid {
	g := &pages.Grid{Caption: "Keys", Head: []pages.Column{{Text: "Key"}, {Text: "Trusted for", Long: true}, {Text: "Added"}, {Text: "State"}}}
	for _, k := range keys {
		state := pages.Cell{Of: k.ID(), Links: []pages.Action{{Text: "Revoke", URL: pages.Address(s.Root+"/manage/keys/revoke", map[string][]string{"key": {k.ID()}}), Danger: true}}}
		if !k.Revoked.IsZero() {
			state = pages.Cell{Text: "revoked " + formatDate(k.Revoked), Class: "quiet"}
		}
		g.Rows = append(g.Rows, []pages.Cell{{Text: k.ID()}, {Text: k.Scope()}, {Text: formatDate(k.Added)}, state})
	}
	return g
}

// trustKey trusts a key. It returns nil if the form shows an error.
func (s *Service) trustKey(r *Request, f *form, known []bundle.TrustedKey, key, purpose, products *pages.Field) *Answer {
	_, err := bundle.ParsePublicKey(key.Value)
	if err == nil {
		err = bundle.CheckNotRevoked(known, key.Value)
	}
	if err != nil {
		key.Error = pages.Sentence(err.Error())
	}
	k := bundle.TrustedKey{Key: key.Value, Products: strings.Fields(products.Value), Counts: purpose.Value == "counts"}
	for _, name := range k.Products {
		if !catalog.ValidProductName(name) {
			products.Error = fmt.Sprintf("%q cannot be a product's name.", name)
		}
	}
	if f.Invalid() || !f.refuse(r.Change(func(ctx context.Context, by Store) error {
		if k.Counts {
			return by.TrustCountsKey(ctx, k.Key, k.Products, time.Now())
		}
		return by.TrustKey(ctx, k.Key, k.Products, time.Now())
	})) {
		return nil
	}
	return done(s.Root+"/manage/sites", "Key "+k.ID()+" is trusted for "+k.Scope()+".")
}

// revokeKey revokes a key after a confirmation.
func (s *Service) revokeKey(r *Request) (*Answer, error) {
	keys, err := r.Store.TrustedKeys(r.Context())
	if err != nil {
		return nil, err
	}
	next := s.Root + "/manage/sites"
	for _, k := range keys {
		if k.ID() != r.URL.Query().Get("key") {
			continue
		}
		if !k.Revoked.IsZero() {
			return done(next, "Key "+k.ID()+" is revoked already."), nil
		}
		c := confirmation{title: "Revoke key " + k.ID() + "?", button: "Revoke the key", danger: true, cancel: next, next: next, done: "Revoked key " + k.ID() + ".",
			what: []string{"Stops trusting key " + k.ID() + " for " + k.Scope() + ".", "Its bundles are refused from now on. Releases, files and counts from earlier bundles stay."}}
		c.change = func() error {
			return r.Change(func(ctx context.Context, by Store) error { return by.RevokeKey(ctx, k.Key, time.Now()) })
		}
		return s.confirm(r, nil, c), nil
	}
	return nil, catalog.ErrNotFound
}

// findSite returns the site in the path of a request.
func findSite(r *Request) (rollup.Site, error) {
	all, err := r.Store.Sites(r.Context())
	if err != nil {
		return rollup.Site{}, err
	}
	i := slices.IndexFunc(all, func(site rollup.Site) bool { return site.Name == r.PathValue("site") })
	if i < 0 {
		return rollup.Site{}, catalog.ErrNotFound
	}
	return all[i], nil
}

// renameSite renames a site.
func (s *Service) renameSite(r *Request) (*Answer, error) {
	site, err := findSite(r)
	if err != nil {
		return nil, err
	}
	f := newForm(r, "", "Rename")
	f.Cancel = s.Root + "/manage/sites"
	name := f.add(pages.Field{Name: "site", Label: "New name", Value: site.Name, Required: true})
	if f.wasSent() && f.refuse(r.Change(func(ctx context.Context, by Store) error { return by.RenameSite(ctx, site.Name, name.Value) })) {
		return done(s.Root+"/manage/sites", "Renamed site "+site.Name+" to "+name.Value+"."), nil
	}
	return page("Rename site "+site.Name, nil, f.section("", "The site keeps the name when a later bundle of its store is applied.")), nil
}

// removeSite removes a site after a confirmation.
func (s *Service) removeSite(r *Request) (*Answer, error) {
	site, err := findSite(r)
	if err != nil {
		return nil, err
	}
	next := s.Root + "/manage/sites"
	c := confirmation{title: "Remove site " + site.Name + "?", button: "Remove " + site.Name, danger: true, cancel: next, next: next, done: "Removed site " + site.Name + ".",
		what: []string{"Removes site " + site.Name + " with its counts from the statistics.", "A later bundle of the same store adds it again. To prevent that, revoke its key."}}
	c.change = func() error {
		return r.Change(func(ctx context.Context, by Store) error { return by.DropSite(ctx, site.Name) })
	}
	return s.confirm(r, nil, c), nil
}
