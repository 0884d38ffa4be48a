package server

import (
	"context"
	"iter"
	"time"

	"relcheck/checker"
	"relcheck/checker/access"
	"relcheck/checker/catalog"
	"relcheck/checker/server/manage"
	"relcheck/checker/stats/public"
	"relcheck/checker/stats/rollup"
)

// Store is the part of the store that the server uses.
type Store interface {
	// Record stores a report and returns, once it is safe on disk, the day under which it
	// was counted. After an error the
	// report may or may not be stored. An error with a method DiskFull() bool that
	// returns true leads to status 507; one with Busy() bool means that too many reports
	// are waiting.
	Record(ctx context.Context, product string, from checker.Platform, r *checker.Report) (rollup.Day, error)
	// Count counts a check, at best effort.
	Count(product, version string, from checker.Platform)
	// Waiting returns the number of reports that wait to be recorded, and MaxWaiting its
	// limit.
	Waiting() int
	MaxWaiting() int
	// Others returns the number of reports and checks that were counted as version other
	// because there were too many unreleased versions.
	Others() int64
	// OnCommit sets a function that is called after every attempt to record reports,
	// with the time that it took. It is called once, before the first report.
	OnCommit(f func(time.Duration))
	// Ready returns an error if reports cannot be recorded.
	Ready() error
	// Changes returns the changes of the catalog since a revision, and its revision now.
	// Since the zero revision, that is the whole catalog.
	Changes(ctx context.Context, since catalog.Revision) (catalog.Changes, error)
	// Release returns a release with what upstream and the operator say about it. The
	// error wraps [catalog.ErrNotFound] if there is none.
	Release(ctx context.Context, product, tag string) (catalog.Release, [2]*catalog.Layer, error)
	// Texts returns the release notes of releases, by tag.
	Texts(ctx context.Context, product string, tags []string) (map[string]string, error)
	// Entries returns all stored data about the releases of a product, by tag. If they
	// change meanwhile, the last error is not nil. EntriesID identifies their state.
	Entries(ctx context.Context, product string) iter.Seq2[catalog.Entry, error]
	EntriesID(ctx context.Context, product string) (string, error)
	// TotalsAt reads the counts of a product in a range of days: of a site, of the store
	// itself for [rollup.LocalSite], or of all if site is empty. keep selects the builds. The
	// error wraps [catalog.ErrNotFound] if the site does not exist.
	TotalsAt(ctx context.Context, product, site string, r rollup.Range, keep func(rollup.Build) bool) (*rollup.Totals, error)
	// Days reads the numbers of instances on the days of some ranges, by build.
	Days(ctx context.Context, product, site string, ranges []rollup.Range, keep func(rollup.Build) bool) ([]rollup.BuildTotals, error)
	// AddNetworkCounts, MakePublicWeek and PublicWeeks store the counts of networks and the
	// public documents made from them, see package public.
	AddNetworkCounts(ctx context.Context, r public.Run, changed map[int64]public.Cells) error
	MakePublicWeek(ctx context.Context, product int64, week rollup.Day, now time.Time, document func(*public.Week) []byte) error
	PublicWeeks(ctx context.Context, product string) ([][]byte, error)
	// Token returns the access token with an ID, even if it is revoked, or nil if there is
	// none.
	Token(ctx context.Context, id string) (*access.Token, error)
	// UseToken stores the hour of a token's use.
	UseToken(ctx context.Context, id string, at time.Time) error
	// SetClientsHidden stores whether all requests seem to come from a proxy that the
	// server does not trust.
	SetClientsHidden(ctx context.Context, hidden bool) error
	// HostFile records that a file of a release is hosted.
	HostFile(ctx context.Context, product, tag string, f catalog.HostedFile) error
	// MarkDamaged records the time at which content was found damaged.
	MarkDamaged(ctx context.Context, sha256 string, at time.Time) error
	// As returns the store for changes on behalf of a token.
	As(tokenID string) manage.Store
	// Link returns the token of a sign-in link, and Session that of a session, even if
	// the token is revoked. They return nil if the link or session is not valid.
	Link(ctx context.Context, hash access.Hash) (*access.Token, error)
	Session(ctx context.Context, hash access.Hash) (*access.Token, error)
	// UseLink marks a sign-in link as used and adds the session that it starts. It
	// reports false if the link is no longer valid.
	UseLink(ctx context.Context, hash access.Hash, session access.Grant) (bool, error)
	AddSession(ctx context.Context, session access.Grant) error
	EndSession(ctx context.Context, hash access.Hash) error
}
