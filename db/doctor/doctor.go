// Package doctor checks whether a store is sound and describes the result for its
// operator. It changes nothing, and a server may use the store meanwhile.
package doctor

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"relcheck/checker/catalog"
	"relcheck/db"
	"relcheck/db/dbfile"
)

// Severity is how serious a finding is.
type Severity int

const (
	OK Severity = iota
	Warning
	Problem
)

// Finding is the result of one check.
type Finding struct {
	Severity Severity
	Check    string // what was checked, in a word
	Text     string // what was found, and what to do about it
}

// Options says what is expected of a store, and receives the findings.
type Options struct {
	KeepReports time.Duration // how long servers keep reports; 0: forever
	Now         time.Time
	BackupDir   string        // folder of the backups; empty: not checked
	BackupEvery time.Duration // how often servers make a backup
	Files       string        // folder of the hosted files; empty: not checked
	StaleAfter  time.Duration // age of the last successful sync at which an upstream is stale; default: [catalog.StaleAfter]
	Report      func(Finding) // called after each check
	// Progress is called while the log is read, with numbers of reports.
	Progress func(done, total int64)
}

type examination struct {
	Options
	*db.Store
	serving  bool  // a server records into the store, as far as is known
	isCopy   bool  // the file has no lock beside it, so no server has used it under this name
	id       int64 // of the store, -1 if it cannot be read
	before   string
	outdated bool // the file has changed since it was read
}

// Examine checks the store and reports all findings. The error is nil, whatever is
// found, unless ctx has ended.
func Examine(ctx context.Context, name string, o Options) error {
	o.StaleAfter = cmp.Or(o.StaleAfter, catalog.StaleAfter)
	x := &examination{Options: o, id: -1}
	if db.IsFile(name) {
		x.checkFile(ctx, name)
	} else {
		x.checkPostgres(ctx, name)
	}
	x.outdated, x.before = false, ""
	x.checkLeftovers(name)
	if x.BackupDir != "" {
		x.checkBackups(ctx)
	}
	return ctx.Err()
}

