package command

import (
	"context"
	"fmt"
	"iter"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"

	"relcheck/checker/catalog"
	"relcheck/checker/printable"
	"relcheck/checker/simulate"
	"relcheck/checker/stats"
	"relcheck/db"
)

// Limits that keep a mistyped number from filling memory or a disk.
const (
	mostInstances   = 1_000_000
	mostRate        = 1_000_000
	mostConnections = 10_000
	mostDays        = 3660
	mostPast        = 100_000_000 // instances times days
)

type simulateOptions struct {
	url, product string
	instances    int
	seed         uint64
	rate         float64
	connections  int
	duration     time.Duration
	replay       []string
	days         int
	db           string
	add          bool
	json         bool
}

func simulateCommand(streams IO) *cobra.Command {
	var o simulateOptions
	c := &cobra.Command{
		Use:   "simulate [--replay FILE...]",
		Short: "Simulate clients and report the result.",
		Long: `Simulate clients and report the result. Simulated reports are recorded like real
ones and cannot be separated later: use a service or a store of its own.

By default, requests are sent at a fixed rate, whether they are answered or not (an
open loop). Latency is measured from the time at which a request was due, so it
includes time spent waiting behind others. With --connections, each connection waits
for an answer before it sends the next request (a closed loop): that measures
throughput, but says little about latency.

Instances start, report, end, and are replaced. --instances is the number that
report on a simulated day, with about 1.5 requests each. The same seed gives the same
instance IDs, versions and order on any day. Versions are generated, or come from the
releases in the store of --db. Of unreleased versions, a service counts 100 builds
a day separately, and the others as other.

--replay sends captured requests unchanged, below the path of --url. Instances take
turns, each with its own instance ID.

--days needs no service: it writes the simulated reports of that many days to a
store, and generates releases if the product has none. Half of the instances are
starts of installations that remember the day of their last answer, and half of
these report no instance ID.

The simulation ends after --duration or on a signal. The exit status is 1 if a
request was not answered with a 2xx status, or could not be sent when it was due.

--json prints an object. requests: sent, succeeded, failed (another status, or no
answer), given_up (at a signal), unsent (due while 256 others were unanswered).
status: answers by class, such as "2xx", and "none". reports: recorded, unrecorded
(over the rate limit), checks, instances. Also seconds; latency_ms: p50, p90, p99,
max; versions: version, instances, reports; platforms: os, arch, instances, reports;
and product, url, seed, instances. Members may be added, but are never removed.`,
		Example: `  relcheck serve --db try.db --source-rate 0
  relcheck simulate --rate 1000 --instances 100000 --duration 30s
  relcheck simulate --connections 64
  relcheck simulate --replay captures/*.http
  relcheck simulate --days 90 --db demo.db && relcheck serve --db demo.db`,
		Args: cobra.ArbitraryArgs,
		// What is set for other commands must not direct load or simulated reports.
		Annotations: map[string]string{noEnvironment: "true"},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(cmd, args); err != nil {
				return err
			}
			if o.days > 0 {
				return o.past(cmd.Context(), streams)
			}
			return o.load(cmd.Context(), streams)
		},
	}
	f := c.Flags()
	f.StringVar(&o.url, "url", "http://localhost:8080", "`URL` of the service")
	f.StringVar(&o.product, "product", "opa", "`name` of the product to report")
	f.IntVar(&o.instances, "instances", 1000, "`number` of instances that report on a day, or take turns in a replay")
	f.Uint64Var(&o.seed, "seed", 1, "`number` that determines all generated values")
	f.Float64Var(&o.rate, "rate", 100, "`requests` per second, whether they are answered or not")
	f.IntVar(&o.connections, "connections", 0, "instead of a rate: `number` of connections that each send after an answer")
	f.DurationVar(&o.duration, "duration", 10*time.Second, "how long to send requests")
	f.StringArrayVar(&o.replay, "replay", nil, "`FILE` with a captured HTTP request; more can follow")
	f.IntVar(&o.days, "days", 0, "instead of a service: `number` of days until now to write to the store of --db")
	storeFlag(c, &o.db, "db", "", "`store` to read releases from, and to write to with --days (default: generated releases)")
	f.BoolVar(&o.add, "add", false, "with --days, allow a store that already has reports")
	f.BoolVar(&o.json, "json", false, "print the result as JSON")
	return c
}

