package db

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"
	"strings"

	"relcheck/checker/access"
	"relcheck/checker/catalog"
)

// ImportResult counts the releases of an import by result.
type ImportResult = catalog.ImportResult

// ImportReleases stores the releases of a list. See [Store.ImportLists].
func (s *Store) ImportReleases(ctx context.Context, product string, list catalog.List, force bool) (ImportResult, error) {
	c, err := s.ImportLists(ctx, product, []catalog.List{list}, force, 0)
	return c[0].ImportResult, err
}

// ImportLists stores the releases of lists in upstream's layer, all of them or none. The
// result is the same as if the lists were stored one after the other. Fields that an entry
// does not set keep their values, unless the list is exact. The result has an element for
// each list.
//
// Releases that the list of this name contained before and does not contain now are gone,
// unless the list may be incomplete and they are older than all its entries. Unless force
// is set, the error is a [catalog.MissingError] if more than half of the releases would be
// gone, or if the list may be incomplete and the latest release would be gone.
//
// If sync is not 0, it is the ID of a sync. The error is [catalog.ErrSyncLost] unless the
// sync has claimed the product; see [Store.ClaimSync].
func (s *Store) ImportLists(ctx context.Context, product string, lists []catalog.List, force bool, sync int64) (c []catalog.ListResult, err error) {
	p, err := s.newImport(product, lists, force)
	for range maxTries {
		if err == nil {
			p.sync = sync
			err = p.load(ctx)
		}
		if err != nil {
			break
		}
		if c, err = p.store(ctx); !errors.Is(err, errCatalogMoved) {
			break
		}
		err = nil
	}
	if c == nil {
		c = make([]catalog.ListResult, len(lists))
	}
	return c, err
}

func (s *Store) newImport(product string, lists []catalog.List, force bool) (*releaseImport, error) {
	p := &releaseImport{Store: s, product: product, force: force}
	given := map[string]bool{}
	for _, list := range lists {
		l, err := newListImport(list)
		if err != nil {
			return nil, err
		}
		p.lists = append(p.lists, l)
		for _, e := range list.Entries {
			if !given[e.Tag] {
				given[e.Tag] = true
				p.given = append(p.given, e.Tag)
			}
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
	product string
	lists   []*listImport
	force   bool
	sync    int64    // ID of the sync, or 0
	given   []string // tags of the given entries, in order
	only    []string // tags of the releases that are compared, or nil for all

	of        product                   // product of the releases
	isNew     bool                      // the product is not visible yet
	upstreams []string                  // of the product
	since     catalog.Revision          // of the catalog that was compared
	tags      []string                  // of the given entries, in order, and then of the releases that are gone
	changes   map[string]*releaseChange // by tag

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
		p.upstreams = p.of.UpstreamList()
		condition, args := "product = $1", []any{p.of.id}
		if p.only != nil {
			in, list := p.inList("$2", p.only)
			condition, args = condition+" AND tag "+in, append(args, list)
		}
		stored, err := releasesWhere(ctx, tx, condition, args...)
		if err != nil {
			return err
		}
		bodies, err := p.readBodies(ctx, tx, condition+" AND revision <> -1", args...)
		if err != nil {
			return err
		}
		p.tags, p.changes = slices.Clone(p.given), make(map[string]*releaseChange, len(p.given))
		for _, tag := range p.tags {
			p.changes[tag] = p.compare(tag, stored[releaseKey{p.of.id, tag}], bodies)
		}
		for _, key := range slices.SortedFunc(maps.Keys(stored), func(a, b releaseKey) int { return strings.Compare(a.tag, b.tag) }) {
			if p.changes[key.tag] != nil {
				continue
			}
			if o := p.compare(key.tag, stored[key], bodies); len(o.rows) > 0 {
				p.changes[key.tag], p.tags = o, append(p.tags, key.tag)
			}
		}
		if err := p.compareHosted(stored); err != nil {
			return err
		}
		return p.checkGone(stored)
	})
}

// store stores the changes, and stages many new releases first.
func (p *releaseImport) store(ctx context.Context) (c []catalog.ListResult, err error) {
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

// added returns upstream's layers of the releases that upstream has not listed before.
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
	err := p.inLongChange(ctx, p.oneByOne(ctx, func(tx *sql.Tx) error {
		added = slices.Clone(given) // a transaction may be tried again
		if err := checkReleases(ctx, tx, int64(len(added))); err != nil {
			return err
		}
		return assignIDs(ctx, tx, added) // once, so that other changes need not wait for each page
	}))
	for _, r := range added {
		for i := range p.changes[r.tag].rows {
			p.changes[r.tag].rows[i].id = r.id
		}
	}
	if err != nil {
		return err
	}
	slices.SortFunc(added, func(a, b storedLayer) int { return strings.Compare(a.tag, b.tag) }) // see writeLayers
	return stageRows(ctx, p.Store, st, added, 50, func(tx *sql.Tx, page []storedLayer) error { return p.stagePage(ctx, tx, page) })
}

