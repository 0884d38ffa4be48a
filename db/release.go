package db

import (
	"context"

	"relcheck/checker/catalog"
)

// Releases returns the releases of a product, in no particular order.
func (s *Store) Releases(ctx context.Context, product string) ([]catalog.Release, error) {
	id, err := productID(ctx, s.read, product)
	if err != nil {
		return nil, err
	}
	return releases(ctx, s.read, id)
}

func releases(ctx context.Context, q querier, product int64) ([]catalog.Release, error) {
	return releasesWhere(ctx, q, "product = $1 AND revision >= 0", "product = $1", product)
}

// releaseOf returns the release of a canonical version, or nil if there is none.
func releaseOf(ctx context.Context, q querier, product int64, version string) (*catalog.Release, error) {
	found, err := releasesWhere(ctx, q, "product = $1 AND version = $2 AND revision >= 0", "product = $1 AND version = $2", product, version)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}

// releasesWhere returns the releases that match a condition. asset must be a condition
// that matches at least their assets.
func releasesWhere(ctx context.Context, q querier, release, asset string, args ...any) ([]catalog.Release, error) {
	assets, err := readAssets(ctx, q, "SELECT "+assetColumns+" FROM asset WHERE "+asset, args...)
	if err != nil {
		return nil, err
	}
	stored, err := readReleases(ctx, q, assets, "SELECT "+releaseColumns+" FROM release WHERE "+release, args...)
	if err != nil {
		return nil, err
	}
	all := make([]catalog.Release, len(stored))
	for i, r := range stored {
		all[i] = r.Release
	}
	return all, nil
}