func (o *simulateOptions) check(cmd *cobra.Command, args []string) error {
	if len(args) > 0 && len(o.replay) == 0 {
		if o.db == "" && looksLikeStore(args[0]) {
			return misplacedStore{args[0]}
		}
		return usageError("unexpected argument %q: files follow --replay", args[0])
	}
	o.replay = append(o.replay, args...)
	if !catalog.ValidProductName(o.product) {
		return usageError("--product: invalid product name %q: "+catalog.NameRule, o.product)
	}
	if o.instances < 1 || o.instances > mostInstances {
		return usageError("--instances: %d is out of range: enter 1 to %s", o.instances, stats.ShowNumber(mostInstances))
	}
	if o.days != 0 {
		return o.checkPast(cmd)
	}
	for _, other := range []string{"product", "db"} {
		if len(o.replay) > 0 && cmd.Flags().Changed(other) {
			return conflict("replay", other)
		}
	}
	if cmd.Flags().Changed("rate") && cmd.Flags().Changed("connections") {
		return conflict("rate", "connections")
	}
	return o.checkLoad(cmd)
}

func conflict(a, b string) error {
	return usageError("--%s and --%s cannot be combined: remove one of them", a, b)
}

func (o *simulateOptions) checkLoad(cmd *cobra.Command) error {
	flags := cmd.Flags()
	switch {
	case flags.Changed("connections") && (o.connections < 1 || o.connections > mostConnections):
		return usageError("--connections: %d is out of range: enter 1 to %s", o.connections, stats.ShowNumber(mostConnections))
	case !(o.rate > 0 && o.rate <= mostRate):
		return usageError("--rate: %v is out of range: enter up to %s requests per second", o.rate, stats.ShowNumber(mostRate))
	case o.duration <= 0:
		return usageError("--duration: %v is not positive: enter a duration such as 10s", o.duration)
	case o.add:
		return usageError("--add requires --days")
	}
	if err := printable.CheckURL(o.url); err != nil {
		return usageError("--url: %v", err)
	}
	if u, err := url.Parse(o.url); err != nil || u.User != nil {
		return usageError("--url: enter a URL without a user name")
	}
	return nil
}

// load sends requests and prints the result.
func (o *simulateOptions) load(ctx context.Context, streams IO) error {
	service, err := url.Parse(o.url)
	if err != nil {
		return err
	}
	requests, releases, err := o.requests(ctx, service)
	if err != nil {
		return err
	}
	progress := newProgress(streams.Err)
	var before simulate.Result
	load := simulate.Load{Service: service, Requests: requests, Duration: o.duration, Connections: o.connections, Progress: func(r *simulate.Result) {
		showProgress(progress, &before, r)
		before = *r
	}}
	if o.connections == 0 {
		load.Rate = o.rate
	}
	result, err := load.Run(ctx)
	progress.clear()
	switch {
	case err != nil && ctx.Err() != nil: // interrupted before there was a result
		return errSilent
	case err != nil:
		return fmt.Errorf("%w: start a service with relcheck serve", err)
	}
	done := outcome{o, result, releases}
	if o.json {
		err = done.writeJSON(streams)
	} else {
		err = done.print(streams.Out)
	}
	if err == nil {
		err = done.failure(ctx.Err() != nil)
	}
	return err
}

// requests returns the requests to send, and the releases whose versions they report.
func (o *simulateOptions) requests(ctx context.Context, service *url.URL) (iter.Seq[simulate.Request], []catalog.Release, error) {
	if len(o.replay) > 0 {
		captures, err := readCaptures(o.replay)
		return simulate.Replay(captures, o.seed, o.instances, service), nil, err
	}
	var releases []catalog.Release
	if o.db != "" {
		err := withExisting(ctx, o.db, func(s *db.Store) (err error) {
			releases, err = s.Releases(ctx, o.product)
			return err
		})
		if err != nil {
			return nil, nil, err
		}
	}
	return simulate.Reports(o.seed, o.instances, releases, o.product, service), releases, nil
}

func readCaptures(names []string) (captures []simulate.Capture, err error) {
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		c, err := simulate.ReadCapture(f)
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		captures = append(captures, c)
	}
	return captures, nil
}
