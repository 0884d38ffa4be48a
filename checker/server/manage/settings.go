package manage

import (
	"context"
	"strconv"
	"strings"

	"relcheck/checker/catalog"
	"relcheck/checker/server/pages"
)

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
			fields = append(fields, s.settingField(f, setting, p.Product))
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
	if !f.refuseEach(changes, func(some catalog.ProductPatch) error { _, err := s.apply(some, p.Product); return err }) || !f.refuse(r.Change(func(ctx context.Context, by Store) (err error) {
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

// apply returns a product with changes. The store checks again what depends on other products.
func (s *Service) apply(changes catalog.ProductPatch, old catalog.Product) (catalog.Product, error) {
	p, err := changes.Apply(old)
	if err == nil {
		err = changes.CheckRemote(old)
	}
	for _, other := range s.Products() {
		if err == nil && p.Repo != "" && strings.EqualFold(other.Repo, p.Repo) && other.Name != p.Name {
			err = catalog.InUse("repo", "repository %s belongs to product %s", p.Repo, other.Name)
		}
	}
	return p, err
}

// setting describes the form field of a setting of a product.
type setting struct {
	name, group, label, hint, manual string // manual: topic of the manual, or empty
	kind                             pages.Kind
	first                            bool // is also asked for when a product is added
}

// settings are the settings of a product except its channels, in the order of forms.
var settings = []setting{
	{name: "title", group: "Product", label: "Title", hint: "The pages show the product under its title.", first: true},
	{name: "hidden", group: "Product", label: "Hide the product from the lists of pages", hint: "Its own pages and the answers to its clients stay.", kind: pages.Check},
	{name: "upstreams", group: "Upstreams", label: "Upstreams", hint: "Releases are read from here. Enter github:OWNER/REPO, go:MODULE or relcheck:URL, one a line.", manual: "releases#upstreams", kind: pages.Area, first: true},
	{name: "module", group: "Upstreams", label: "Go modules", hint: "Enter the paths of modules, one a line. Their versions are read if the product has no upstreams.", kind: pages.Area},
	{name: "download", group: "Downloads and release notes", label: "Template of downloads", hint: "It makes the link of a platform without a file, such as https://example.com/{tag}/app-{os}-{arch}{windows:.exe}.", manual: "releases#url-templates", first: true},
	{name: "file", group: "Downloads and release notes", label: "Template of file names", hint: "Choose the file of a platform by its name, such as app_{version}_{os}_{arch}.tar.gz. If empty, it is chosen among all files.", manual: "releases#files"},
	{name: "links", group: "Downloads and release notes", label: "Links to files", kind: pages.Choice},
	{name: "notes", group: "Downloads and release notes", label: "Template of release notes", hint: "It makes the link to the notes of a release without one, such as https://example.com/notes/{version}.", first: true},
	{name: "notes_here", group: "Downloads and release notes", label: "Link to the release notes on the pages of relcheck", hint: "Otherwise, links lead to the notes upstream.", kind: pages.Check},
	{name: "match", group: "Which releases are offered", label: "Range of versions", hint: "Only these versions are offered, such as <2000 or >=1.4,<3. If empty, all are.", manual: "releases#versions"},
	{name: "tag_prefixes", group: "Which releases are offered", label: "Tag prefixes", hint: "Only tags with one of these prefixes belong to the product. Enter prefixes such as cli/, one a line; v stands for tags without a prefix.", kind: pages.Area},
	{name: "release_suffix", group: "Which releases are offered", label: "Release suffix", hint: "Suffixes that match this pattern mark a later release, such as [0-9]+ for 1.2-1."},
	{name: "min_age", group: "Which releases are offered", label: "Minimum age", hint: "A release is offered this long after its publication, such as 24h or 7d. If empty, it is offered at once.", manual: "releases#what-is-offered"},
	{name: "require_files", group: "Which releases are offered", label: "Wait for the files of a release", hint: "A release is offered when it has files for the platforms of the previous release, or after 24 hours.", kind: pages.Check},
	{name: "repo", group: "How clients ask", label: "Repository", hint: "Clients of GitHub's API find the product under OWNER/REPO.", first: true},
	{name: "dialects", group: "How clients ask", label: "Dialects", hint: "The product also answers update clients that use these dialects. Enter names such as npm, one a line.", manual: "dialects", kind: pages.Area, first: true},
	{name: "aliases", group: "How clients ask", label: "Aliases", hint: "Clients of dialects also find the product under these names. Enter names such as @me/app, one a line.", kind: pages.Area},
	{name: "hosts", group: "How clients ask", label: "Hosts", hint: "Requests for these hosts belong to the product. Enter hosts such as updates.example.com, one a line.", manual: "dialects#hosts", kind: pages.Area},
	{name: "origins", group: "How clients ask", label: "Origins", hint: "Reports of web pages with these origins are recorded. Enter URLs, null, or schemes such as app:, one a line.", manual: "proxy#web-pages", kind: pages.Area},
}

// linkTexts describe the choices of links to files.
var linkTexts = map[string]string{
	catalog.LinksHosted:     "Link to the hosted file if there is one, otherwise to upstream",
	catalog.LinksUpstream:   "Always link to upstream",
	catalog.LinksHostedOnly: "Link to hosted files only, never to another server",
}

// settingField adds the field of a setting to a form.
func (s *Service) settingField(f *form, of setting, p catalog.Product) *pages.Field {
	field := pages.Field{Group: of.group, Name: of.name, Label: of.label, Hint: of.hint, Kind: of.kind, Value: p.Field(of.name)}
	if of.manual != "" {
		field.Manual = s.manual(of.manual, "Manual: "+strings.ToLower(of.label[:1])+of.label[1:])
	}
	switch of.kind {
	case pages.Area:
		field.Value = list(field.Value)
	case pages.Choice:
		for _, choice := range catalog.LinkChoices {
			field.Options = append(field.Options, pages.Option{Value: choice, Text: linkTexts[choice]})
		}
	case pages.Check:
		if field.Value != "true" {
			field.Value = ""
		}
	case pages.Line:
		if of.name == "min_age" && p.MinAge == 0 {
			field.Value = ""
		}
	}
	switch of.name {
	case "title":
		field.Placeholder = p.Name
	case "upstreams":
		field.Placeholder = strings.Join(p.UpstreamList(), "\n")
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