func (x *examination) report(s Severity, check, format string, args ...any) {
	if s == Problem && x.before != "" && x.Store != nil && fingerprint(x.Name()) != x.before {
		x.outdated = true
	}
	if !x.outdated {
		x.Report(Finding{s, check, strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", "; ")})
	}
}

// checkFile checks a SQLite store. A file that no process has open is read without locks;
// if another process opens it meanwhile, everything that was read may be wrong.
func (x *examination) checkFile(ctx context.Context, name string) {
	const maxTries = 3
	for range maxTries {
		x.outdated, x.before = false, fingerprint(dbfile.Resolve(name))
		x.checkFileOnce(ctx, name)
		if !x.outdated || ctx.Err() != nil {
			return
		}
		x.Report(Finding{Warning, "store", "a server was started during the check; repeating it"})
	}
}

// fingerprint changes when a file that no process has open is written. It is empty for a
// file that is open.
func fingerprint(path string) string {
	_, err := os.Stat(path + "-wal")
	info, err2 := os.Stat(path)
	if err2 != nil || err == nil {
		return ""
	}
	return fmt.Sprint(info.Size(), info.ModTime())
}

// checkSchema reports the schema of the store, and whether that can be read.
func (x *examination) checkSchema(ctx context.Context, name string) (ok bool) {
	version, err := x.Setting(ctx, "schema")
	if err == nil {
		x.id, err = x.ID(ctx)
	}
	switch {
	case err != nil:
		x.report(Problem, "store", "cannot be read: %v", err)
	case version < db.SchemaVersion:
		x.report(OK, "store", "%s is a relcheck store with schema %d; the next server or command that opens it upgrades it to %d", name, version, db.SchemaVersion)
	default:
		x.report(OK, "store", "%s is a relcheck store with schema %d", name, version)
	}
	return err == nil
}

// checkContents runs the checks that are the same for both engines.
func (x *examination) checkContents(ctx context.Context) {
	x.checkReleases(ctx)
	if version, err := x.Setting(ctx, "schema"); err == nil && version >= 4 { // earlier schemas have neither
		x.checkUpstreams(ctx)
		x.checkHosted(ctx)
	}
	x.checkTokens(ctx)
	x.checkProxy(ctx)
	x.checkSweep(ctx)
	x.checkStatistics(ctx)
}

func (x *examination) checkReleases(ctx context.Context) {
	used, unused, err := x.WithoutReleases(ctx)
	switch {
	case err != nil:
		x.report(Problem, "releases", "cannot be read: %v", err)
	case len(used) > 0:
		x.report(Warning, "releases", "clients request products without releases: %s; add them with relcheck release sync, import or add", strings.Join(used, ", "))
	case len(unused) > 0:
		x.report(OK, "releases", "products without releases, which no client has requested: %s", strings.Join(unused, ", "))
	default:
		x.report(OK, "releases", "every product has some")
	}
}

// checkUpstreams reports upstreams whose last successful sync is too old.
func (x *examination) checkUpstreams(ctx context.Context) {
	products, err := x.Products(ctx)
	if err != nil {
		x.report(Problem, "upstreams", "cannot be read: %v", err)
		return
	}
	fresh, stale := 0, 0
	for _, p := range products {
		for _, f := range p.Freshness(x.Now, x.StaleAfter) {
			if !f.Stale {
				fresh++
				continue
			}
			stale++
			advice := fmt.Sprintf("run relcheck release sync %s, or start relcheck serve with --sync-every", p.Name)
			if f.FromBundle() {
				advice = "apply a newer bundle with relcheck bundle apply"
			}
			x.report(Warning, "upstreams", "%s: %s: %s: %s", p.Name, f.Upstream, f, advice)
		}
	}
	switch {
	case stale > 0:
	case fresh == 0:
		x.report(OK, "upstreams", "no product is synced")
	default:
		x.report(OK, "upstreams", "%d, all synced within %s", fresh, catalog.FormatAge(x.StaleAfter))
	}
}

const longUnused = 180 * 24 * time.Hour

func (x *examination) checkTokens(ctx context.Context) {
	all, err := x.Tokens(ctx)
	if err != nil {
		x.report(Problem, "tokens", "cannot be read: %v", err)
		return
	}
	valid, idle := 0, []string{}
	for _, t := range all {
		if !t.Revoked.IsZero() {
			continue
		}
		valid++
		if min(x.Now.Sub(t.Created), x.Now.Sub(t.LastUsed)) > longUnused {
			idle = append(idle, t.ID)
		}
	}
	switch {
	case valid == 0:
		x.report(Warning, "tokens", "no valid token, so the statistics cannot be seen: create one with relcheck token link")
	case len(idle) > 0:
		x.report(OK, "tokens", "%d valid; unused for half a year, revoke them if not needed: %s", valid, strings.Join(idle, ", "))
	default:
		x.report(OK, "tokens", "%d valid", valid)
	}
}

// checkProxy reports whether the server sees the IPs of its clients, and whether links lead to
// it. The store does not know whether a proxy is trusted, so the links are a warning only if a
// proxy was detected.
func (x *examination) checkProxy(ctx context.Context) {
	hidden, err := x.Setting(ctx, "proxy")
	switch {
	case err != nil && !errors.Is(err, sql.ErrNoRows): // schemas 1 and 2 do not have it
		x.report(Problem, "proxy", "cannot be read: %v", err)
		return
	case hidden != 0:
		x.report(Warning, "proxy", "all requests seem to come through one proxy, so its clients share one rate limit: "+
			"if there is a proxy, start relcheck serve with its address as --trusted-proxy")
	default:
		x.report(OK, "proxy", "no sign of a proxy that the server does not trust")
	}
	base, err := x.BaseURL(ctx)
	u, invalid := url.Parse(base)
	switch {
	case err != nil:
		x.report(Problem, "links", "the base URL cannot be read: %v", err)
	case base == "":
		x.report(OK, "links", "no server has started on the store")
	case invalid != nil || !isLoopback(u.Hostname()):
		x.report(OK, "links", "they begin with %s", base)
	case hidden != 0:
		x.report(Warning, "links", "they begin with %s, which clients behind a proxy cannot reach: start relcheck serve with --base-url and the URL of the proxy", base)
	default:
		x.report(OK, "links", "they begin with %s, which only clients on the machine of the server can reach; set --base-url of relcheck serve if there are others", base)
	}
}

// isLoopback reports whether a host is the machine itself.
func isLoopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

// maxClockAhead is how far in the future times may be.
const maxClockAhead = time.Hour

func (x *examination) checkSweep(ctx context.Context) {
	seconds, err := x.Setting(ctx, "swept")
	last := time.Unix(seconds, 0).UTC()
	switch {
	case err != nil:
		x.report(Problem, "clock", "cannot read when expired reports were last removed: %v", err)
	case last.Sub(x.Now) > maxClockAhead:
		x.report(Warning, "clock", "expired reports were last removed in the future, on %s: a clock is or was wrong; correct it", last.Format(time.DateTime))
	case seconds == 0:
		x.report(OK, "clock", "no server has removed expired reports yet")
	default:
		x.report(OK, "clock", "expired reports were last removed on %s", last.Format(time.DateTime))
	}
}

func (x *examination) checkPostgres(ctx context.Context, url string) {
	s, err := db.OpenUnchanged(ctx, url)
	if err != nil {
		x.report(Problem, "store", "%v", dbfile.Advise(err, dbfile.NameStore))
		return
	}
	defer s.Close()
	x.Store = s
	server, clock, err := s.Server(ctx)
	if err != nil {
		x.report(Problem, "store", "%v", err)
		return
	}
	x.report(OK, "database", "%s at %s, which accepts writes", server, s.Name())
	if err := s.CheckDurable(ctx); err != nil {
		x.report(Problem, "commits", "%v", err)
	} else {
		x.report(OK, "commits", "synchronous_commit and fsync are on")
	}
	if !x.checkSchema(ctx, "the database") {
		return
	}
	if drift := clock.Sub(x.Now).Abs(); drift > time.Minute {
		x.report(Warning, "clock", "the clocks of PostgreSQL and of this machine differ by %v: correct the wrong one", drift.Round(time.Second))
	}
	x.serving = true // nothing shows whether a server runs
	x.checkContents(ctx)
}
