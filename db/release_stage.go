package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// staged is the revision of releases that an import has written and that are not visible
// yet. Queries by tag use "revision <> -1", because with "revision >= 0" SQLite would scan
// all releases of the product in the index of revisions.
const staged = -1

// stageLease is how long an import keeps its stage without writing to it. Afterwards
// another process may take the stage of a killed or stopped import.
var stageLease = 15 * time.Second

// errStageLost is returned if another process has taken the stage.
var errStageLost = errors.New("another process has removed the unfinished import, because it was paused for too long: run it again")

// stage is the right of an import to stage releases of products. Only one import at a time
// has it for a product.
type stage struct {
	id       int64
	products int // how many
}

// errStaged is returned while another import has a product.
var errStaged = errors.New("another import of the product is running")

// claimStage waits for the right to stage releases of a product, and removes staged rows.
func (s *Store) claimStage(ctx context.Context, product int64) (*stage, error) {
	return s.claimStages(ctx, func(*sql.Tx) ([]int64, error) { return []int64{product}, nil })
}

// claimStages is like claimStage for the products that find returns. It claims all of them
// at once, so that two imports never wait for each other.
func (s *Store) claimStages(ctx context.Context, find func(*sql.Tx) ([]int64, error)) (*stage, error) {
	st := &stage{id: rand.Int64()}
	for {
		var products []int64
		now := time.Now()
		err := s.inLongChange(ctx, s.oneByOne(ctx, func(tx *sql.Tx) (err error) {
			if products, err = find(tx); err != nil {
				return err
			}
			st.products = len(products)
			for _, product := range products {
				err := requireUpdate(ctx, tx, errStaged, `INSERT INTO stage (product, id, at) VALUES ($1, $2, $3)
					ON CONFLICT (product) DO UPDATE SET id = excluded.id, at = excluded.at WHERE stage.at < $4`,
					product, st.id, now.Unix(), now.Add(-stageLease).Unix())
				if err != nil {
					return err
				}
			}
			return nil
		}))
		switch {
		case err == nil:
			for _, product := range products {
				if err == nil {
					err = s.emptyStage(ctx, st, product)
				}
			}
			return st, err
		case !errors.Is(err, errStaged):
			return st, err
		}
		if err := sleep(ctx, removalPause); err != nil {
			return st, fmt.Errorf("wait for another import of the product: %w", err)
		}
	}
}

// renew keeps the stage. The error is errStageLost if another process has taken a product.
func (st *stage) renew(ctx context.Context, tx *sql.Tx) error {
	n, err := update(ctx, tx, "UPDATE stage SET at = $2 WHERE id = $1", st.id, time.Now().Unix())
	if err == nil && n != int64(st.products) {
		err = errStageLost
	}
	return err
}

// end gives up the stage. Rows that are still staged are removed later.
func (st *stage) end(ctx context.Context, tx *sql.Tx) error {
	n, err := update(ctx, tx, "DELETE FROM stage WHERE id = $1", st.id)
	if err == nil && n != int64(st.products) {
		err = errStageLost
	}
	return err
}

// abandonStage gives up the stage after an error, so that the next import need not wait.
func (s *Store) abandonStage(ctx context.Context, st *stage) {
	s.update(context.WithoutCancel(ctx), "UPDATE stage SET at = 0 WHERE id = $1", st.id)
}

// stageRows calls write with pages of rows, in transactions of a long change that keep the
// stage.
func stageRows[T any](ctx context.Context, s *Store, st *stage, rows []T, page int, write func(*sql.Tx, []T) error) error {
	return s.inChunks(ctx, st, len(rows), func(tx *sql.Tx, i int) (int, error) {
		end := min(i+page, len(rows))
		return end, write(tx, rows[i:end])
	})
}

// emptyStage removes the staged rows of a product.
func (s *Store) emptyStage(ctx context.Context, st *stage, product int64) error {
	found, err := queryValue[bool](ctx, s.read, `SELECT EXISTS (SELECT 1 FROM release_layer WHERE product = $1 AND revision = -1)
		OR EXISTS (SELECT 1 FROM hosted_file WHERE product = $1 AND staged)`, product)
	if err != nil || !found {
		return err
	}
	err = s.inChunks(ctx, st, 1, func(tx *sql.Tx, _ int) (done int, err error) {
		// In any order: sorting would read all of them for each page.
		tags, err := query(ctx, tx, scanValue[string], "SELECT tag FROM release_layer WHERE product = $1 AND layer = 0 AND revision = -1 LIMIT 100", product)
		if err != nil || len(tags) == 0 {
			return 1, err
		}
		in, list := s.inList("$2", tags)
		return 0, deleteFrom(ctx, tx, []string{"file_layer", "release_layer"}, "product = $1 AND layer = 0 AND tag "+in, product, list)
	})
	if err != nil {
		return err
	}
	return s.deleteInChunks(ctx, product, "DELETE FROM hosted_file WHERE product = $1 AND staged AND tag IN (SELECT tag FROM hosted_file WHERE product = $1 AND staged LIMIT 100)")
}

// publishPage is how many releases a statement of publish changes. SQLite keeps the former
// content of the pages that a statement changes in memory, and notes are long.
const publishPage = 500

// publish makes the staged rows of a product visible.
func (s *Store) publish(ctx context.Context, tx *sql.Tx, product, revision int64) error {
	damaged, err := query(ctx, tx, scanValue[string], `SELECT DISTINCT sha256 FROM hosted_file WHERE damaged <> 0 AND
		sha256 IN (SELECT sha256 FROM hosted_file WHERE product = $1 AND staged)`, product)
	for _, sum := range damaged { // they were stored again
		if err == nil {
			err = markDamaged(ctx, tx, sum, time.Time{})
		}
	}
	for _, staged := range []string{
		"SELECT tag FROM release_layer WHERE product = $1 AND revision = -1 LIMIT $2",
		"SELECT DISTINCT tag FROM hosted_file WHERE product = $1 AND staged LIMIT $2",
	} {
		for more := true; more && err == nil; {
			var tags []string
			if tags, err = query(ctx, tx, scanValue[string], staged, product, publishPage); err != nil {
				return err
			}
			in, list := s.inList("$2", tags)
			if _, err = tx.ExecContext(ctx, "UPDATE release_layer SET revision = $3 WHERE product = $1 AND tag "+in, product, list, revision); err == nil {
				_, err = tx.ExecContext(ctx, "UPDATE hosted_file SET staged = false WHERE product = $1 AND staged AND tag "+in, product, list)
			}
			more = len(tags) == publishPage
		}
	}
	return err
}

// removeStages removes the stages of killed imports.
func (s *Store) removeStages(ctx context.Context) error {
	left, err := query(ctx, s.read, scanValue[int64], "SELECT product FROM stage WHERE at < $1", time.Now().Add(-stageLease).Unix())
	for _, product := range left {
		var st *stage
		if st, err = s.claimStage(ctx, product); err == nil {
			err = s.inTx(ctx, func(tx *sql.Tx) error { return st.end(ctx, tx) })
		}
		if err != nil && !errors.Is(err, errStageLost) { // to another import
			break
		}
		err = nil
	}
	return s.explain(err)
}
