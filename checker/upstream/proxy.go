package upstream

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"

	"relcheck/checker"
	"relcheck/checker/catalog"
)

// The bounds of what a proxy may answer, in bytes but for the last.
const (
	maxList     = 16 << 20
	maxInfo     = 64 << 10
	maxMod      = 1 << 20
	maxVersions = 20_000
)

// atOnce is how many dates are asked for at the same time.
const atOnce = 8

// Proxy reads the versions of Go modules from module proxies, as the GOPROXY
// protocol has it (https://go.dev/ref/mod#goproxy-protocol).
type Proxy struct {
	// List names the proxies in the syntax of the GOPROXY variable: http, https
	// and file addresses, each followed by "," (go on with the next one after
	// status 404 or 410) or "|" (go on after any error). "off" ends the list,
	// and so does "direct": repositories themselves are not read. A name and
	// password may stand in an address; errors do not show them. Default: what
	// [DefaultList] returns.
	List string
	// Client makes the requests. Default: one that waits 30 seconds for each
	// answer. Unless it has a CheckRedirect of its own, redirects from https to
	// http, and from a public address into a private network, are refused.
	Client *http.Client
	// Known holds the dates of versions that were read before, by
	// [checker.Canonical]. They are not asked for again.
	Known map[string]time.Time
	// Progress, unless nil, is called after each date that was asked for, with
	// the number of those done and of all. Calls do not overlap.
	Progress func(done, total int)

	pause time.Duration // before a second attempt; 0 means half a second
}

// Releases returns the versions of a module, oldest first: tag, date, whether
// it is a pre-release, and whether the module's author retracted it. Versions
// that were never tagged (pseudo-versions) are left out, as is the
// "+incompatible" that the go command adds to a tag. Notes and assets are
// unknown to proxies.
//
// It is an error if the module has no versions, or if anything about one of
// them cannot be read after three attempts; no release is returned then.
func (p *Proxy) Releases(ctx context.Context, path string) ([]catalog.Release, error) {
	r, err := p.open(ctx, path)
	if err != nil {
		return nil, err
	}
	defer r.close()
	versions, err := r.versions(ctx)
	if err != nil {
		return nil, fmt.Errorf("read versions of module %s: %w", path, err)
	}
	if len(versions) == 0 {
		return nil, fmt.Errorf("module %s has no released versions; tag one, or check the path (from v2 on it ends in /v2)", path)
	}
	releases, err := p.dated(ctx, r, versions)
	if err != nil {
		return nil, fmt.Errorf("read versions of module %s: %w", path, err)
	}
	retracted, err := r.retractions(ctx, versions)
	if err != nil {
		return nil, fmt.Errorf("read retractions of module %s: %w", path, err)
	}
	for i, v := range versions {
		releases[i].Retracted = retracted.reason(v)
	}
	return releases, nil
}

func (p *Proxy) open(ctx context.Context, path string) (*moduleReader, error) {
	escaped, err := module.EscapePath(path)
	if err != nil {
		return nil, fmt.Errorf("%w; write the module's path as its go.mod does: example.com/owner/name", err)
	}
	list := p.List
	if list == "" {
		if list, err = DefaultList(ctx); err != nil {
			return nil, err
		}
	}
	proxies, err := parseList(list)
	if err != nil {
		return nil, err
	}
	pause := p.pause
	if pause == 0 {
		pause = time.Second / 2
	}
	return &moduleReader{path: escaped, proxies: proxies, fetch: newFetcher(p.Client), pause: pause}, nil
}

// dated makes releases of versions, asking for the dates that are not known.
func (p *Proxy) dated(ctx context.Context, r *moduleReader, versions []string) ([]catalog.Release, error) {
	releases := make([]catalog.Release, len(versions))
	var ask []int
	for i, v := range versions {
		releases[i] = catalog.Release{
			Version:    strings.TrimSuffix(v, "+incompatible"),
			Prerelease: semver.Prerelease(v) != "",
			Date:       p.Known[checker.Canonical(v)],
		}
		if releases[i].Date.IsZero() {
			ask = append(ask, i)
		}
	}
	done := 0
	var mu sync.Mutex
	err := each(ctx, ask, func(ctx context.Context, i int) error {
		date, err := r.date(ctx, versions[i])
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		releases[i].Date = date
		if done++; p.Progress != nil {
			p.Progress(done, len(ask))
		}
		return nil
	})
	return releases, err
}

// each calls do for every number, some at once. The first error ends it.
func each(ctx context.Context, numbers []int, do func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for _, i := range numbers {
		slots <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := do(ctx, i); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// date is when a version was made; zero if the proxy does not tell.
func (r *moduleReader) date(ctx context.Context, version string) (time.Time, error) {
	body, _, err := r.get(ctx, version, ".info", maxInfo)
	if err != nil {
		return time.Time{}, fmt.Errorf("date of %s: %w", version, err)
	}
	var info struct {
		Version string
		Time    time.Time
	}
	if err := json.Unmarshal(body, &info); err != nil {
		return time.Time{}, fmt.Errorf("date of %s: the proxy's answer is not what the protocol says: %w", version, err)
	}
	if info.Version != version {
		return time.Time{}, fmt.Errorf("date of %s: the proxy answered for version %s instead", version, quote(info.Version))
	}
	return info.Time.UTC(), nil
}

// versions lists the module's tagged versions, oldest first, as the go command
// spells them.
func (r *moduleReader) versions(ctx context.Context) ([]string, error) {
	list, from, err := r.get(ctx, "list", "", maxList)
	if failed := (unavailable)(nil); errors.As(err, &failed) && failed.missing() {
		return nil, fmt.Errorf("%w; check the module's path, and that a proxy in GOPROXY has it", err)
	}
	if err != nil {
		return nil, err
	}
	// Those before it do not have the module, or do not answer: each request
	// would wait for them anew.
	r.proxies = r.proxies[from:]
	return parseVersions(string(list))
}

// parseVersions reads a list of versions, one a line; what follows a space is
// not for us. Like the go command it passes over what is no version, but a text
// without any is not a list.
func parseVersions(list string) ([]string, error) {
	var versions []string
	seen := make(map[string]bool)
	odd := ""
	for line := range strings.Lines(list) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		v := fields[0]
		switch canonical := checker.Canonical(v); {
		case !semver.IsValid(v):
			odd = cmp.Or(odd, v)
		case module.IsPseudoVersion(v), v != module.CanonicalVersion(v), !checker.ValidVersion(v), seen[canonical]:
		case len(versions) == maxVersions:
			return nil, fmt.Errorf("the proxy lists more than %d versions", maxVersions)
		default:
			seen[canonical] = true
			versions = append(versions, v)
		}
	}
	if odd != "" && len(versions) == 0 {
		return nil, fmt.Errorf("the proxy answered %s where a list of versions was expected; check that GOPROXY names a Go module proxy", quote(odd))
	}
	semver.Sort(versions)
	return versions, nil
}
