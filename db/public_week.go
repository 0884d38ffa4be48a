package db

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"relcheck/checker/stats/public"
	"relcheck/checker/stats/rollup"
)

// AddNetworkCounts stores what a process has counted on a day, in place of what it has stored
// before. Products are identified by ID; missing ones are left out.
func (s *Store) AddNetworkCounts(ctx context.Context, r public.Run, changed map[int64]public.Cells) error {
	return s.inTx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO network_run (day, process, seconds) VALUES ($1, $2, $3)
			ON CONFLICT (day, process) DO UPDATE SET seconds = excluded.seconds`, r.Day, r.ID, r.Seconds)
		for product, cells := range changed {
			var text []byte
			if err == nil {
				text, err = json.Marshal(cells)
			}
			if err == nil {
				_, err = tx.ExecContext(ctx, `INSERT INTO network_count (product, day, process, cells) SELECT id, $2, $3, $4 FROM product WHERE id = $1 AND name IS NOT NULL
					ON CONFLICT (product, day, process) DO UPDATE SET cells = excluded.cells`, product, r.Day, r.ID, string(text))
			}
		}
		return err
	})
}

// MakePublicWeek makes the public document of a product and week, unless there is one or no
// server has counted in the week. The counts are deleted in the same transaction, so that no
// second document can be made from them. The function document may be called several times;
// only the last result is stored. now is the time of the server's clock.
func (s *Store) MakePublicWeek(ctx context.Context, product int64, week rollup.Day, now time.Time, document func(*public.Week) []byte) error {
	if err := s.checkClock(ctx, now); err != nil {
		return err
	}
	return s.inTx(ctx, func(tx *sql.Tx) error {
		done, err := queryValue[bool](ctx, tx, `SELECT EXISTS (SELECT 1 FROM public_week WHERE product = $1 AND week = $2)
			OR NOT EXISTS (SELECT 1 FROM product WHERE id = $1 AND name IS NOT NULL)`, product, week)
		if err != nil || done {
			return err
		}
		w, err := readNetworkCounts(ctx, tx, product, week)
		if err != nil || len(w.Runs) == 0 {
			return err
		}
		_, err = tx.ExecContext(ctx, "INSERT INTO public_week (product, week, document) VALUES ($1, $2, $3)", product, week, string(document(w)))
		if err == nil {
			err = deleteFrom(ctx, tx, []string{"network_count"}, "product = $1 AND day >= $2 AND day < $3", product, week, week+7)
		}
		return err
	})
}

func readNetworkCounts(ctx context.Context, tx *sql.Tx, product int64, week rollup.Day) (*public.Week, error) {
	w := &public.Week{First: week}
	var err error
	w.Runs, err = query(ctx, tx, func(rows *sql.Rows) (r public.Run, err error) {
		err = rows.Scan(&r.Day, &r.ID, &r.Seconds)
		return r, err
	}, "SELECT day, process, seconds FROM network_run WHERE day >= $1 AND day < $2", week, week+7)
	if err != nil {
		return nil, err
	}
	w.Counts, err = queryMap(ctx, tx, func(rows *sql.Rows) (process int64, cells public.Cells, err error) {
		var text []byte
		if err := rows.Scan(&process, &text); err != nil {
			return 0, cells, err
		}
		cells = public.NewCells()
		if err = json.Unmarshal(text, &cells); err != nil {
			err = fmt.Errorf("counts of networks: %w", err)
		}
		return process, cells, err
	}, "SELECT process, cells FROM network_count WHERE product = $1 AND day >= $2 AND day < $3", product, week, week+7)
	return w, err
}

// PublicWeeks returns the public documents of a product, the newest first.
func (s *Store) PublicWeeks(ctx context.Context, product string) ([][]byte, error) {
	id, err := productID(ctx, s.read, product)
	if err != nil {
		return nil, s.explain(err)
	}
	all, err := query(ctx, s.read, scanValue[[]byte], "SELECT document FROM public_week WHERE product = $1 ORDER BY week", id)
	slices.Reverse(all)
	return all, s.explain(err)
}

// expireNetworkCounts removes counts that no document has been made from for three weeks, and
// counts of days that a wrong clock has caused.
func (s *Store) expireNetworkCounts(ctx context.Context, now time.Time) error {
	today := rollup.DayOf(now)
	return s.inTx(ctx, func(tx *sql.Tx) error {
		return deleteFrom(ctx, tx, []string{"network_run", "network_count"}, "day < $1 OR day > $2", today-21, today+1)
	})
}
