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
	"golang.org/x/sync/errgroup"

	"relcheck/checker"
	"relcheck/checker/catalog"
)

// Limits of a proxy's responses, in bytes except for the last.
const (
	maxList     = 16 << 20
	maxInfo     = 64 << 10
	maxMod      = 1 << 20
	maxVersions = 20_000
)

// maxConcurrent is the number of dates that are requested at the same time.
const maxConcurrent = 8

// Proxy reads the versions of Go modules from module proxies, by the GOPROXY protocol
// (https://go.dev/ref/mod#goproxy-protocol).
type Proxy struct {
	// List is a list of proxies in the syntax of the GOPROXY variable: http, https
	// and file URLs, each followed by "," (use the next one after status 404 or 410)
	// or "|" (use the next one after any error). "off" and "direct" end the list,
	// because repositories themselves are not read. A URL may contain a user name
	// and a password, which errors do not show. Default: [DefaultList].
	List string
	// Client makes the requests. Default: a client with a timeout of 30 seconds.
	// Unless it has its own CheckRedirect, redirects from https to http and from a
	// public address into a private network are errors.
	Client *http.Client
	// Known contains dates that were read before, by [checker.Canonical] version.
	// They are not requested again.
	Known map[string]time.Time
	// Progress, if not nil, is called after each date that is requested, with the
	// number of dates done and in total. Calls do not overlap.
	Progress func(done, total int)

	pause time.Duration // before a second attempt; 0 means half a second
}

// Releases returns the versions of a module, oldest first, with tag, date, pre-release
// and retraction. Versions that were never tagged (pseudo-versions) are skipped, and the
// "+incompatible" that the go command adds to a tag is removed. Proxies have no notes
// and assets.
//
// It returns an error if the module has no versions, or if a file of one of them cannot
// be read in three attempts.
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
		return nil, fmt.Errorf("module %s has no released versions: tag one, or check the path (from v2 on it ends in /v2)", path)
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
		return nil, fmt.Errorf("%w: enter the module path of its go.mod, such as example.com/owner/name", err)
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

// dated returns the releases of versions, and requests the dates that are not known.
func (p *Proxy) dated(ctx context.Context, r *moduleReader, versions []string) ([]catalog.Release, error) {
	releases := make([]catalog.Release, len(versions))
	var missing []int
	for i, v := range versions {
		releases[i] = catalog.Release{
			Version:    strings.TrimSuffix(v, "+incompatible"),
			Prerelease: semver.Prerelease(v) != "",
			Date:       p.Known[checker.Canonical(v)],
		}
		if releases[i].Date.IsZero() {
			missing = append(missing, i)
		}
	}
	done := 0
	var mu sync.Mutex
	g, dateCtx := errgroup.WithContext(ctx)
	g.SetLimit(maxConcurrent)
	for _, i := range missing {
		g.Go(func() error {
			date, err := r.date(dateCtx, versions[i])
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			releases[i].Date = date
			if done++; p.Progress != nil {
				p.Progress(done, len(missing))
			}
			return nil
		})
	}
	return releases, cmp.Or(g.Wait(), context.Cause(ctx))
}

// date returns the date of a version, or the zero time if the proxy has none.
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
		return time.Time{}, fmt.Errorf("date of %s: invalid response of the proxy: %w", version, err)
	}
	if info.Version != version {
		return time.Time{}, fmt.Errorf("date of %s: the proxy returned version %s instead", version, quote(info.Version))
	}
	return info.Time.UTC(), nil
}

// versions lists the module's tagged versions, oldest first, as the go command
// spells them.
func (r *moduleReader) versions(ctx context.Context) ([]string, error) {
	list, from, err := r.get(ctx, "list", "", maxList)
	if failed := (unavailable)(nil); errors.As(err, &failed) && failed.missing() {
		return nil, fmt.Errorf("%w: check the module's path, and that a proxy in GOPROXY has it", err)
	}
	if err != nil {
		return nil, err
	}
	// The proxies before it do not have the module or do not answer. Each request
	// would wait for them again.
	r.proxies = r.proxies[from:]
	return parseVersions(string(list))
}

// parseVersions parses a list with one version per line, and ignores text after a
// space. Like the go command, it skips invalid versions; a text without any valid one is
// an error.
func parseVersions(list string) ([]string, error) {
	var versions []string
	seen := make(map[string]bool)
	invalid := ""
	for line := range strings.Lines(list) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		v := fields[0]
		switch canonical := checker.Canonical(v); {
		case !semver.IsValid(v):
			invalid = cmp.Or(invalid, v)
		case module.IsPseudoVersion(v), v != module.CanonicalVersion(v), !checker.ValidVersion(v), seen[canonical]:
		case len(versions) == maxVersions:
			return nil, fmt.Errorf("the proxy lists more than %d versions", maxVersions)
		default:
			seen[canonical] = true
			versions = append(versions, v)
		}
	}
	if invalid != "" && len(versions) == 0 {
		return nil, fmt.Errorf("the proxy returned %s instead of a list of versions: check that GOPROXY names a Go module proxy", quote(invalid))
	}
	semver.Sort(versions)
	return versions, nil
}
