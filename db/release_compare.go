package db

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"relcheck/checker/catalog"
)

// listImport is the import of a list.
type listImport struct {
	catalog.List
	given  map[string]*catalog.Entry
	unread map[string]bool // tags of unreadable entries of the list
	oldest time.Time       // of the entries; zero if no date is known
}

func newListImport(list catalog.List) (*listImport, error) {
	l := &listImport{List: list, given: map[string]*catalog.Entry{}, unread: map[string]bool{}}
	for _, tag := range list.Unread {
		l.unread[tag] = true
	}
	for i, e := range list.Entries {
		err := errors.Join(catalog.CheckTag(e.Tag), e.Upstream.Check())
		if err == nil && e.Operator != nil {
			err = e.Operator.Check()
		}
		if err != nil {
			return l, err
		}
		if l.given[e.Tag] == nil {
			l.given[e.Tag] = &list.Entries[i]
		}
		if date := e.Upstream.Date(); !date.IsZero() && (l.oldest.IsZero() || date.Before(l.oldest)) {
			l.oldest = date
		}
	}
	return l, nil
}

// releaseChange is the effect of an import on one release.
type releaseChange struct {
	rows    []storedLayer // to be written
	isNew   bool          // upstream has not listed it before
	results []listChange  // by list
}

// listChange is the effect of one list on one release.
type listChange struct {
	ImportResult
	withdrawn bool // by upstream
}

// sum returns the combined effect of all lists.
func (o *releaseChange) sum() (c ImportResult) {
	for _, one := range o.results {
		c = c.Plus(one.ImportResult)
	}
	return c
}

// set adds a row, or replaces the row of the same source.
func (o *releaseChange) set(row storedLayer) {
	if i := slices.IndexFunc(o.rows, func(r storedLayer) bool { return r.source == row.source }); i >= 0 {
		o.rows[i] = row
	} else {
		o.rows = append(o.rows, row)
	}
}

// compare returns the change of a release. old is the stored release, or nil. bodies has
// the hashes of the stored release notes.
func (p *releaseImport) compare(tag string, old *storedRelease, bodies map[bodyKey]bodyHash) *releaseChange {
	all := &releaseChange{results: make([]listChange, len(p.lists))}
	for i, l := range p.lists {
		o := comparison{releaseImport: p, list: l, key: releaseKey{p.of.id, tag}, old: old, bodies: bodies}
		switch e := l.given[tag]; {
		case e != nil:
			o.compare(e)
		case old != nil && l.lacks(tag, old.layer(catalog.Upstream)):
			o.markGone()
		}
		all.results[i] = o.result
		all.isNew = all.isNew || o.isNew
		for _, r := range o.rows {
			if all.set(r); i+1 < len(p.lists) {
				old = old.with(r)
			}
		}
	}
	return all
}

// with returns the release after a row was written.
func (r *storedRelease) with(row storedLayer) *storedRelease {
	next := new(storedRelease)
	if r != nil {
		*next = *r
	}
	next.ids[row.source], next.layers[row.source] = row.id, &row.Layer
	return next
}

// bodyKey identifies the release notes of one source.
type bodyKey struct {
	tag    string
	source catalog.Source
}

// bodyHash identifies release notes, which are too large to be kept for all releases.
type bodyHash [sha256.Size]byte

// readBodies returns the hashes of the release notes of releases that match a condition.
func (p *releaseImport) readBodies(ctx context.Context, q querier, condition string, args ...any) (map[bodyKey]bodyHash, error) {
	return queryMap(ctx, q, func(rows *sql.Rows) (key bodyKey, hash bodyHash, err error) {
		var body sql.RawBytes
		err = rows.Scan(&key.tag, &key.source, &body)
		return key, sha256.Sum256(body), err
	}, "SELECT tag, layer, body FROM release_layer WHERE "+condition+" AND body IS NOT NULL", args...)
}

// comparison compares a list's entry for a release with the stored release.
type comparison struct {
	*releaseImport
	list   *listImport
	key    releaseKey
	old    *storedRelease // or nil
	bodies map[bodyKey]bodyHash

	rows   []storedLayer
	isNew  bool
	result listChange
}

func (o *comparison) id() int64 {
	if o.old == nil {
		return 0
	}
	return o.old.id()
}

func (o *comparison) add(source catalog.Source, layer catalog.Layer) {
	o.rows = append(o.rows, storedLayer{layerKey{o.key, source}, o.id(), layer})
}

