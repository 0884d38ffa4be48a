package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"relcheck/checker/catalog"
)

// ImportResult counts the releases of an import by result.
type ImportResult struct {
	Added, Changed, Unchanged int
	Gone                      int // which the list does not contain any more
}

func (c ImportResult) String() string {
	n, noun := c.Added+c.Changed+c.Unchanged, "releases"
	if n == 1 {
		noun = "release"
	}
	s := fmt.Sprintf("%d %s: %d added, %d changed, %d unchanged", n, noun, c.Added, c.Changed, c.Unchanged)
	if c.Gone > 0 {
		s += fmt.Sprintf("; %d removed upstream", c.Gone)
	}
	return s
}

func (c ImportResult) plus(d ImportResult) ImportResult {
	return ImportResult{c.Added + d.Added, c.Changed + d.Changed, c.Unchanged + d.Unchanged, c.Gone + d.Gone}
}

// ErrMissing is wrapped by errors about a list that lacks so many releases, or the latest
// one, that it is probably not complete.
var ErrMissing = errors.New("the list is probably incomplete")

// ImportReleases stores what a list says about the releases of a product, all of it or
// nothing, in upstream's layer. Fields that an entry leaves open keep their values.
//
// Releases that the list of this name contained before and does not contain now are gone,
// unless the list may be incomplete and they are older than all its entries. The error
// wraps [ErrMissing] if more than half of the releases would be gone, or the latest one of
// a list that may be incomplete, unless force is set.
func (s *Store) ImportReleases(ctx context.Context, product string, list catalog.List, force bool) (c ImportResult, err error) {
	p, err := s.newImport(product, list, force)
	for range maxTries {
		if err == nil {
			err = p.load(ctx)
		}
		if err != nil {
			return c, err
		}
		if c, err = p.store(ctx); !errors.Is(err, errCatalogMoved) {
			break
		}
	}
	return c, err
}

func (s *Store) newImport(product string, list catalog.List, force bool) (*releaseImport, error) {
	p := &releaseImport{Store: s, action: releasesImported, product: product, list: list, force: force, given: map[string]*catalog.Entry{}, unread: map[string]bool{}}
	for _, tag := range list.Unread {
		p.unread[tag] = true
	}
	if strings.Contains(list.Name, ":") {
		p.action = releasesSynced
	}
	for i, e := range list.Entries {
		err := errors.Join(catalog.CheckTag(e.Tag), e.Upstream.Check())
		if err == nil && e.Operator != nil {
			err = e.Operator.Check()
		}
		if err != nil {
			return nil, err
		}
		if p.given[e.Tag] == nil {
			p.given[e.Tag] = &list.Entries[i]
			p.tags = append(p.tags, e.Tag)
		}
		if date := e.Upstream.Date(); !date.IsZero() && (p.oldest.IsZero() || date.Before(p.oldest)) {
			p.oldest = date
		}
	}
	return p, nil
}

// stageFrom is the minimum number of new releases that are staged. Fewer are written in one
// transaction.
const stageFrom = 100

// errCatalogMoved is returned if the catalog has changed and it is unknown which rows.
var errCatalogMoved = errors.New("releases change faster than they can be stored; try again")

// releaseImport is one import of releases. It reads and compares before it writes, so that
// other writers do not wait meanwhile. Many new releases are staged in short transactions,
// and made visible in a last one.
type releaseImport struct {
	*Store
	action, product string
	list            catalog.List
	force           bool
	given           map[string]*catalog.Entry
	tags            []string        // of the given entries, in order, and then of the releases that are gone
	unread          map[string]bool // tags that the list contains although it cannot be read
	oldest          time.Time       // of the entries; zero if no date is known

	of      product                   // to which the releases belong
	isNew   bool                      // the product is not visible yet
	since   catalog.Revision          // of the catalog that was compared
	changes map[string]*releaseChange // by tag

	hosted hostedImport
}

// load compares the given releases with the stored ones.
func (p *releaseImport) load(ctx context.Context) error {
	return p.inSnapshot(ctx, func(tx *sql.Tx) error {
		state, err := readCatalogState(ctx, tx)
		if err != nil {
			return err
		}
		p.since = state.Revision
		if !p.isNew {
			if p.of, err = productNamed(ctx, tx, p.product); err != nil {
				return err
			}
		}
		stored, err := releasesWhere(ctx, tx, "product = $1", p.of.id)
		if err != nil {
			return err
		}
		bodies, err := p.readBodies(ctx, tx, -1)
		if err != nil {
			return err
		}
		p.tags = p.tags[:len(p.given)]
		p.changes = make(map[string]*releaseChange, len(p.given))
		for _, tag := range p.tags {
			p.changes[tag] = p.compare(tag, stored[releaseKey{p.of.id, tag}], bodies)
		}
		gone := p.findGone(stored)
		p.tags = append(p.tags, gone...)
		if err := p.compareHosted(stored); err != nil {
			return err
		}
		return p.checkGone(stored, gone)
	})
}

// store stores the changes, and stages many new releases first.
func (p *releaseImport) store(ctx context.Context) (c ImportResult, err error) {
	added := p.added()
	if len(added) < stageFrom {
		return p.commit(ctx, nil)
	}
	st, err := p.claimStage(ctx, p.of.id)
	if err == nil {
		err = p.stage(ctx, st, added)
	}
	if err == nil {
		c, err = p.commit(ctx, st)
	}
	if err != nil && !errors.Is(err, errStageLost) {
		p.abandonStage(ctx, st)
	}
	return c, err
}

