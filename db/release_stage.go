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

// stage is the right to stage releases of a product. One import at a time has it.
type stage struct{ product, id int64 }

// claimStage waits for the stage of a product, and empties it.
func (s *Store) claimStage(ctx context.Context, product int64) (stage, error) {
	st := stage{product, rand.Int64()}
	for {
		now := time.Now()
		n, err := s.update(ctx, `INSERT INTO stage (product, id, at) VALUES ($1, $2, $3)
			ON CONFLICT (product) DO UPDATE SET id = excluded.id, at = excluded.at WHERE stage.at < $4`,
			product, st.id, now.Unix(), now.Add(-stageLease).Unix())
		if err != nil {
			return st, err
		}
		if n > 0 {
			return st, s.emptyStage(ctx, st)
		}
		if err := sleep(ctx, removalPause); err != nil {
			return st, fmt.Errorf("wait for another import of the product: %w", err)
		}
	}
}

// renew keeps the stage. The error is errStageLost if it is another import's.
func (st stage) renew(ctx context.Context, tx *sql.Tx) error {
	return requireUpdate(ctx, tx, errStageLost, "UPDATE stage SET at = $3 WHERE product = $1 AND id = $2", st.product, st.id, time.Now().Unix())
}

// emptyStage removes the staged releases.
func (s *Store) emptyStage(ctx context.Context, st stage) error {
	for more := true; more; {
		err := s.chunk(ctx, func(tx *sql.Tx, enough func() bool) error {
			if err := st.renew(ctx, tx); err != nil {
				return err
			}
			for more = true; more && !enough(); {
				// In any order: sorting would read all of them for each page.
				tags, err := query(ctx, tx, scanValue[string], "SELECT tag FROM release_layer WHERE product = $1 AND layer = 0 AND revision = -1 LIMIT 100", st.product)
				if err != nil {
					return err
				}
				in, list := s.inList("$2", tags)
				if err := deleteFrom(ctx, tx, []string{"file_layer", "release_layer"}, "product = $1 AND layer = 0 AND tag "+in, st.product, list); err != nil {
					return err
				}
				more = len(tags) > 0
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// publish makes the staged releases visible, and gives up the stage.
func (st stage) publish(ctx context.Context, tx *sql.Tx, revision int64) error {
	_, err := tx.ExecContext(ctx, `UPDATE release_layer SET revision = $2 WHERE product = $1 AND
		(revision = -1 OR layer = 1 AND tag IN (SELECT tag FROM release_layer WHERE product = $1 AND revision = -1))`, st.product, revision)
	if err == nil {
		err = st.end(ctx, tx)
	}
	return err
}

// end gives up the stage. Its releases must be visible, or are removed later.
func (st stage) end(ctx context.Context, tx *sql.Tx) error {
	return requireUpdate(ctx, tx, errStageLost, "DELETE FROM stage WHERE product = $1 AND id = $2", st.product, st.id)
}

// removeStages removes the stages of killed imports.
func (s *Store) removeStages(ctx context.Context) error {
	left, err := query(ctx, s.read, scanValue[int64], "SELECT product FROM stage WHERE at < $1", time.Now().Add(-stageLease).Unix())
	for _, product := range left {
		var st stage
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
