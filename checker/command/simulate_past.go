package command

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/spf13/cobra"

	"relcheck/checker/simulate"
	"relcheck/checker/stats"
	"relcheck/db"
)

func (o *simulateOptions) checkPast(cmd *cobra.Command) error {
	for _, name := range []string{"url", "rate", "connections", "duration", "replay", "keep-ids", "json"} {
		if typed(cmd, name) {
			return contradict("days", name)
		}
	}
	switch {
	case !typed(cmd, "days"):
		return misused("%s is set; say on the command line, with --days, whether a store is to be written into", variable("days"))
	case o.days < 1 || o.days > mostDays:
		return misused("--days: give 1 to %s", stats.ShowNumber(mostDays))
	case o.days*o.instances > mostPast:
		return misused("%d instances in %d days are too many; give fewer of either", o.instances, o.days)
	case o.db == "":
		return misused("tell with --db which store to write into: a file that is not there yet, or one without reports")
	}
	return nil
}

// past writes what a fleet has told into a store.
func (o *simulateOptions) past(ctx context.Context, streams IO) error {
	return withStore(ctx, o.db, streams, func(s *db.Store) error {
		if err := o.mayWrite(ctx, s); err != nil {
			return err
		}
		past, err := o.published(ctx, s)
		if err != nil {
			return err
		}
		progress := newProgress(streams.Err)
		past.Progress = progress.bar
		err = past.Publish(ctx, s)
		reports := int64(0)
		if err == nil {
			reports, err = past.Run(ctx, s)
		}
		if err == nil {
			progress.show("summing up")
			_, err = s.Fold(ctx)
		}
		progress.clear()
		if err != nil {
			return o.partly(ctx, s, err)
		}
		fmt.Fprintf(streams.Err, "wrote %s of %s in %s; look at them with: relcheck stats %s --db %s\n",
			count(reports, "report"), o.product, count(int64(o.days), "day"), o.product, o.db)
		return nil
	})
}

// partly says what an error has left behind.
func (o *simulateOptions) partly(ctx context.Context, s *db.Store, err error) error {
	if ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	if o.add {
		return fmt.Errorf("%w; a part of the past is in %s", err, s.Name())
	}
	return fmt.Errorf("%w; a part of the past is in %s: remove that, and start again", err, s.Name())
}

// mayWrite refuses a store in use: made-up reports among real ones can never be
// told apart, and nobody would believe any of them.
func (o *simulateOptions) mayWrite(ctx context.Context, s *db.Store) error {
	if _, err := s.Product(ctx, o.product); err != nil {
		return err
	}
	empty, err := s.Empty(ctx)
	switch {
	case err != nil:
		return err
	case !empty && !o.add:
		return fmt.Errorf("%s holds reports already, and made-up ones cannot be told from them later; "+
			"name another store with --db, or if it is there for nothing else, say so with --add", s.Name())
	}
	_, err = s.Backfill(ctx, o.product, nothing[db.Recorded], nothing[db.Checked]) // may anything be recorded?
	if errors.Is(err, db.ErrInUse) {
		err = fmt.Errorf("%w; stop the server, or name another store with --db", err)
	}
	return err
}

func nothing[T any](func(T) bool) {}

// published returns the past of a fleet that runs what the product has released.
func (o *simulateOptions) published(ctx context.Context, s *db.Store) (p simulate.Backfill, err error) {
	today := stats.DayOf(time.Now())
	releases, err := s.Releases(ctx, o.product)
	if len(releases) == 0 {
		releases = simulate.Releases(o.seed, today)
	}
	p = simulate.Backfill{Product: o.product, Until: time.Now(), Fleet: simulate.Fleet(o.seed, o.instances, releases)}
	p.Days, p.End = o.days, today
	p.Growth = math.Pow(4, float64(o.days)/365) // a trend that can be seen in a month
	return p, err
}
