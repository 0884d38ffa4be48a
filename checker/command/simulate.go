package command

import (
	"context"
	"fmt"
	"iter"
	"net"
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

// What may be asked for at most: a mistake should not fill memory or a disk.
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
	keepIDs      bool
	days         int
	db           string
	add          bool
	json         bool
}

func simulateCommand(streams IO) *cobra.Command {
	var o simulateOptions
	c := &cobra.Command{
		Use:   "simulate [--replay FILE...]",
		Short: "Stand in for a fleet of programs: put load on a service, or fill a store to look at",
		Long: `Stand in for a fleet of programs, and say what came of it. What is made up is
recorded like all else, and cannot be told from it later: use a service, or a
store, that is there for nothing else.

By default so many requests a second are sent, whether they are answered or not
(an open loop). Latency counts from when a request was to be sent, so that one
that had to wait behind others counts as slow too. With --connections each
connection waits for an answer before it sends the next (a closed loop): that
shows how much a service can take, but says little of latency.

Instances start, report, and end; others take their place. --instances is how
many report on a day of theirs, which takes about one and a half requests for
each. The same seed makes the same ids, versions and order, on any day. Versions
are made up, or those that have been released in the store that --db names; a
service counts what it does not know as released as other from some hundred on.

--replay repeats requests that were captured, as they came over the wire, below
the path of --url. Instances take turns, each with an id of its own.

--days does without a service: it writes what a fleet has told for so many days
into a store, and makes releases up where the product has none.

It ends after --duration, or on a signal. The exit status is 1 when a request
was not answered with success (2xx), or could not be sent when it was due.

--json prints an object. requests: sent, succeeded, failed (another status, or no
answer), given_up (at a signal), unsent (due, but 256 others had no answer yet).
status: the answers by first digit, as in "2xx", and "none". reports: recorded,
unrecorded (the source is over its budget), checks (without an id), ids. Then
seconds; latency_ms: p50, p90, p99, max; versions: version, ids, reports;
platforms: os, arch, ids, reports; and product, url, seed, instances. Members may
be added, none are removed.`,
		Example: `  relcheck serve --db try.db --source-rate 0
  relcheck simulate --rate 1000 --instances 100000 --duration 30s
  relcheck simulate --connections 64
  relcheck simulate --replay captures/*.http
  relcheck simulate --days 90 --db demo.db && relcheck serve --db demo.db`,
		Args: cobra.ArbitraryArgs,
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
	f.StringVar(&o.url, "url", "http://localhost:8080", "`address` of the service")
	f.StringVar(&o.product, "product", "opa", "`name` of the product to speak for")
	f.IntVar(&o.instances, "instances", 1000, "`number` of instances that report on a day, or take turns to replay")
	f.Uint64Var(&o.seed, "seed", 1, "`number` that everything is made up from")
	f.Float64Var(&o.rate, "rate", 100, "`requests` a second, whether they are answered or not")
	f.IntVar(&o.connections, "connections", 0, "instead of a rate: `number` of connections, each sending as fast as it is answered")
	f.DurationVar(&o.duration, "duration", 10*time.Second, "for how long requests are sent")
	f.StringArrayVar(&o.replay, "replay", nil, "`FILE` with a captured HTTP request; more may follow")
	f.BoolVar(&o.keepIDs, "keep-ids", false, "replay the ids that were captured")
	f.IntVar(&o.days, "days", 0, "instead of a service: `number` of days, up to now, to write into the store of --db")
	f.StringVar(&o.db, "db", "", "the `store` that the releases are read from, and that --days writes into (default: releases are made up)")
	f.BoolVar(&o.add, "add", false, "with --days, write also into a store that holds reports already")
	f.BoolVar(&o.json, "json", false, "print the result as JSON")
	return c
}

func (o *simulateOptions) check(cmd *cobra.Command, args []string) error {
	if len(args) > 0 && len(o.replay) == 0 {
		return misused("%q: files come after --replay", args[0])
	}
	o.replay = append(o.replay, args...)
	if !catalog.ValidProductName(o.product) {
		return misused("--product: %q is not the name of a product", o.product)
	}
	if o.instances < 1 || o.instances > mostInstances {
		return misused("--instances: give 1 to %s", stats.ShowNumber(mostInstances))
	}
	o.add = o.add && typed(cmd, "add") // the environment cannot mean it
	if o.days != 0 {
		return o.checkPast(cmd)
	}
	for _, other := range []string{"product", "db"} { // which the environment may have for other commands
		if len(o.replay) > 0 && typed(cmd, other) {
			return contradict("replay", other)
		}
	}
	if cmd.Flags().Changed("rate") && cmd.Flags().Changed("connections") {
		return contradict("rate", "connections")
	}
	return o.checkLoad(cmd)
}

func contradict(a, b string) error {
	return misused("--%s and --%s contradict each other: leave one of them out", a, b)
}

func (o *simulateOptions) checkLoad(cmd *cobra.Command) error {
	flags := cmd.Flags()
	switch {
	case flags.Changed("connections") && (o.connections < 1 || o.connections > mostConnections):
		return misused("--connections: give 1 to %s", stats.ShowNumber(mostConnections))
	case !(o.rate > 0 && o.rate <= mostRate):
		return misused("--rate: give up to %s requests a second", stats.ShowNumber(mostRate))
	case o.duration <= 0:
		return misused("--duration: %v is no time to send for, such as 10s", o.duration)
	case o.keepIDs && len(o.replay) == 0:
		return misused("--keep-ids is for --replay")
	case o.add:
		return misused("--add is for --days")
	}
	if err := printable.CheckURL(o.url); err != nil {
		return misused("--url: %v", err)
	}
	u, err := url.Parse(o.url)
	if err != nil || u.User != nil {
		return misused("--url: give an address without a user")
	}
	if flags.Changed("url") && !typed(cmd, "url") && !thisMachine(u.Hostname()) {
		return misused("%s is about another machine; to have it bear the load, name it on the command line: --url %s", variable("url"), o.url)
	}
	return nil
}

// thisMachine reports whether a host is certainly not another one.
func thisMachine(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// load sends requests, and prints what came of it.
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
	load := simulate.Load{Service: service, Requests: requests, Duration: o.duration, Progress: func(r *simulate.Result) {
		showProgress(progress, &before, r)
		before = *r
	}}
	if o.connections > 0 {
		load.Connections = o.connections
	} else {
		load.Rate = o.rate
	}
	result, err := load.Run(ctx)
	progress.clear()
	switch {
	case err != nil && ctx.Err() != nil: // there was nothing yet to tell of
		return errQuiet
	case err != nil:
		return fmt.Errorf("%w; start a service with: relcheck serve", err)
	}
	done := outcome{o, result, releases}
	if o.json {
		err = done.writeJSON(streams.Out)
	} else {
		err = done.print(streams.Out)
	}
	if err == nil {
		err = done.failure(ctx.Err() != nil)
	}
	return err
}

// requests makes those that are to be sent, of these releases.
func (o *simulateOptions) requests(ctx context.Context, service *url.URL) (iter.Seq[simulate.Request], []catalog.Release, error) {
	if len(o.replay) > 0 {
		captures, err := readCaptures(o.replay)
		return simulate.Replay(captures, o.seed, o.instances, o.keepIDs, service), nil, err
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
