package manage

import (
	"context"
	"slices"
	"time"

	"relcheck/checker/catalog"
	"relcheck/checker/server/pages"
	"relcheck/checker/stats"
)

// products lists all products, also hidden ones.
func (s *Service) products(r *Request) (*Answer, error) {
	g := &pages.Grid{Caption: "Products", Head: []pages.Column{{Text: "Product", Long: true}, {Text: "Name"}, {Text: "Latest"}, {Text: "Synced"}, {Text: "Listed"}}}
	all := s.Products()
	pager := s.pager(r, len(all))
	from, to := pager.Bounds()
	for _, listed := range all[from:to] {
		p := s.Product(listed.Name)
		if p == nil { // removed meanwhile
			continue
		}
		latest, synced, hidden := "", "", "yes"
		if o := p.Offer(p.Releases, nil, time.Now()); o.Latest != nil {
			latest = o.Latest.Tag
		}
		if f := catalog.Oldest(p.Freshness(time.Now(), s.StaleAfter)); f != nil {
			synced = f.Ago()
		}
		if p.Hidden {
			hidden = "hidden"
		}
		g.Rows = append(g.Rows, []pages.Cell{{Text: p.Title, URL: s.of(p, "releases")}, {Text: p.Name}, {Text: latest}, {Text: synced}, {Text: hidden}})
	}
	section := pages.ManageSection{Grid: g, Empty: "There are no products.", Pager: &pager}
	if s.admin(r) {
		section.Actions = []pages.Action{{Text: "Add a product", URL: s.Root + "/manage/products", Primary: true}}
	}
	return page("Products", nil, section), nil
}

// newProduct adds a product, with the settings of the preset in the query if there is one.
func (s *Service) newProduct(r *Request) (*Answer, error) {
	choice := newForm(r, "", "Use")
	choice.Get = true
	options := []pages.Option{{Text: "No preset"}}
	for _, p := range catalog.Presets() {
		options = append(options, pages.Option{Value: p.Name, Text: p.Title})
	}
	name := r.URL.Query().Get("preset")
	choice.sent = nil
	choice.add(pages.Field{Name: "preset", Label: "Preset", Kind: pages.Choice, Value: name, Options: options})
	section := choice.section("", "A preset has the settings of a known program. Choose one before you fill in the form.")
	section.Manual = s.manual("another-product", "Manual: another product")

	preset := new(catalog.Preset)
	if found := catalog.PresetNamed(name); found != nil {
		preset = found
		if preset.Note != "" {
			section.Texts = append(section.Texts, pages.Sentence(preset.Note))
		}
	}
	f := newForm(r, "", "Add product")
	fields := []*pages.Field{f.add(pages.Field{Group: settings[0].group, Name: "name", Label: "Name", Hint: "Clients use the path /p/NAME. The name cannot be changed later.", Value: preset.Name, Required: true})}
	for _, setting := range settings {
		if setting.first || slices.Contains(preset.Asks, setting.name) {
			fields = append(fields, s.settingField(f, setting, preset.Product))
		}
	}
	if field := f.field("repo"); field != nil && preset.Name != "" && preset.Repo == "" {
		field.Required = true
	}
	if f.wasSent() {
		if a := s.addProduct(r, f, preset, fields); a != nil {
			return a, nil
		}
	}
	return page("Add a product", nil, section, f.section("")), nil
}

// addProduct adds a product. It returns nil if the form shows an error.
func (s *Service) addProduct(r *Request, f *form, preset *catalog.Preset, fields []*pages.Field) *Answer {
	base := preset.Product
	base.Name = fields[0].Value
	switch {
	case !f.refuse(catalog.CheckProduct(catalog.Product{Name: base.Name, Title: "any"})):
		base.Name = "any" // so that the other fields are checked
	case s.Product(base.Name) != nil:
		f.refuse(catalog.InUse("name", "product %s already exists: change its settings instead", base.Name))
	}
	var p catalog.Product
	f.refuseEach(patchOf(fields[1:]), func(some catalog.ProductPatch) (err error) {
		if p, err = s.apply(some, base); err == nil && preset.Name != "" {
			err = preset.Check(p)
		}
		return err
	})
	if f.Invalid() || !f.refuse(r.Change(func(ctx context.Context, by Store) error { return by.AddProduct(ctx, p) })) {
		return nil
	}
	text := "Added product " + p.Title + ". "
	if len(p.UpstreamList()) > 0 {
		return done(s.of(&Product{Product: p}, "upstreams"), text+"Sync it now to read its releases.")
	}
	return done(s.of(&Product{Product: p}, "releases"), text+"Now add a release.")
}

// removeProduct removes a product after a confirmation.
func (s *Service) removeProduct(r *Request) (*Answer, error) {
	p, err := s.product(r)
	if err != nil {
		return nil, err
	}
	c := confirmation{title: "Remove " + p.Title + "?", button: "Remove " + p.Name, danger: true, typed: p.Name, cancel: s.of(p, "settings"), next: s.Root + "/manage", done: "Removed product " + p.Title + ".",
		what: []string{"Removes product " + p.Name + " with its releases, its recorded reports and its statistics.", "Clients of /p/" + p.Name + " will get an error.", "This cannot be undone."},
		now:  []string{"It has " + plural(len(p.Releases), "release") + "."}}
	c.change = func() error {
		return r.Change(func(ctx context.Context, by Store) error { return by.DropProduct(ctx, p.Name, true) })
	}
	return s.confirm(r, p, c), nil
}

func plural(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return stats.ShowNumber(int64(n)) + " " + noun
}
