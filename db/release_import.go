package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"

	"relcheck/checker"
	"relcheck/checker/catalog"
)

// ImportResult counts the releases of an import by result.
type ImportResult struct {
	Added, Changed, Unchanged int
}

func (c ImportResult) String() string {
	return fmt.Sprintf("%d releases: %d added, %d changed, %d unchanged", c.Added+c.Changed+c.Unchanged, c.Added, c.Changed, c.Unchanged)
}

// Merge merges a given release into a stored one.
type Merge func(stored, given catalog.Release) catalog.Release

// PutReleases stores releases of a product, all of them or none. If a version exists, in
// any spelling, merge merges it with the given release. Withdrawn releases stay withdrawn:
// see [Store.Withdraw].
func (s *Store) PutReleases(ctx context.Context, product string, given []catalog.Release, merge Merge) (ImportResult, error) {
	return s.putReleases(ctx, releasesImported, product, given, merge)
}

// SyncReleases is [Store.PutReleases] for releases that were read from upstream.
func (s *Store) SyncReleases(ctx context.Context, product string, given []catalog.Release, merge Merge) (ImportResult, error) {
	return s.putReleases(ctx, releasesSynced, product, given, merge)
}

// stageFrom is the minimum number of new releases that are staged. Fewer are written in one
// transaction.
const stageFrom = 100

// errCatalogMoved is returned if the catalog has changed and it is unknown which rows.
var errCatalogMoved = errors.New("releases change faster than they can be stored; try again")

// putReleases reads and compares before it writes, so that other writers need not wait for
// that. Many new releases are staged in short transactions, and made visible in a last one.
func (s *Store) putReleases(ctx context.Context, action, product string, given []catalog.Release, merge Merge) (c ImportResult, err error) {
	p := releaseImport{Store: s, action: action, product: product, given: map[string][]catalog.Release{}, merge: merge}
	for _, r := range given {
		key := checker.Canonical(r.Version)
		if key == "" {
			return c, fmt.Errorf("release %q is not a semantic version, such as v1.2.3", r.Version)
		}
		if p.given[key] == nil {
			p.keys = append(p.keys, key)
		}
		p.given[key] = append(p.given[key], r)
	}
	for range maxTries {
		if err = p.load(ctx); err != nil {
			return c, err
		}
		if c, err = p.store(ctx); !errors.Is(err, errCatalogMoved) {
			break
		}
	}
	return c, err
}

// releaseImport is one import of releases.
type releaseImport struct {
	*Store
	action, product string
	keys            []string // canonical versions of the given releases, in order
	given           map[string][]catalog.Release
	merge           Merge

	id      int64                    // of the product
	since   catalog.Revision         // of the catalog that was compared
	changes map[string]releaseChange // by canonical version
}

// releaseChange is the effect of an import on one release.
type releaseChange struct {
	stored *catalog.Release // the new release, or nil if it is unchanged
	isNew  bool
	ImportResult
}

// compare returns the change of a release that is stored as old, which is nil if it is
// not stored.
func (p *releaseImport) compare(key string, old *catalog.Release) (o releaseChange) {
	o.isNew = old == nil
	for _, r := range p.given[key] {
		if old != nil {
			r = p.merge(*old, r)
		}
		switch {
		case old == nil:
			o.Added++
		case len(differences(*old, r)) == 0:
			o.Unchanged++
			continue
		default:
			o.Changed++
		}
		old, o.stored = &r, &r
	}
	return o
}

// load compares the given releases with the stored ones.
func (p *releaseImport) load(ctx context.Context) error {
	var old []catalog.Release
	err := p.inSnapshot(ctx, func(tx *sql.Tx) error {
		state, err := readCatalogState(ctx, tx)
		if err != nil {
			return err
		}
		p.since = state.Revision
		if p.id, err = productID(ctx, tx, p.product); err == nil {
			old, err = releases(ctx, tx, p.id)
		}
		return err
	})
	stored := make(map[string]*catalog.Release, len(old))
	for i := range old {
		stored[checker.Canonical(old[i].Version)] = &old[i]
	}
	p.changes = make(map[string]releaseChange, len(p.keys))
	for _, key := range p.keys {
		p.changes[key] = p.compare(key, stored[key])
	}
	return err
}

// store stores the changes, and stages many new releases first.
func (p *releaseImport) store(ctx context.Context) (c ImportResult, err error) {
	var added []storedRelease
	for _, key := range p.keys {
		if o := p.changes[key]; o.isNew {
			added = append(added, storedRelease{releaseKey{p.id, key}, *o.stored})
		}
	}
	if len(added) < stageFrom {
		return p.commit(ctx, nil)
	}
	st, err := p.claimStage(ctx, p.id)
	if err == nil {
		err = p.stage(ctx, st, added)
	}
	if err == nil {
		c, err = p.commit(ctx, &st)
	}
	if err != nil && !errors.Is(err, errStageLost) { // the next import need not wait
		p.update(context.WithoutCancel(ctx), "UPDATE stage SET at = 0 WHERE product = $1 AND id = $2", st.product, st.id)
	}
	return c, err
}

