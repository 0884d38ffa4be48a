package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"slices"

	"relcheck/checker/catalog"
)

// ErrChanged is returned if releases change while they are read.
var ErrChanged = errors.New("the releases changed while they were read: try again")

// EntriesID identifies the state of all stored data about the releases of a product. Two
// stores have different IDs.
func (s *Store) EntriesID(ctx context.Context, product string) (string, error) {
	store, err := s.ID(ctx)
	if err != nil {
		return "", err
	}
	id, err := productID(ctx, s.read, product)
	if err != nil {
		return "", s.explain(err)
	}
	state, err := entriesState(ctx, s.read, id)
	return fmt.Sprintf("%x-%d-%s", store, id, state), s.explain(err)
}

func entriesState(ctx context.Context, q querier, product int64) (string, error) {
	var count, newest int64
	err := q.QueryRowContext(ctx, "SELECT count(*), COALESCE(max(revision), 0) FROM release_layer WHERE product = $1 AND revision <> -1", product).Scan(&count, &newest)
	return fmt.Sprintf("%d-%d", count, newest), err
}

// Entries returns all stored data about the releases of a product, sorted by tag. It reads
// page by page, so that a slow caller keeps no transaction open. If releases change
// meanwhile, the last error is [ErrChanged].
func (s *Store) Entries(ctx context.Context, product string) iter.Seq2[catalog.Entry, error] {
	return func(yield func(catalog.Entry, error) bool) {
		if err := s.eachEntry(ctx, product, func(e catalog.Entry) bool { return yield(e, nil) }); err != nil && !errors.Is(err, errStopped) {
			yield(catalog.Entry{}, fmt.Errorf("read the releases of %s: %w", product, err))
		}
	}
}

// errStopped is returned if the caller stops the iteration.
var errStopped = errors.New("stopped")

func (s *Store) eachEntry(ctx context.Context, product string, yield func(catalog.Entry) bool) error {
	var id int64
	var before, after string
	var tags []string
	err := s.inSnapshot(ctx, func(tx *sql.Tx) (err error) {
		if id, err = productID(ctx, tx, product); err != nil {
			return err
		}
		if before, err = entriesState(ctx, tx, id); err != nil {
			return err
		}
		tags, err = releaseTags(ctx, tx, id)
		return err
	})
	if err != nil {
		return err
	}
	for page := range slices.Chunk(tags, entriesPage) {
		var entries []ReleaseEntry
		err := s.inSnapshot(ctx, func(tx *sql.Tx) (err error) {
			entries, err = s.readEntries(ctx, tx, id, page)
			return err
		})
		if err != nil {
			return err
		}
		for _, e := range entries {
			if !yield(e.Entry) {
				return errStopped
			}
		}
	}
	if after, err = entriesState(ctx, s.read, id); err == nil && after != before {
		err = ErrChanged
	}
	return s.explain(err)
}

// releaseTags returns the sorted tags of the releases of a product.
func releaseTags(ctx context.Context, q querier, product int64) ([]string, error) {
	tags, err := query(ctx, q, scanValue[string], "SELECT DISTINCT tag FROM release_layer WHERE product = $1 AND revision <> -1", product)
	slices.Sort(tags) // databases order texts differently
	return tags, err
}

// entriesPage is the number of releases that are read at a time, with their notes.
const entriesPage = 50

// readEntries returns the entries of releases in the order of their tags.
func (s *Store) readEntries(ctx context.Context, q querier, product int64, tags []string) (entries []ReleaseEntry, err error) {
	in, list := s.inList("$2", tags)
	stored, err := releasesWhere(ctx, q, "product = $1 AND tag "+in, product, list)
	if err != nil {
		return nil, err
	}
	for _, tag := range tags {
		r := stored[releaseKey{product, tag}]
		if r == nil { // removed meanwhile
			continue
		}
		if err := r.readBodies(ctx, q, releaseKey{product, tag}); err != nil {
			return nil, err
		}
		entry := catalog.Entry{Tag: tag, Upstream: r.layer(catalog.Upstream), Operator: r.layers[catalog.Operator]}
		entries = append(entries, ReleaseEntry{entry, r.hosted})
	}
	return entries, nil
}
