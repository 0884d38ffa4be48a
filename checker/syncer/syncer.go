// Package syncer stores the releases that upstreams list.
package syncer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"relcheck/checker/catalog"
	"relcheck/checker/upstream"
)

// Store is the part of a store that a [Syncer] needs.
type Store interface {
	Products(context.Context) ([]catalog.Product, error)
	Product(ctx context.Context, name string) (catalog.Product, error)
	Releases(ctx context.Context, product string) ([]catalog.Release, error)
	UpstreamFiles(ctx context.Context, product string) (map[string][]catalog.File, error)
	ClaimSync(ctx context.Context, product string, id int64, now, until time.Time) (claimed bool, err error)
	EndSync(ctx context.Context, id int64) error
	ImportLists(ctx context.Context, product string, lists []catalog.List, force bool, sync int64) ([]catalog.ListResult, error)
	SyncState(ctx context.Context, product, upstream string) (catalog.Sync, error)
	FailedSyncs(ctx context.Context, since time.Time) ([]catalog.Sync, error)
	RecordSync(context.Context, string, catalog.Sync) error
}

// Syncer syncs products with their upstreams.
type Syncer struct {
	Store  Store
	Reader *upstream.Reader
	// Tokens, if not nil, returns the tokens of upstreams. Run calls it before it syncs.
	Tokens func() (upstream.Tokens, error)
	// Force stores a list even if it would remove most releases or the latest one.
	Force bool
	// Now returns the time. Default: [time.Now].
	Now func() time.Time
	// Progress, if not nil, is called while a list is read, or while Sync waits for another
	// sync of the product. Then the upstream is empty.
	Progress func(product, upstream, text string)

	claimTime time.Duration // until the claim of a killed sync ends; 0 means a minute
}

// Result is the result of a sync with one upstream.
type Result struct {
	Upstream  string
	Unchanged bool   // the list is the same as at the last sync
	Latest    string // tag of the latest release of upstream, or empty
	catalog.ListResult
	Skipped []string // see [catalog.List.Skipped]
	Hints   []string // for the operator
	Err     error

	name   catalog.UpstreamName
	list   catalog.List
	state  []byte
	stored bool
}

// ErrNoUpstream is returned for a product without upstreams.
var ErrNoUpstream = errors.New("has no upstream")

func (s *Syncer) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

// Sync reads the lists of all upstreams of a product, and stores them in one transaction.
// If a list cannot be read or stored, Sync stores none. It returns a result for each
// upstream. It returns an error if it cannot sync the product at all, or cannot record the
// results.
//
// A product has one sync at a time, in all processes, because an older list must not
// replace a newer one. Sync waits for another sync of the product.
func (s *Syncer) Sync(ctx context.Context, product string) (results []Result, err error) {
	err = errRunning
	for errors.Is(err, errRunning) {
		err = s.withClaim(ctx, product, func(ctx context.Context, id int64) (err error) {
			results, err = s.sync(ctx, product, id)
			return err
		})
		if errors.Is(err, errRunning) {
			if s.Progress != nil {
				s.Progress(product, "", "waiting for another sync")
			}
			select {
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			case <-time.After(s.claimDuration() / 60):
			}
		}
	}
	return results, err
}

// sync is Sync with the claim of the given ID.
func (s *Syncer) sync(ctx context.Context, product string, id int64) ([]Result, error) {
	p, err := s.Store.Product(ctx, product)
	if err != nil {
		return nil, err
	}
	results, err := newResults(&p)
	if err != nil {
		return nil, err
	}
	tried := s.now()
	if err := s.readAll(ctx, &p, results); err != nil {
		return nil, err
	}
	if !failed(results) {
		if err := s.store(ctx, &p, results, id); err != nil {
			return nil, err
		}
	}
	if ctx.Err() != nil { // nothing is known about the upstreams
		return nil, context.Cause(ctx)
	}
	return results, s.record(ctx, product, tried, results)
}

func newResults(p *catalog.Product) (results []Result, err error) {
	for _, name := range p.UpstreamList() {
		from, err := catalog.ParseUpstream(name)
		if err != nil {
			return nil, err
		}
		results = append(results, Result{Upstream: name, name: from})
	}
	if len(results) == 0 {
		return nil, fmt.Errorf("product %s %w: set one with relcheck product set %[1]s --upstream", p.Name, ErrNoUpstream)
	}
	return results, nil
}

func failed(results []Result) bool {
	return slices.ContainsFunc(results, func(r Result) bool { return r.Err != nil })
}

