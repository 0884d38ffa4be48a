package manage

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"relcheck/checker/catalog"
	"relcheck/checker/server/pages"
)

// perPage is the number of rows of a list on a page.
const perPage = 100

// releases lists the releases of a product, and adds one.
func (s *Service) releases(r *Request) (*Answer, error) {
	p, err := s.product(r)
	if err != nil {
		return nil, err
	}
	f := newForm(r, "", "Add release")
	edit := newReleaseFields(f, nil, "")
	if f.wasSent() {
		if a := s.addRelease(r, p, f, edit); a != nil {
			return a, nil
		}
	}
	search := pages.Search{Label: "Tag contains", Name: "version", Value: strings.TrimSpace(r.URL.Query().Get("version")), Reset: s.of(p, "releases")}
	all := p.Releases
	if search.Value != "" {
		all = slices.DeleteFunc(slices.Clone(all), func(r *catalog.Ranked) bool { return !strings.Contains(r.Tag, search.Value) })
	}
	pager := s.pager(r, len(all))
	from, to := pager.Bounds()
	list := pages.ManageSection{Grid: s.releaseGrid(p, all[from:to]), Empty: "No releases.", Pager: &pager,
		Actions: []pages.Action{{Text: "Add a release", URL: "#add", Primary: true}}}
	if search.Value != "" || pager.Pages() > 1 {
		list.Search = &search
	}
	add := f.section("Add a release", "Only the tag is required. Links that are not given come from the templates of the product.")
	add.ID, add.Manual = "add", s.manual("releases#releases-by-hand", "Manual: releases by hand")
	return page("Releases", p, list, add), nil
}

// pager returns which part of a list of a length is shown.
func (s *Service) pager(r *Request, total int) pages.Pager {
	p := pages.Pager{Page: 1, Per: perPage, Total: total}
	query := r.URL.Query()
	if n, err := strconv.Atoi(query.Get("page")); err == nil {
		p.Page = min(max(1, n), p.Pages())
	}
	link := func(page int) string {
		query.Set("page", strconv.Itoa(page))
		return pages.Address(s.Root+r.URL.EscapedPath(), query)
	}
	if p.Page > 1 {
		p.First, p.Prev = link(1), link(p.Page-1)
	}
	if p.Page < p.Pages() {
		p.Next, p.Last = link(p.Page+1), link(p.Pages())
	}
	return p
}

func (s *Service) releaseGrid(p *Product, releases []*catalog.Ranked) *pages.Grid {
	g := &pages.Grid{Caption: "Releases", Head: []pages.Column{{Text: tagLabel}, {Text: "Status"}, {Text: dateLabel}}}
	hasFiles := slices.ContainsFunc(p.Releases, func(r *catalog.Ranked) bool { return len(r.Files) > 0 })
	if hasFiles {
		g.Head = append(g.Head, pages.Column{Text: "Files"})
	}
	g.Head = append(g.Head, pages.Column{})
	allowed, now := p.Range(), time.Now()
	latest := p.Offer(p.Releases, nil, now).Latest
	for _, r := range releases {
		state := pages.Cell{Text: p.NotOffered(r, allowed, now), Class: "state quiet"}
		switch {
		case r == latest:
			state = pages.Cell{Text: "latest", Class: "state good"}
		case r.Withdrawn:
			state.Class = "state bad"
		}
		act := pages.Action{Text: "Withdraw", URL: s.of(p, "release/withdraw", "tag", r.Tag), Danger: true}
		if r.Withdrawn {
			act = pages.Action{Text: "Restore", URL: s.of(p, "release/restore", "tag", r.Tag)}
		}
		row := []pages.Cell{{Text: r.Tag, URL: s.of(p, "release", "tag", r.Tag)}, state, {Text: formatDate(r.Date)}}
		if hasFiles {
			row = append(row, pages.Cell{Text: strconv.Itoa(len(r.Files))})
		}
		g.Rows = append(g.Rows, append(row, pages.Cell{Links: []pages.Action{act}, Of: r.Tag}))
	}
	return g
}

func formatDate(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.DateOnly)
}

// addRelease adds a release. It returns nil if the form shows an error.
func (s *Service) addRelease(r *Request, p *Product, f *form, fields *releaseFields) *Answer {
	tag := fields.tag.Value
	e := fields.patch(f, [2]*catalog.Layer{})
	if f.refuse(catalog.CheckTag(tag)) {
		if _, _, err := r.Store.Release(r.Context(), p.Name, tag); err == nil {
			fields.tag.Error = "There is a release with this tag: change it in the list."
		}
	}
	if f.Invalid() {
		return nil
	}
	return s.editRelease(r, p, tag, e, f)
}

