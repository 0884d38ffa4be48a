package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"relcheck/checker/access"
	"relcheck/checker/catalog"
	"relcheck/checker/printable"
)

// initialProducts are the products of a new store.
var initialProducts = []catalog.Product{catalog.PresetNamed("opa").Product, {Name: "relcheck", Title: "relcheck"}}

type product struct {
	id int64
	catalog.Product
}

// Products returns all products, by name.
func (s *Store) Products(ctx context.Context) ([]catalog.Product, error) {
	rows, err := products(ctx, s.read)
	if err == nil {
		err = readSyncs(ctx, s.read, rows, "product.name IS NOT NULL")
	}
	return mapped(rows, func(p product) catalog.Product { return p.Product }), err
}

// Product returns a product. The error wraps [ErrNotFound] if it does not exist.
func (s *Store) Product(ctx context.Context, name string) (catalog.Product, error) {
	p, err := productNamed(ctx, s.read, name)
	found := []product{p}
	if err == nil {
		err = readSyncs(ctx, s.read, found, "product.id = $1", p.id)
	}
	return found[0].Product, s.explain(err)
}

// AddProduct adds a product. The error wraps [ErrInUse] if its name or repository belongs
// to another one.
func (s *Store) AddProduct(ctx context.Context, p catalog.Product) error {
	return s.inChange(ctx, func(tx *sql.Tx) error { return s.addProduct(ctx, tx, p) })
}

// SetProduct replaces the product with p's name.
func (s *Store) SetProduct(ctx context.Context, p catalog.Product) error {
	return s.inChange(ctx, func(tx *sql.Tx) error {
		old, err := productNamed(ctx, tx, p.Name)
		if err == nil {
			_, err = s.setProduct(ctx, tx, old, p)
		}
		return err
	})
}

// RemoveProduct removes a product with its releases. If reports or checks of the product
// are recorded, it also removes them if reports is set, and otherwise returns an error that
// wraps [ErrInUse].
//
// Removed data is also overwritten in a SQLite file, and in its WAL once no reader needs
// it. PostgreSQL keeps it until VACUUM, and in its archives.
func (s *Store) RemoveProduct(ctx context.Context, name string, reports bool) error {
	err := s.DropProduct(ctx, name, reports)
	if err == nil || errors.Is(err, ErrNotFound) { // an earlier removal may have been interrupted
		if err := s.finishRemovals(ctx); err != nil {
			return fmt.Errorf("product %s was removed, but some of its reports are left, which a server or the next removal will remove: %w", name, err)
		}
	}
	return err
}

// DropProduct is like [Store.RemoveProduct], but leaves it to [Store.Maintain] to remove
// the recorded data.
func (s *Store) DropProduct(ctx context.Context, name string, reports bool) error {
	return s.inChange(ctx, func(tx *sql.Tx) error {
		product, err := productID(ctx, tx, name)
		if err != nil {
			return err
		}
		used, err := queryValue[bool](ctx, tx, s.usedQuery(), product)
		if err != nil {
			return err
		}
		detail := ""
		if used {
			detail = "with its reports"
		}
		if used && !reports {
			return catalog.InUse("reports", "product %s has recorded reports or checks", name)
		}
		revision, err := countChange(ctx, tx, product)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "UPDATE product SET name = NULL WHERE id = $1", product)
		if err == nil {
			_, err = tx.ExecContext(ctx, "UPDATE setting SET value = $1 WHERE name = 'dropped'", revision)
		}
		if err == nil {
			err = s.audit(ctx, tx, access.ProductRemoved, name, detail)
		}
		return err
	})
}

// usedQuery is a query whether anything was recorded of a product. If builds are created in
// transactions of their own, which are not serializable, the query must read what is recorded
// under them: of a removal and a commit of the product's first report, which both read what
// the other one writes, PostgreSQL then aborts one.
func (s *Store) usedQuery() string {
	text := "SELECT EXISTS (SELECT 1 FROM build WHERE product = $1)"
	if s.buildsFirst {
		for _, table := range []string{"report", "checks", "site_count"} {
			text += " OR EXISTS (SELECT 1 FROM " + table + " WHERE product = $1)"
		}
	}
	return text
}