// readAll reads the lists. If one has changed, all must be stored again, because a later
// list overrides earlier ones.
func (s *Syncer) readAll(ctx context.Context, p *catalog.Product, results []Result) error {
	if err := s.rememberLimits(ctx); err != nil {
		return err
	}
	for i := range results {
		r := &results[i]
		last, err := s.Store.SyncState(ctx, p.Name, r.Upstream)
		if err != nil {
			return err
		}
		r.Latest = last.Latest
		if s.Force {
			last.State = nil
		}
		if err := s.read(ctx, p, results, r, last.State); err != nil {
			return err
		}
	}
	unchanged := func(r Result) bool { return r.Unchanged }
	if failed(results) || !slices.ContainsFunc(results, unchanged) || !slices.ContainsFunc(results, func(r Result) bool { return !r.Unchanged }) {
		return nil
	}
	for i := range results {
		if r := &results[i]; r.Unchanged {
			if err := s.read(ctx, p, results, r, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// rememberLimits makes the reader wait for the rate limits that other commands and servers
// have reached.
func (s *Syncer) rememberLimits(ctx context.Context) error {
	failed, err := s.Store.FailedSyncs(ctx, s.now().Add(-upstream.MaxLimit))
	for _, sync := range failed {
		if name, err := catalog.ParseUpstream(sync.Upstream); err == nil {
			s.Reader.RememberLimit(name, sync.State)
		}
	}
	return err
}

// read reads one list. Its error is about the store or the context; an upstream's error is
// in the result.
func (s *Syncer) read(ctx context.Context, p *catalog.Product, all []Result, r *Result, state []byte) error {
	from := upstream.Source{UpstreamName: r.name, State: state,
		Dates: func() (map[string]time.Time, error) { return s.dates(ctx, p.Name) },
		Files: func() (map[string][]catalog.File, error) { return s.Store.UpstreamFiles(ctx, p.Name) },
	}
	for _, other := range all {
		if other.Upstream != r.Upstream {
			from.Siblings = append(from.Siblings, other.name)
		}
	}
	if s.Progress != nil {
		from.Progress = func(text string) { s.Progress(p.Name, r.Upstream, text) }
	}
	list, newState, err := s.Reader.Read(ctx, from)
	r.Unchanged = errors.Is(err, upstream.ErrUnchanged)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case r.Unchanged:
		return nil
	case err != nil:
		r.Err = err
		return nil
	}
	r.list, r.state, r.Skipped, r.Latest = list, newState, list.Skipped, p.LatestIn(list, s.now())
	r.Hints = hints(p, list)
	return nil
}

// dates returns the known dates of commits.
func (s *Syncer) dates(ctx context.Context, product string) (map[string]time.Time, error) {
	releases, err := s.Store.Releases(ctx, product)
	dates := map[string]time.Time{}
	for _, r := range releases {
		if !r.Created.IsZero() {
			dates[r.Tag] = r.Created
		}
	}
	return dates, err
}

// hints returns hints about a list for the operator.
func hints(p *catalog.Product, list catalog.List) (all []string) {
	if list.Hint != "" {
		all = append(all, list.Hint)
	}
	unset, _ := p.CompareSettings(list.Settings)
	for _, name := range []string{"title", "upstreams", "module", "repo", "origins"} { // they do not affect answers, or belong to the other relcheck
		delete(unset, name)
	}
	if len(unset) > 0 {
		var fields []string
		for _, name := range catalog.ProductFields {
			if _, ok := unset[name]; ok {
				fields = append(fields, name)
			}
		}
		all = append(all, fmt.Sprintf("the product has settings there that it lacks here: %s; set them with relcheck product set %s", strings.Join(fields, ", "), p.Name))
	}
	return all
}

// store stores the lists that have changed. The error is [catalog.ErrSyncLost]; other errors
// are in the results.
func (s *Syncer) store(ctx context.Context, p *catalog.Product, results []Result, id int64) error {
	var lists []catalog.List
	var of []*Result
	for i := range results {
		if r := &results[i]; !r.Unchanged {
			lists, of = append(lists, r.list), append(of, r)
		}
	}
	if len(lists) == 0 {
		return nil
	}
	stored, err := s.Store.ImportLists(ctx, p.Name, lists, s.Force, id)
	if errors.Is(err, catalog.ErrSyncLost) {
		return err
	}
	missing, isMissing := errors.AsType[*catalog.MissingError](err)
	for i, r := range of {
		switch {
		case err == nil:
			r.ListResult, r.stored = stored[i], true
		case isMissing && missing.List == r.Upstream:
			r.Err = fmt.Errorf("%w; if upstream has removed these releases, sync with --force", err)
		case !isMissing:
			r.Err = fmt.Errorf("store the releases: %w", err)
		}
	}
	return nil
}

// record stores the results as the last syncs. If one upstream has failed, it marks the
// changed lists of the others as failed.
func (s *Syncer) record(ctx context.Context, product string, tried time.Time, results []Result) error {
	var failed string
	for _, r := range results {
		if r.Err != nil {
			failed = cmp.Or(failed, r.Upstream)
		}
	}
	var errs []error
	for i := range results {
		r := &results[i]
		if failed != "" && r.Err == nil && !r.Unchanged {
			r.Err = fmt.Errorf("read, but not stored, because %s failed", failed)
		}
		sync := catalog.Sync{Upstream: r.Upstream, Tried: tried}
		last, err := s.Store.SyncState(ctx, product, r.Upstream)
		switch {
		case r.Err != nil:
			sync.Error, sync.State = r.Err.Error(), s.Reader.LimitedState(r.name, last.State, r.Err)
		case r.Unchanged:
			sync.Succeeded, sync.Latest, sync.State = tried, r.Latest, last.State
		default:
			sync.Succeeded, sync.Latest, sync.State = tried, r.Latest, r.state
		}
		errs = append(errs, err, s.Store.RecordSync(ctx, product, sync))
	}
	return errors.Join(errs...)
}

// String describes the result in one line.
func (r *Result) String() string {
	switch {
	case r.Err != nil:
		return strings.ReplaceAll(r.Err.Error(), "\n", "; ")
	case r.Unchanged && r.Latest == "":
		return "unchanged"
	case r.Unchanged:
		return "unchanged, latest " + r.Latest
	}
	text := r.ListResult.String()
	for _, named := range []struct {
		name string
		tags []string
	}{{"new", r.New}, {"withdrawn", r.Withdrawn}} {
		const most = 3
		if n := len(named.tags); n > 0 {
			text += fmt.Sprintf("; %s: %s", named.name, strings.Join(named.tags[:min(n, most)], ", "))
			if n > most {
				text += fmt.Sprintf(" and %d more", n-most)
			}
		}
	}
	if len(r.Withdrawn) > 0 && r.Latest != "" {
		text += "; latest " + r.Latest
	}
	return text
}