// added returns the layers of upstream to be written of releases that it has not listed
// before.
func (p *releaseImport) added() (rows []storedLayer) {
	for _, tag := range p.tags {
		if o := p.changes[tag]; o.isNew {
			for _, r := range o.rows {
				if r.source == catalog.Upstream {
					rows = append(rows, r)
				}
			}
		}
	}
	return rows
}

// stage writes new releases, not yet visible.
func (p *releaseImport) stage(ctx context.Context, st *stage, added []storedLayer) error {
	given := added
	err := p.inLongChange(ctx, func(tx *sql.Tx) error {
		added = slices.Clone(given) // a transaction may be tried again
		if err := checkReleases(ctx, tx, int64(len(added))); err != nil {
			return err
		}
		return assignIDs(ctx, tx, added) // once, so that other changes need not wait for each page
	})
	for _, r := range added {
		for i := range p.changes[r.tag].rows {
			p.changes[r.tag].rows[i].id = r.id
		}
	}
	for err == nil && len(added) > 0 {
		left := added
		err = p.chunk(ctx, func(tx *sql.Tx, enough func() bool) error {
			if err := st.renew(ctx, tx); err != nil {
				return err
			}
			for left = added; len(left) > 0 && !enough(); {
				page := left[:min(len(left), 50)]
				left = left[len(page):]
				if err := p.stagePage(ctx, tx, page); err != nil {
					return err
				}
			}
			return nil
		})
		added = left
	}
	return err
}

// stagePage stages new releases that were not added meanwhile.
func (p *releaseImport) stagePage(ctx context.Context, tx *sql.Tx, page []storedLayer) error {
	tags := make([]string, len(page))
	for i, r := range page {
		tags[i] = r.tag
	}
	in, list := p.inList("$2", tags)
	existing, err := query(ctx, tx, scanValue[string], "SELECT tag FROM release_layer WHERE product = $1 AND tag "+in+" AND layer = 0 AND revision <> -1", p.of.id, list)
	if err != nil {
		return err
	}
	page = slices.DeleteFunc(slices.Clone(page), func(r storedLayer) bool { return slices.Contains(existing, r.tag) })
	return p.writeLayers(ctx, tx, page, staged)
}

// commit stores what is not staged, and makes staged releases visible.
func (p *releaseImport) commit(ctx context.Context, st *stage) (c ImportResult, err error) {
	err = p.inLongChange(ctx, func(tx *sql.Tx) error {
		changes, err := p.reload(ctx, tx)
		if err != nil {
			return err
		}
		if c, err = p.write(ctx, tx, st, changes); err == nil && st != nil {
			err = st.release(ctx, tx)
		}
		if err == nil && c.Added+c.Changed+c.Gone > 0 {
			err = p.audit(ctx, tx, p.action, p.product, c.String())
		}
		return err
	})
	return c, err
}

// write stores those of the changes that are not staged, and makes staged releases visible.
func (p *releaseImport) write(ctx context.Context, tx *sql.Tx, st *stage, changes map[string]*releaseChange) (c ImportResult, err error) {
	var rows []storedLayer
	for _, tag := range p.tags {
		o := changes[tag]
		c = c.plus(o.ImportResult)
		for _, r := range o.rows {
			if st == nil || !o.isNew || r.source != catalog.Upstream || o != p.changes[tag] {
				rows = append(rows, r)
			}
		}
	}
	if len(rows) == 0 && st == nil {
		return c, nil
	}
	revision, err := countChange(ctx, tx, p.of.id)
	switch {
	case err != nil:
	case st == nil:
		err = checkReleases(ctx, tx, int64(c.Added))
	default:
		err = publish(ctx, tx, p.of.id, revision)
	}
	if err == nil {
		err = p.writeLayers(ctx, tx, rows, revision)
	}
	return c, err
}

// reload returns the changes after comparing with releases that were changed since load.
func (p *releaseImport) reload(ctx context.Context, tx *sql.Tx) (map[string]*releaseChange, error) {
	now, err := productNamed(ctx, tx, p.product)
	if err != nil {
		return nil, err
	}
	state, err := readCatalogState(ctx, tx)
	switch {
	case err != nil:
		return nil, err
	case now.id != p.of.id || !now.Equal(p.of.Product) || !state.follows(p.since):
		return nil, errCatalogMoved
	case state.Revision == p.since:
		return p.changes, nil
	}
	after := p.since.Changes
	changed, err := readReleases(ctx, tx, "SELECT "+layerColumns+" FROM release_layer WHERE product = $1 AND revision > $2", "SELECT "+fileColumns+
		" FROM file_layer WHERE product = $1 AND NOT gone AND tag IN (SELECT tag FROM release_layer WHERE product = $1 AND revision > $2)", p.of.id, after)
	if err != nil {
		return nil, err
	}
	bodies, err := p.readBodies(ctx, tx, after)
	changes := maps.Clone(p.changes)
	for key, old := range changed {
		switch {
		case p.given[key.tag] != nil:
			changes[key.tag] = p.compare(key.tag, old, bodies)
		case p.changes[key.tag] != nil: // the list does not contain it: it is gone, whatever the operator has decided
			changes[key.tag] = new(releaseChange)
			if layer := old.layer(catalog.Upstream); !layer.Gone {
				p.markGone(changes[key.tag], key, old.id(), layer)
			}
		}
	}
	return changes, err
}
