package db

import (
	"context"
	"database/sql"
)

// Texts returns the release notes of releases of a product, by tag. Those without notes are
// left out.
func (s *Store) Texts(ctx context.Context, product string, tags []string) (map[string]string, error) {
	in, list := s.inList("$2", tags)
	texts, err := queryMap(ctx, s.read, func(rows *sql.Rows) (tag, text string, err error) {
		err = rows.Scan(&tag, &text)
		return tag, text, err
	}, "SELECT release_layer.tag, release_layer.body FROM product, release_layer WHERE product.name = $1 AND release_layer.product = product.id AND release_layer.tag "+in+
		" AND release_layer.revision <> -1 AND release_layer.body IS NOT NULL ORDER BY release_layer.layer", product, list) // the operator's come last
	return texts, s.explain(err)
}