// stagePage stages new releases that were not added meanwhile.
func (p *releaseImport) stagePage(ctx context.Context, tx *sql.Tx, page []storedLayer) error {
	in, list := p.inList("$2", mapped(page, func(r storedLayer) string { return r.tag }))
	existing, err := query(ctx, tx, scanValue[string], "SELECT tag FROM release_layer WHERE product = $1 AND tag "+in+" AND layer = 0 AND revision <> -1", p.of.id, list)
	if err != nil {
		return err
	}
	page = slices.DeleteFunc(slices.Clone(page), func(r storedLayer) bool { return slices.Contains(existing, r.tag) })
	return p.writeLayers(ctx, tx, page, staged)
}

// commit stores what is not staged, and makes staged releases visible.
func (p *releaseImport) commit(ctx context.Context, st *stage) (c []catalog.ListResult, err error) {
	err = p.inLongChange(ctx, p.oneByOne(ctx, func(tx *sql.Tx) error {
		if p.sync != 0 {
			if err := requireClaim(ctx, tx, p.of.id, p.sync); err != nil {
				return err
			}
		}
		changes, err := p.reload(ctx, tx)
		if err != nil {
			return err
		}
		c = p.count(changes)
		if err = p.write(ctx, tx, st, changes); err == nil && st != nil {
			err = st.end(ctx, tx)
		}
		for i, l := range p.lists {
			action := access.ReleasesImported
			if strings.Contains(l.Name, ":") {
				action = access.ReleasesSynced
			}
			if err == nil && c[i].Added+c[i].Changed+c[i].Gone > 0 {
				err = p.audit(ctx, tx, action, p.product, c[i].ImportResult.String())
			}
		}
		return err
	}))
	return c, err
}

// count returns the changes by list.
func (p *releaseImport) count(changes map[string]*releaseChange) []catalog.ListResult {
	c := make([]catalog.ListResult, len(p.lists))
	for _, tag := range p.tags {
		for i, one := range changes[tag].results {
			if c[i].ImportResult = c[i].Plus(one.ImportResult); one.Added > 0 {
				c[i].New = append(c[i].New, tag)
			}
			if one.withdrawn {
				c[i].Withdrawn = append(c[i].Withdrawn, tag)
			}
		}
	}
	return c
}

// write stores the changes that are not staged, and makes staged releases visible.
func (p *releaseImport) write(ctx context.Context, tx *sql.Tx, st *stage, changes map[string]*releaseChange) error {
	var rows []storedLayer
	added := 0
	for _, tag := range p.tags {
		o := changes[tag]
		added += o.sum().Added
		for _, r := range o.rows {
			if st == nil || !o.isNew || r.source != catalog.Upstream || o != p.changes[tag] {
				rows = append(rows, r)
			}
		}
	}
	if len(rows) == 0 && st == nil {
		return nil
	}
	revision, err := countChange(ctx, tx, p.of.id)
	switch {
	case err != nil:
	case st == nil:
		err = checkReleases(ctx, tx, int64(added))
	default:
		err = p.publish(ctx, tx, p.of.id, revision)
	}
	if err == nil {
		err = p.writeLayers(ctx, tx, rows, revision)
	}
	if err == nil && slices.ContainsFunc(p.lists, func(l *listImport) bool { return !slices.Contains(p.upstreams, l.Name) }) {
		err = forgetSyncs(ctx, tx, p.of.id)
	}
	return err
}

// forgetSyncs makes the next sync of a product read all its upstreams, because another list
// may have replaced their layers.
func forgetSyncs(ctx context.Context, tx *sql.Tx, product int64) error {
	_, err := tx.ExecContext(ctx, "UPDATE upstream_sync SET state = NULL WHERE product = $1", product)
	return err
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
	bodies, err := p.readBodies(ctx, tx, "product = $1 AND revision > $2", p.of.id, after)
	changes := maps.Clone(p.changes)
	for key, old := range changed {
		if p.changes[key.tag] != nil {
			changes[key.tag] = p.compare(key.tag, old, bodies)
		}
	}
	return changes, err
}