const (
	// removalPage is the number of reports that one transaction removes.
	removalPage = 10_000
	// removalPause is the pause between these transactions, so that others can write.
	removalPause = 100 * time.Millisecond
	// shredTries limits the attempts to overwrite deleted data.
	shredTries = 20
)

// finishRemovals removes the data of removed products, and of products that a killed import
// has staged. It uses many transactions: a single one would block writers, and in
// PostgreSQL would fail while they record. Writers no longer use the products, because the
// catalog has changed.
func (s *Store) finishRemovals(ctx context.Context) error {
	removed, err := query(ctx, s.read, scanValue[int64], "SELECT id FROM product WHERE name IS NULL AND (revision <> -1 OR id NOT IN (SELECT product FROM stage))")
	for _, product := range removed {
		if err == nil { // from now on, no server folds its reports, which would lock the same rows in another order
			_, err = s.update(ctx, "DELETE FROM fold WHERE product = $1", product)
		}
		if err == nil {
			err = s.removeReports(ctx, product, math.MaxInt64, "product = $1 AND", "")
		}
		if err == nil {
			err = s.deleteInChunks(ctx, product, deleteProductPages...)
		}
		if err == nil {
			err = s.inTx(ctx, func(tx *sql.Tx) error { return removeProduct(ctx, tx, product) })
		}
	}
	if err != nil || len(removed) == 0 {
		return s.explain(err)
	}
	for range shredTries {
		if err = s.eraseDeleted(ctx); !errors.Is(err, errNotErased) {
			break
		}
		if err := sleep(ctx, removalPause); err != nil {
			return err
		}
	}
	return s.explain(err)
}

// deleteProductPages are statements that each delete a page of a product's rows, from the
// tables that may have many.
var deleteProductPages = []string{
	"DELETE FROM life WHERE product = $1 AND id IN (SELECT id FROM life WHERE product = $1 ORDER BY id LIMIT 500)",
	"DELETE FROM sketch WHERE product = $1 AND (span, day) IN (SELECT span, day FROM sketch WHERE product = $1 ORDER BY span, day LIMIT 1)",
	"DELETE FROM rollup WHERE product = $1 AND (span, day) IN (SELECT span, day FROM rollup WHERE product = $1 ORDER BY span, day LIMIT 1)",
	"DELETE FROM checks WHERE product = $1 AND day IN (SELECT day FROM checks WHERE product = $1 ORDER BY day LIMIT 1)",
	"DELETE FROM site_count WHERE product = $1 AND (site, span, day) IN (SELECT site, span, day FROM site_count WHERE product = $1 ORDER BY site, span, day LIMIT 1)",
	"DELETE FROM file_layer WHERE product = $1 AND tag IN (SELECT tag FROM file_layer WHERE product = $1 ORDER BY tag LIMIT 500)",
	"DELETE FROM hosted_file WHERE product = $1 AND tag IN (SELECT tag FROM hosted_file WHERE product = $1 ORDER BY tag LIMIT 500)",
	"DELETE FROM release_layer WHERE product = $1 AND tag IN (SELECT tag FROM release_layer WHERE product = $1 ORDER BY tag LIMIT 500)",
}

func removeProduct(ctx context.Context, tx *sql.Tx, product int64) error {
	// There may be reports from a transaction that began before the removal.
	all := []string{"report", "life", "sketch", "rollup", "mark", "fold", "checks", "installation_count", "build", "file_layer", "release_layer", "stage", "hosted_file", "upstream_sync", "sync_claim", "bundle_sequence", "applied_bundle", "network_count", "public_week", "site_product", "site_count"}
	if err := deleteFrom(ctx, tx, all, "product = $1", product); err != nil {
		return err
	}
	return deleteFrom(ctx, tx, []string{"product"}, "id = $1", product)
}