// editRelease changes or adds a release. It returns nil if the form shows an error.
func (s *Service) editRelease(r *Request, p *Product, tag string, e catalog.ReleasePatch, f *form) *Answer {
	var stored catalog.Release
	var outcome catalog.Outcome
	if !f.refuse(r.Change(func(ctx context.Context, by Store) (err error) {
		stored, outcome, err = by.EditRelease(ctx, p.Name, tag, e)
		return err
	})) {
		return nil
	}
	text := map[catalog.Outcome]string{catalog.Added: "Added release %s.", catalog.Changed: "Changed release %s.", catalog.Unchanged: "Nothing to change in release %s."}[outcome]
	text = fmt.Sprintf(text, stored.Tag)
	for _, hint := range p.EditHints(&e, p.Rank([]catalog.Release{stored})[0], time.Now()) {
		text += " " + pages.Sentence(hint)
	}
	return done(s.of(p, "release", "tag", stored.Tag), text)
}

// release shows everything about a release, and changes it.
func (s *Service) release(r *Request) (*Answer, error) {
	p, ranked, layers, err := s.findRelease(r)
	if err != nil {
		return nil, err
	}
	f := newForm(r, "", "Save")
	fields := newReleaseFields(f, &ranked.Release, text(layers))
	fields.title.Placeholder, fields.notes.Placeholder = ranked.Tag, p.NotesURL(&ranked.Release)
	if f.wasSent() {
		if e := fields.patch(f, layers); !f.Invalid() {
			if a := s.editRelease(r, p, ranked.Tag, e, f); a != nil {
				return a, nil
			}
		}
	}
	act := pages.Action{Text: "Withdraw", URL: s.of(p, "release/withdraw", "tag", ranked.Tag), Danger: true}
	if ranked.Withdrawn {
		act = pages.Action{Text: "Restore", URL: s.of(p, "release/restore", "tag", ranked.Tag)}
	}
	head := pages.ManageSection{Actions: []pages.Action{act}, Grid: valueGrid(p, &ranked.Release, layers)}
	if layers[catalog.Operator] != nil {
		undo := pages.Action{Text: "Undo changes made here", URL: s.of(p, "release/reset", "tag", ranked.Tag), Danger: true}
		if layers[catalog.Upstream] == nil {
			undo.Text = "Remove the release"
		}
		head.Actions = append(head.Actions, undo)
	}
	files := pages.ManageSection{Title: "Files", Grid: pages.ReleaseGrid(pages.ReleaseData{Product: p.Product, Release: ranked, Serves: s.Serves, OnDemand: s.OnDemand}), Empty: "No files are known."}
	if p.Download != "" && len(files.Grid.Rows) == 0 {
		files.Empty = "The download of each platform is made from the template " + p.Download
	}
	return page("Release "+ranked.Tag, p, head, files, f.section("Change the release", "What you set here takes precedence over imports and syncs.")), nil
}

// findRelease returns the release of the parameter tag.
func (s *Service) findRelease(r *Request) (*Product, *catalog.Ranked, [2]*catalog.Layer, error) {
	var layers [2]*catalog.Layer
	p, err := s.product(r)
	if err != nil {
		return nil, nil, layers, err
	}
	stored, layers, err := r.Store.Release(r.Context(), p.Name, r.URL.Query().Get("tag"))
	if err != nil {
		return nil, nil, layers, err
	}
	for _, known := range p.Releases {
		if known.Tag == stored.Tag { // with links to files
			return p, known, layers, nil
		}
	}
	return p, p.Rank([]catalog.Release{stored})[0], layers, nil
}

// text returns the release notes. The operator's take precedence.
func text(layers [2]*catalog.Layer) (notes string) {
	for _, l := range layers {
		if l != nil && l.Text != nil {
			notes = *l.Text
		}
	}
	return notes
}

// valueLabels are the labels of the values of a release, which the form also has.
var valueLabels = map[string]string{"tag": tagLabel, "title": titleLabel, "date": dateLabel, "created": "Created upstream", "notes": notesLabel, "notes text": textLabel, "pre-release": prereleaseLabel, "withdrawn": "Withdrawn"}

// valueGrid returns a table of the values of a release and their sources.
func valueGrid(p *Product, r *catalog.Release, layers [2]*catalog.Layer) *pages.Grid {
	g := &pages.Grid{Caption: "Values", Head: []pages.Column{{Text: "Field"}, {Text: "Value", Long: true}, {Text: "From"}}}
	for _, v := range p.Values(r, layers) {
		source := v.Source
		if source == "operator" {
			source = "set here"
		}
		g.Rows = append(g.Rows, []pages.Cell{{Text: cmp.Or(valueLabels[v.Name], v.Name)}, {Text: v.Text}, {Text: source}})
	}
	return g
}