// stage writes new releases, not yet visible.
func (p *releaseImport) stage(ctx context.Context, st stage, added []storedRelease) error {
	err := p.inTx(ctx, func(tx *sql.Tx) error { return checkReleases(ctx, tx, int64(len(added))) })
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
func (p *releaseImport) stagePage(ctx context.Context, tx *sql.Tx, page []storedRelease) error {
	versions := make([]string, len(page))
	for i, r := range page {
		versions[i] = r.version
	}
	in, list := p.inList("$2", versions)
	existing, err := query(ctx, tx, scanValue[string], "SELECT version FROM release WHERE product = $1 AND version "+in+" AND revision >= 0", p.id, list)
	if err != nil {
		return err
	}
	page = slices.DeleteFunc(slices.Clone(page), func(r storedRelease) bool { return slices.Contains(existing, r.version) })
	return p.writeReleases(ctx, tx, page, staged)
}

// commit stores what is not staged, and makes staged releases visible.
func (p *releaseImport) commit(ctx context.Context, st *stage) (c ImportResult, err error) {
	err = p.inTx(ctx, func(tx *sql.Tx) error {
		changes, err := p.reload(ctx, tx)
		if err != nil {
			return err
		}
		c = ImportResult{}
		var rows []storedRelease
		for _, key := range p.keys {
			o := changes[key]
			c = ImportResult{c.Added + o.Added, c.Changed + o.Changed, c.Unchanged + o.Unchanged}
			if o.stored != nil && (st == nil || !o.isNew) {
				rows = append(rows, storedRelease{releaseKey{p.id, key}, *o.stored})
			}
		}
		if c.Added+c.Changed == 0 && st == nil {
			return nil
		}
		revision, err := countChange(ctx, tx, p.id)
		switch {
		case err != nil:
		case st == nil:
			err = checkReleases(ctx, tx, int64(c.Added))
		default:
			_, err = tx.ExecContext(ctx, "UPDATE release SET revision = $2 WHERE product = $1 AND revision = -1", p.id, revision)
			if err == nil {
				err = st.release(ctx, tx)
			}
		}
		if err == nil {
			err = p.writeReleases(ctx, tx, rows, revision)
		}
		if err == nil {
			err = p.audit(ctx, tx, p.action, p.product, c.String())
		}
		return err
	})
	return c, err
}

// reload returns the changes after comparing with releases that were changed since load.
func (p *releaseImport) reload(ctx context.Context, tx *sql.Tx) (map[string]releaseChange, error) {
	id, err := productID(ctx, tx, p.product)
	if err != nil {
		return nil, err
	}
	state, err := readCatalogState(ctx, tx)
	switch {
	case err != nil:
		return nil, err
	case id != p.id || !state.follows(p.since):
		return nil, errCatalogMoved
	case state.Revision == p.since:
		return p.changes, nil
	}
	changed, err := releasesWhere(ctx, tx, "product = $1 AND revision > $2", "product = $1 AND version IN (SELECT version FROM release WHERE product = $1 AND revision > $2)", p.id, p.since.Changes)
	changes := maps.Clone(p.changes)
	for _, old := range changed {
		if key := checker.Canonical(old.Version); p.given[key] != nil {
			changes[key] = p.compare(key, &old)
		}
	}
	return changes, err
}

// writeReleases stores releases, with a revision of the catalog.
func (s *Store) writeReleases(ctx context.Context, tx *sql.Tx, rows []storedRelease, revision int64) error {
	if len(rows) == 0 {
		return nil
	}
	versions := make([]string, len(rows))
	releases := newInserter(tx, s.numberedParams(), "INSERT INTO release (product, version, tag, notes, date, prerelease, retracted, revision) VALUES ",
		` ON CONFLICT (product, version) DO UPDATE SET tag = excluded.tag, notes = excluded.notes,
			date = excluded.date, prerelease = excluded.prerelease, retracted = excluded.retracted, revision = excluded.revision`)
	defer releases.close()
	for i, r := range rows {
		versions[i] = r.version
		date := sql.NullInt64{Int64: r.Date.Unix(), Valid: !r.Date.IsZero()}
		if err := releases.add(ctx, r.product, r.version, r.Version, r.Notes, date, r.Prerelease, r.Retracted, revision); err != nil {
			return err
		}
	}
	if err := releases.flush(ctx); err != nil {
		return err
	}
	in, list := s.inList("$2", versions)
	if _, err := tx.ExecContext(ctx, "DELETE FROM asset WHERE product = $1 AND version "+in, rows[0].product, list); err != nil {
		return err
	}
	assets := newInserter(tx, s.numberedParams(), "INSERT INTO asset (product, version, os, arch, url) VALUES ", "")
	defer assets.close()
	for _, r := range rows {
		for p, url := range r.Assets {
			if err := assets.add(ctx, r.product, r.version, p.OS, p.Arch, url); err != nil {
				return err
			}
		}
	}
	return assets.flush(ctx)
}

// differences returns the names of the fields that differ between two releases, except
// withdrawn.
func differences(a, b catalog.Release) (names []string) {
	for _, d := range []struct {
		name string
		same bool
	}{
		{"spelling", a.Version == b.Version},
		{"date", a.Date.Unix() == b.Date.Unix()},
		{"notes", a.Notes == b.Notes},
		{"prerelease", a.Prerelease == b.Prerelease},
		{"retracted", a.Retracted == b.Retracted},
		{"assets", maps.Equal(a.Assets, b.Assets)},
	} {
		if !d.same {
			names = append(names, d.name)
		}
	}
	return names
}