// insertProduct inserts a product. It does not call [countChange].
func insertProduct(ctx context.Context, tx *sql.Tx, p catalog.Product) (id int64, err error) {
	if id, err = next(ctx, tx, "product"); err != nil {
		return 0, err
	}
	row := append([]any{id, p.Name}, productValues(p)...)
	_, err = tx.ExecContext(ctx, "INSERT INTO product ("+productColumns+") VALUES "+values(1, len(row), true), row...)
	return id, err
}

// productValues returns the values of productSettings.
func productValues(p catalog.Product) []any {
	return []any{p.Title, p.Repo, p.Module, p.Download, p.Notes, p.Origins, p.File, p.Prefixes, p.Suffix, p.Match, int64(p.MinAge / time.Second), p.RequireFiles, p.Channels,
		p.Upstreams, p.NotesHere, p.Links, p.Aliases, p.Hosts, p.Dialects, p.Hidden}
}

// checkRepo returns an error if the repository belongs to another product. Clients may ask
// by repository alone.
func checkRepo(ctx context.Context, tx *sql.Tx, p catalog.Product) error {
	if p.Repo == "" {
		return nil
	}
	other, err := queryOne(ctx, tx, nil, scanValue[string], "SELECT name FROM product WHERE lower(repo) = lower($1) AND name <> $2", p.Repo, p.Name)
	if other != "" {
		err = catalog.InUse("repo", "repository %s belongs to product %s", p.Repo, other)
	}
	return err
}

const (
	// productSettings are the columns of a product that can be changed.
	productSettings = "title, repo, module, download, notes, origins, file, prefixes, suffix, versions, min_age, require_files, channels, upstreams, notes_here, links, aliases, hosts, dialects, hidden"
	// productColumns are the columns that scanProduct scans.
	productColumns = "id, name, " + productSettings
)

func scanProduct(rows *sql.Rows) (p product, err error) {
	var minAge int64
	err = rows.Scan(&p.id, &p.Name, &p.Title, &p.Repo, &p.Module, &p.Download, &p.Notes, &p.Origins, &p.File, &p.Prefixes, &p.Suffix, &p.Match, &minAge, &p.RequireFiles, &p.Channels,
		&p.Upstreams, &p.NotesHere, &p.Links, &p.Aliases, &p.Hosts, &p.Dialects, &p.Hidden)
	p.MinAge = time.Duration(minAge) * time.Second
	p.cleanTitle()
	return p, err
}

// products returns all products, sorted by name. Databases differ in how they sort text.
func products(ctx context.Context, q querier) ([]product, error) {
	all, err := query(ctx, q, scanProduct, "SELECT "+productColumns+" FROM product WHERE name IS NOT NULL")
	sortProducts(all)
	return all, err
}

// productNames returns all products with ID and name only, which exist in every schema.
func productNames(ctx context.Context, q querier) ([]product, error) {
	all, err := query(ctx, q, func(rows *sql.Rows) (p product, err error) {
		err = rows.Scan(&p.id, &p.Name)
		return p, err
	}, "SELECT id, name FROM product WHERE name IS NOT NULL")
	sortProducts(all)
	return all, err
}

func sortProducts(all []product) {
	slices.SortFunc(all, func(a, b product) int { return strings.Compare(a.Name, b.Name) })
}

// productID returns the ID of a product. The error wraps ErrNotFound if it does not exist.
func productID(ctx context.Context, q querier, name string) (int64, error) {
	return queryOne(ctx, q, noProduct(name), scanValue[int64], "SELECT id FROM product WHERE name = $1", name)
}

// productNamed returns a product. The error wraps ErrNotFound if it does not exist.
func productNamed(ctx context.Context, q querier, name string) (product, error) {
	return queryOne(ctx, q, noProduct(name), scanProduct, "SELECT "+productColumns+" FROM product WHERE name = $1", name)
}

// cleanTitle removes unprintable characters from a title. Older versions of relcheck
// accepted them.
func (p *product) cleanTitle() {
	if p.Title = printable.Clean(p.Title); p.Title == "" {
		p.Title = p.Name
	}
}

func noProduct(name string) error {
	return fmt.Errorf("product %s: %w; list the products with relcheck product list", name, ErrNotFound)
}
