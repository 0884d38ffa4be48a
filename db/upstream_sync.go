package db

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"relcheck/checker/catalog"
	"relcheck/checker/printable"
)

const syncColumns = "upstream_sync.product, upstream_sync.upstream, upstream_sync.tried, upstream_sync.succeeded, upstream_sync.error, upstream_sync.latest"

// readSyncs sets the syncs and the applied bundles of products. The condition selects at
// least those of these products.
func readSyncs(ctx context.Context, q querier, products []product, condition string, args ...any) error {
	syncs := map[int64][]catalog.Sync{}
	err := eachRow(ctx, q, func(rows *sql.Rows) error {
		var product, tried, succeeded int64
		var s catalog.Sync
		err := rows.Scan(&product, &s.Upstream, &tried, &succeeded, &s.Error, &s.Latest)
		s.Tried, s.Succeeded = timeOf(tried), timeOf(succeeded)
		syncs[product] = append(syncs[product], s)
		return err
	}, "SELECT "+syncColumns+" FROM upstream_sync JOIN product ON product.id = upstream_sync.product WHERE upstream_sync.upstream NOT LIKE 'bundle:%' AND ("+condition+")", args...)
	bundles := map[int64][]catalog.Sync{}
	if err == nil {
		err = eachRow(ctx, q, func(rows *sql.Rows) error {
			var product, sequence, applied int64
			var s catalog.Sync
			err := rows.Scan(&product, &s.Upstream, &sequence, &applied, &s.Latest)
			// The sequence number is the time of the creation, unless a clock was wrong.
			s.Tried, s.Succeeded = timeOf(applied), timeOf(min(sequence, applied))
			bundles[product] = append(bundles[product], s)
			return err
		}, `SELECT applied_bundle.product, 'bundle:' || applied_bundle.store, applied_bundle.sequence, applied_bundle.applied, COALESCE(upstream_sync.latest, '')
			FROM applied_bundle JOIN product ON product.id = applied_bundle.product
			LEFT JOIN upstream_sync ON upstream_sync.product = product.id AND upstream_sync.upstream = 'bundle:' || applied_bundle.store WHERE `+condition, args...)
	}
	for i := range products {
		p := &products[i]
		p.Syncs, p.Bundles = syncs[p.id], bundles[p.id]
		slices.SortFunc(p.Bundles, func(a, b catalog.Sync) int { return strings.Compare(a.Upstream, b.Upstream) })
		slices.SortFunc(p.Syncs, func(a, b catalog.Sync) int { return strings.Compare(a.Upstream, b.Upstream) })
	}
	return err
}

// SyncState returns the last sync of a product with an upstream, including its state. Its
// times are zero if there was none. The error wraps [ErrNotFound] if the product does not
// exist.
func (s *Store) SyncState(ctx context.Context, product, upstream string) (catalog.Sync, error) {
	last := catalog.Sync{Upstream: upstream}
	p, err := s.Product(ctx, product)
	if err != nil {
		return last, err
	}
	for _, sync := range p.Syncs {
		if sync.Upstream == upstream {
			last = sync
		}
	}
	if last.Tried.IsZero() {
		return last, nil
	}
	last.State, err = queryValue[[]byte](ctx, s.read, `SELECT state FROM upstream_sync WHERE product = (SELECT id FROM product WHERE name = $1) AND upstream = $2`, product, upstream)
	return last, s.explain(err)
}

// maxSyncError is the maximum length of a stored error of a sync, in characters.
const maxSyncError = 500

// FailedSyncs returns the last syncs that failed after a time and have a state. It sets only
// Upstream and State.
func (s *Store) FailedSyncs(ctx context.Context, since time.Time) ([]catalog.Sync, error) {
	failed, err := query(ctx, s.read, func(rows *sql.Rows) (f catalog.Sync, err error) {
		err = rows.Scan(&f.Upstream, &f.State)
		return f, err
	}, "SELECT upstream, state FROM upstream_sync WHERE error <> '' AND tried > $1 AND state IS NOT NULL", since.Unix())
	return failed, s.explain(err)
}

