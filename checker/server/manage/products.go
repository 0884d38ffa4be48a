package manage

import (
	"context"
	"strconv"
	"strings"
	"time"

	"relcheck/checker/catalog"
	"relcheck/checker/server/pages"
	"relcheck/checker/stats"
)

// products lists all products, also hidden ones.
func (s *Service) products(r *Request) (*Answer, error) {
	g := &pages.Grid{Caption: "Products", Head: []pages.Column{{Text: "Product", Long: true}, {Text: "Name"}, {Text: "Latest"}, {Text: "Synced", Wide: true}, {Text: "Listed", Wide: true}}}
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
		section.Actions = []pages.Action{{Text: "Add a product", URL: s.Root + "/manage/products"}}
	}
	return page("Products", nil, section), nil
}

// newProduct adds a product, with the settings of the preset in the query if there is one.
func (s *Service) newProduct(r *Request) (*Answer, error) {
	choice := newForm(r, "", "Use")
	choice.Get = true
	options := []pages.Option{{Text: "none"}}
	for _, p := range catalog.Presets() {
		options = append(options, pages.Option{Value: p.Name, Text: p.Title})
	}
	name := r.URL.Query().Get("preset")
	choice.sent = nil
	choice.add(pages.Field{Name: "preset", Label: "Preset", Kind: pages.Choice, Value: name, Options: options})
	section := choice.section("", "A preset has the settings of a known program. Choose one before you fill in the form.")

	preset := new(catalog.Preset)
	if found := catalog.PresetNamed(name); found != nil {
		preset = found
		if preset.Note != "" {
			section.Texts = append(section.Texts, pages.Sentence(preset.Note))
		}
	}
	f := newForm(r, "", "Add product")
	fields := []*pages.Field{f.add(pages.Field{Name: "name", Label: "Name", Hint: "In addresses: clients use the path /p/NAME. It cannot be changed later.", Value: preset.Name, Required: true})}
	for _, setting := range settings {
		if setting.first {
			fields = append(fields, f.setting(setting, preset.Product))
		}
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
	changes := patchOf(fields[1:])
	p, err := changes.Apply(base)
	if err == nil {
		err = changes.CheckRemote(catalog.Product{})
	}
	if err == nil && preset.Name != "" {
		err = preset.Check(p)
	}
	if !f.refuse(err) || !f.refuse(r.Change(func(ctx context.Context, by Store) error { return by.AddProduct(ctx, p) })) {
		return nil
	}
	text := "Added product " + p.Title + ". "
	if len(p.UpstreamList()) > 0 {
		return done(s.of(&Product{Product: p}, "upstreams"), text+"Sync it now to read its releases.")
	}
	return done(s.of(&Product{Product: p}, "releases"), text+"Now add a release.")
}

// settings changes the settings of a product.
func (s *Service) settings(r *Request) (*Answer, error) {
	p, err := s.product(r)
	if err != nil {
		return nil, err
	}
	f := newForm(r, "", "Save")
	var fields []*pages.Field
	for _, setting := range settings {
		if setting.name != "upstreams" && setting.name != "module" { // which have a page of their own
			fields = append(fields, f.setting(setting, p.Product))
		}
	}
	if f.wasSent() {
		if a := s.editProduct(r, p, f, patchOf(fields), "settings", "Changed the settings."); a != nil {
			return a, nil
		}
	}
	head := pages.ManageSection{}
	for _, hint := range s.Hints(p.Name) {
		head.Texts = append(head.Texts, pages.Sentence(hint))
	}
	remove := pages.ManageSection{Title: "Remove this product", Texts: []string{"Its releases and statistics are removed with it. A page asks for confirmation first."},
		Actions: []pages.Action{{Text: "Remove the product", URL: s.of(p, "remove"), Danger: true}}}
	return page("Settings", p, head, f.section(""), remove), nil
}

// editProduct changes a product. It returns nil if the form shows an error.
func (s *Service) editProduct(r *Request, p *Product, f *form, changes catalog.ProductPatch, next, text string) *Answer {
	outcome := catalog.Unchanged
	if !f.refuse(changes.CheckRemote(p.Product)) || !f.refuse(r.Change(func(ctx context.Context, by Store) (err error) {
		_, outcome, err = by.EditProduct(ctx, p.Name, changes)
		return err
	})) {
		return nil
	}
	if outcome == catalog.Unchanged {
		text = "Nothing to change."
	}
	return done(s.of(p, next), text)
}

// removeProduct removes a product after a confirmation.
func (s *Service) removeProduct(r *Request) (*Answer, error) {
	p, err := s.product(r)
	if err != nil {
		return nil, err
	}
	c := confirmation{title: "Remove " + p.Title + "?", button: "Remove " + p.Name, danger: true, cancel: s.of(p, "settings"), next: s.Root + "/manage", done: "Removed product " + p.Title + ".",
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

// setting describes the form field of a setting of a product.
type setting struct {
	name, label, hint string
	kind              pages.Kind
	first             bool // is also asked for when a product is added
}

// settings are the settings of a product except its channels, in the order of forms.
var settings = []setting{
	{"title", "Title", "", pages.Line, true},
	{"repo", "Repository", "OWNER/REPO under which clients of GitHub's API request the product.", pages.Line, true},
	{"upstreams", "Upstreams", "Where releases are read from, one a line: github:OWNER/REPO, go:MODULE, or relcheck:URL.", pages.Area, true},
	{"module", "Go modules", "Paths, one a line. They are the upstreams of a product without others.", pages.Area, false},
	{"download", "Template of downloads", "Such as https://example.com/{tag}/app-{os}-{arch}{windows:.exe}", pages.Line, true},
	{"notes", "Template of release notes", "Such as https://example.com/notes/{version}", pages.Line, true},
	{"notes_here", "Link to release notes on the pages of relcheck", "", pages.Check, false},
	{"file", "Template of file names", "Such as app_{version}_{os}_{arch}.tar.gz. Without it, downloads are chosen by the names of all files.", pages.Line, false},
	{"links", "Links to files", "hosted-only never links to other servers.", pages.Choice, false},
	{"match", "Range of versions", "That can be the latest release, such as <2000 or >=1.4,<3.", pages.Line, false},
	{"tag_prefixes", "Tag prefixes", "Such as cli/, one a line. Other tags belong to other components. v stands for tags without a prefix.", pages.Area, false},
	{"release_suffix", "Release suffix", "A pattern of tag suffixes that mark a later release, such as [0-9]+ for 1.2-1.", pages.Line, false},
	{"min_age", "Minimum age", "Time from the publication of a release to its first offer, such as 24h or 7d.", pages.Line, false},
	{"require_files", "Offer a release once it has files for the platforms of the previous release, or after 24 hours", "", pages.Check, false},
	{"dialects", "Dialects", "Of other update clients that the product answers, one a line.", pages.Area, true},
	{"aliases", "Aliases", "Names of the product in other dialects, such as @me/app, one a line.", pages.Area, false},
	{"hosts", "Hosts", "Whose requests belong to the product, such as updates.example.com, one a line.", pages.Area, false},
	{"origins", "Origins", "Of web pages whose reports are recorded: URLs, null, or schemes such as app:, one a line.", pages.Area, false},
	{"hidden", "Hide the product from the lists of pages", "", pages.Check, false},
}

// setting adds the field of a setting to a form.
func (f *form) setting(s setting, p catalog.Product) *pages.Field {
	field := pages.Field{Name: s.name, Label: s.label, Hint: s.hint, Kind: s.kind, Value: p.Field(s.name)}
	switch s.kind {
	case pages.Area:
		field.Value = list(field.Value)
	case pages.Choice:
		for _, choice := range catalog.LinkChoices {
			field.Options = append(field.Options, pages.Option{Value: choice, Text: choice})
		}
	case pages.Check:
		if field.Value != "true" {
			field.Value = ""
		}
	case pages.Line:
		if s.name == "min_age" && p.MinAge == 0 {
			field.Value = ""
		}
	}
	return f.add(field)
}

// patchOf returns the changes of settings.
func patchOf(fields []*pages.Field) catalog.ProductPatch {
	changes := catalog.ProductPatch{}
	for _, field := range fields {
		if !changed(field) {
			continue
		}
		switch field.Kind {
		case pages.Area:
			changes[field.Name] = strings.Join(strings.Fields(field.Value), " ")
		case pages.Check:
			changes[field.Name] = strconv.FormatBool(field.Value == "true")
		default:
			changes[field.Name] = field.Value
		}
	}
	return changes
}
