package command

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/spf13/cobra"

	"relcheck/checker/printable"
	"relcheck/checker/simulate"
	"relcheck/checker/stats"
	"relcheck/checker/stats/rollup"
	"relcheck/db"
)

func (o *simulateOptions) checkPast(cmd *cobra.Command) error {
	for _, name := range []string{"url", "rate", "connections", "duration", "replay", "json"} {
		if cmd.Flags().Changed(name) {
			return conflict("days", name)
		}
	}
	switch {
	case o.days < 1 || o.days > mostDays:
		return usageError("--days: %d is out of range: enter 1 to %s", o.days, stats.ShowNumber(mostDays))
	case o.days*o.instances > mostPast:
		return usageError("%d instances in %d days are too many: reduce --instances or --days", o.instances, o.days)
	case o.db == "":
		return usageError("missing --db: name a store to write to, a new one or one without reports")
	}
	return nil
}

// past writes the reports of a simulated fleet to a store.
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
			progress.show("updating statistics")
			_, err = s.Fold(ctx)
		}
		progress.clear()
		if err != nil {
			return o.partly(ctx, s, err)
		}
		fmt.Fprintf(streams.Err, "wrote %s of %s for %s; show the statistics with: relcheck stats %s --db %s\n",
			count(reports, "report"), o.product, count(int64(o.days), "day"), o.product, printable.QuoteShell(o.db))
		return nil
	})
}

// partly adds to an error what it left in the store.
func (o *simulateOptions) partly(ctx context.Context, s *db.Store, err error) error {
	if ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	if s.Created() { // nothing is left of it
		return err
	}
	err = fmt.Errorf("%w: %s contains an incomplete simulation", err, s.Name())
	if !o.add {
		err = fmt.Errorf("%w: remove it and start again", err)
	}
	return err
}

// mayWrite returns an error if the store is in use or has reports: simulated reports
// cannot be separated from real ones later.
func (o *simulateOptions) mayWrite(ctx context.Context, s *db.Store) error {
	if _, err := s.Product(ctx, o.product); err != nil {
		return err
	}
	empty, err := s.Empty(ctx)
	switch {
	case err != nil:
		return err
	case !empty && !o.add:
		return fmt.Errorf("%s already has reports, and simulated ones cannot be separated from them later: "+
			"choose another store with --db, or allow it with --add", s.Name())
	}
	_, err = s.Backfill(ctx, o.product, nothing[db.Recorded], nothing[db.Checked]) // checks that no server records into the store
	if errors.Is(err, db.ErrInUse) {
		err = fmt.Errorf("%w: stop the server, or choose another store with --db", err)
	}
	return err
}

const (
	// rememberShare is the share of instances that remember their last answer, so that each
	// population has counts.
	rememberShare = 0.5
	// pastDays is the number of days whose reports are not recorded. It is long enough for
	// installations to be back after four weeks.
	pastDays = 56
)

func nothing[T any](func(T) bool) {}

// published returns the backfill of a fleet that runs the product's releases.
func (o *simulateOptions) published(ctx context.Context, s *db.Store) (p simulate.Backfill, err error) {
	today := rollup.DayOf(time.Now())
	releases, err := s.Releases(ctx, o.product)
	if len(releases) == 0 {
		releases = simulate.Releases(o.seed, today)
	}
	p = simulate.Backfill{Product: o.product, Until: time.Now(), Fleet: simulate.Fleet(o.seed, o.instances, releases)}
	p.Days, p.End = o.days, today
	p.Growth = math.Pow(4, float64(o.days)/365) // a trend that is visible within a month
	p.Remember, p.Before = rememberShare, pastDays
	return p, err
}