// RecordSync stores the result of a sync of a product with an upstream. If the sync failed,
// it stores only Tried, Error and, unless it is empty, State; the other fields keep their
// values. Otherwise Succeeded is set to Tried. The error wraps [ErrNotFound] if the product does not exist or
// does not have the upstream.
func (s *Store) RecordSync(ctx context.Context, product string, sync catalog.Sync) error {
	if sync.Error != "" {
		sync.Error = cmp.Or(printable.Clean(sync.Error), "unknown error")
		if text := []rune(sync.Error); len(text) > maxSyncError {
			sync.Error = string(text[:maxSyncError]) + "…"
		}
		sync = catalog.Sync{Upstream: sync.Upstream, Tried: sync.Tried, Error: sync.Error, State: sync.State}
	} else {
		sync.Succeeded = sync.Tried
	}
	return s.inChange(ctx, func(tx *sql.Tx) error {
		p, err := productNamed(ctx, tx, product)
		switch {
		case err != nil:
			return err
		case !slices.Contains(p.UpstreamList(), sync.Upstream):
			return fmt.Errorf("upstream %s of product %s: %w", sync.Upstream, product, ErrNotFound)
		}
		err = recordSync(ctx, tx, p.id, sync)
		if err == nil {
			_, err = countChange(ctx, tx, p.id)
		}
		return err
	})
}

func recordSync(ctx context.Context, tx *sql.Tx, product int64, sync catalog.Sync) error {
	var state any // NULL if it is empty: drivers differ in what they return for an empty value
	if len(sync.State) > 0 {
		state = sync.State
	}
	set := "tried = excluded.tried, error = excluded.error"
	if sync.Error == "" {
		set += ", succeeded = excluded.succeeded, latest = excluded.latest"
	}
	if sync.Error == "" || state != nil {
		set += ", state = excluded.state"
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO upstream_sync (product, upstream, tried, succeeded, error, latest, state) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (product, upstream) DO UPDATE SET `+set,
		product, sync.Upstream, secondsOf(sync.Tried), secondsOf(sync.Succeeded), sync.Error, sync.Latest, state)
	return err
}

// ClaimSync claims a product for a sync until a time, or extends the sync's claim. It
// returns false if another sync has claimed the product. The ID identifies the sync; it is
// not 0.
func (s *Store) ClaimSync(ctx context.Context, product string, id int64, now, until time.Time) (claimed bool, err error) {
	err = s.inTx(ctx, func(tx *sql.Tx) error {
		p, err := productID(ctx, tx, product)
		if err != nil {
			return err
		}
		n, err := update(ctx, tx, `INSERT INTO sync_claim (product, id, until) VALUES ($1, $2, $3)
			ON CONFLICT (product) DO UPDATE SET id = excluded.id, until = excluded.until WHERE sync_claim.id = $2 OR sync_claim.until <= $4`, p, id, until.Unix(), now.Unix())
		claimed = n > 0
		return err
	})
	return claimed, err
}

// EndSync gives up the claim of a sync, so that the next one need not wait.
func (s *Store) EndSync(ctx context.Context, id int64) error {
	_, err := s.update(ctx, "DELETE FROM sync_claim WHERE id = $1", id)
	return err
}

// requireClaim returns an error unless the sync still has its claim. It locks the claim
// until the end of the transaction.
func requireClaim(ctx context.Context, tx *sql.Tx, product, sync int64) error {
	return requireUpdate(ctx, tx, catalog.ErrSyncLost, "UPDATE sync_claim SET id = id WHERE product = $1 AND id = $2", product, sync)
}

// UpstreamFiles returns the files of releases that upstream lists, by tag.
func (s *Store) UpstreamFiles(ctx context.Context, product string) (map[string][]catalog.File, error) {
	all := map[string][]catalog.File{}
	id, err := productID(ctx, s.read, product)
	if err != nil {
		return nil, err
	}
	byLayer, err := readFiles(ctx, s.read, "SELECT "+fileColumns+" FROM file_layer WHERE product = $1 AND layer = 0 AND NOT gone", id)
	for key, files := range byLayer {
		all[key.tag] = files
	}
	return all, s.explain(err)
}

// removeSyncs removes the syncs with upstreams that a product no longer has.
func removeSyncs(ctx context.Context, tx *sql.Tx, p product) error {
	all, err := query(ctx, tx, scanValue[string], "SELECT upstream FROM upstream_sync WHERE product = $1 AND upstream NOT LIKE 'bundle:%'", p.id)
	for _, upstream := range all {
		if err == nil && !slices.Contains(p.UpstreamList(), upstream) {
			err = deleteFrom(ctx, tx, []string{"upstream_sync"}, "product = $1 AND upstream = $2", p.id, upstream)
		}
	}
	return err
}