// overlay returns the new layer of a source, and whether it differs from the stored one.
func (o *comparison) overlay(source catalog.Source, given catalog.Layer) (layer catalog.Layer, changed bool) {
	before := o.old.layer(source)
	if before.Text == nil && given.Text != nil && sha256.Sum256([]byte(*given.Text)) == o.bodies[bodyKey{o.key.tag, source}] {
		given.Text = nil // unchanged
	}
	layer = before.Overlay(given)
	if o.list.Exact {
		layer = given
	}
	if source == catalog.Upstream {
		layer.Gone = given.Gone
	}
	return layer, len(before.Differences(&layer)) > 0
}

// compare sets the change of a given release.
func (o *comparison) compare(e *catalog.Entry) {
	before := o.old.layer(catalog.Upstream)
	isNew := o.old == nil || o.old.layers[catalog.Upstream] == nil
	if e.Draft {
		if !isNew && !before.Gone {
			o.markGone()
		}
		return
	}
	list := o.list.Name
	if e.Operator != nil { // of an export, which names the list that the release is from
		list = e.Upstream.List
	}
	layer, changed := o.overlay(catalog.Upstream, e.Upstream)
	o.result.withdrawn = o.old != nil && !withdrawn(before) && withdrawn(layer)
	onlyOperator := isNew && !changed && e.Operator != nil && list == ""
	if !onlyOperator && (isNew || changed || o.adopts(before.List, list)) {
		layer.List, o.isNew = list, isNew
		o.add(catalog.Upstream, layer)
	}
	if e.Operator != nil {
		if layer, differs := o.overlay(catalog.Operator, *e.Operator); differs || onlyOperator && o.old == nil {
			o.add(catalog.Operator, layer)
			changed = true
		}
	}
	switch {
	case o.old == nil:
		o.result.Added++
	case changed:
		o.result.Changed++
	default:
		o.result.Unchanged++
	}
}

func withdrawn(l catalog.Layer) bool { return l.Gone || l.Withdrawn != nil && *l.Withdrawn }

// adopts reports whether an unchanged release moves to another list. If its list is no
// longer an upstream of the product, the release would never be gone.
func (o *comparison) adopts(before, list string) bool {
	current := slices.Contains(o.upstreams, list) || catalog.IsBundleList(list)
	return before != list && list != "" && (before == "" || current && !slices.Contains(o.upstreams, before))
}

func (o *comparison) markGone() {
	layer := o.old.layer(catalog.Upstream)
	o.result.withdrawn = !withdrawn(layer)
	layer.Gone, o.result.Gone = true, 1
	o.add(catalog.Upstream, layer)
}

// lacks reports whether a release with this layer of upstream is gone, because the list no
// longer contains it.
func (l *listImport) lacks(tag string, layer catalog.Layer) bool {
	if l.given[tag] != nil || l.unread[tag] || layer.List != l.Name || layer.Gone || layer.List == "" {
		return false
	}
	date := layer.Date()
	return l.Whole || !date.IsZero() && !l.oldest.IsZero() && !date.Before(l.oldest)
}

// checkGone returns an error if too many releases, or the latest one, are missing in a
// list.
func (p *releaseImport) checkGone(stored map[releaseKey]*storedRelease) error {
	if p.force {
		return nil
	}
	for _, l := range p.lists {
		listed, gone := 0, []string{}
		for key, r := range stored {
			layer := r.layer(catalog.Upstream)
			if layer.List == l.Name && !layer.Gone {
				listed++
			}
			if l.lacks(key.tag, layer) {
				gone = append(gone, key.tag)
			}
		}
		if 2*len(gone) > listed {
			return &catalog.MissingError{List: l.Name, Reason: fmt.Sprintf("it lacks %d of %d releases", len(gone), listed)}
		}
		if latest := p.latest(stored); len(gone) > 0 && l.mustHaveLatest() && slices.Contains(gone, latest) {
			return &catalog.MissingError{List: l.Name, Reason: fmt.Sprintf("it lacks %s, the latest release", latest)}
		}
	}
	return nil
}

// mustHaveLatest reports whether the list must contain the latest release. A file may be
// truncated, and another relcheck keeps withdrawn releases in its list.
func (l *listImport) mustHaveLatest() bool { return !l.Whole || l.Exact }

// latest returns the tag of the latest stored release, or "".
func (p *releaseImport) latest(stored map[releaseKey]*storedRelease) string {
	releases := make([]catalog.Release, 0, len(stored))
	scheme := p.of.Scheme()
	for key, r := range stored {
		releases = append(releases, r.merge(scheme, key.tag))
	}
	if latest := p.of.Offer(p.of.Rank(releases), nil, time.Now()).Latest; latest != nil {
		return latest.Tag
	}
	return ""
}
