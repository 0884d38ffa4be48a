package upstream

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
	"golang.org/x/sync/errgroup"

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
	// Client makes the requests. Default: that of [fetch.NewClient].
	// Unless it has its own CheckRedirect, redirects from https to http and from a
	// public address into a private network are errors.
	Client *http.Client
	// Known contains dates that were read before, by tag. They are not requested again.
	Known map[string]time.Time
	// Siblings are further modules of the product.
	Siblings []string
	// Progress, if not nil, is called after each date of a module that is requested, with
	// the number of dates done and in total. Calls do not overlap.
	Progress func(done, total int)

	pause time.Duration // before a second attempt; 0 means half a second
}

// Releases returns the versions of modules, a whole list for each, oldest first. An entry
// has the time of the commit, whether its module retracts the version, and why.
//
// A list contains the versions that the go command considers: none that were never tagged
// (pseudo-versions), and "+incompatible" ones only if the latest compatible version has
// no go.mod file. The "+incompatible" that the go command adds to a tag is removed. If a
// later major version of a module has a path of its own that is not known, the list
// has a hint.
//
// It returns an error if a module has no versions, or if a file of one of them cannot be
// read in three attempts.
func (p *Proxy) Releases(ctx context.Context, paths ...string) ([]catalog.List, error) {
	var lists []catalog.List
	for _, path := range paths {
		list, err := p.list(ctx, path, paths)
		if err != nil {
			return nil, err
		}
		lists = append(lists, list)
	}
	return lists, nil
}

func (p *Proxy) list(ctx context.Context, path string, paths []string) (catalog.List, error) {
	list := catalog.List{Name: "go:" + path, Whole: true}
	r, err := p.open(ctx, path)
	if err != nil {
		return list, err
	}
	defer r.fetch.close()
	versions, err := r.versions(ctx)
	if err != nil {
		return list, fmt.Errorf("read versions of module %s: %w", path, err)
	}
	if len(versions) == 0 {
		return list, fmt.Errorf("module %s has no released versions: tag one, or check the path (from v2 on it ends in /v2)", path)
	}
	versions, retracted, err := r.considered(ctx, versions)
	if err != nil {
		return list, fmt.Errorf("read retractions of module %s: %w", path, err)
	}
	if list.Entries, err = p.entries(ctx, r, versions, retracted); err != nil {
		return list, fmt.Errorf("read versions of module %s: %w", path, err)
	}
	if newer := r.newestMajor(ctx, versions); newer != "" && !slices.Contains(paths, newer) && !slices.Contains(p.Siblings, newer) {
		list.Hint = fmt.Sprintf("module %s continues as %s: add that path too", path, newer)
	}
	return list, context.Cause(ctx)
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
	return &moduleReader{path: path, escaped: escaped, proxies: proxies, fetch: newFetcher(p.Client), pause: p.pause, mods: map[string][]byte{}}, nil
}

// entries returns the entries of versions. It requests the dates that are not known.
func (p *Proxy) entries(ctx context.Context, r *moduleReader, versions []string, retracted retractions) ([]catalog.Entry, error) {
	entries := make([]catalog.Entry, len(versions))
	var missing []int
	for i, v := range versions {
		reason := retracted.reason(v)
		tag := strings.TrimSuffix(v, incompatible)
		entries[i] = catalog.Entry{Tag: tag, Upstream: catalog.Layer{Created: storedTime(p.Known[tag]), Withdrawn: new(reason != ""), Reason: &reason}}
		if entries[i].Upstream.Created == nil {
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
			entries[i].Upstream.Created = storedTime(date)
			if done++; p.Progress != nil {
				p.Progress(done, len(missing))
			}
			return nil
		})
	}
	return entries, cmp.Or(g.Wait(), context.Cause(ctx))
}

// date returns the time of a version's commit, or the zero time if the proxy has none.
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
	return info.Time, nil
}

// versions lists the module's tagged versions, oldest first, as the go command
// spells them.
func (r *moduleReader) versions(ctx context.Context) ([]string, error) {
	list, from, err := r.get(ctx, "list", "", maxList)
	if failed, ok := errors.AsType[unavailable](err); ok && failed.missing() {
		return nil, fmt.Errorf("%w: check the module's path, and that a proxy in GOPROXY has it", err)
	}
	if err != nil {
		return nil, err
	}
	// The proxies before it do not have the module or do not answer. Each request
	// would wait for them again.
	r.proxies = r.proxies[from:]
	return parseVersions(r.path, string(list))
}

// incompatible is what the go command adds to tags of later major versions that have no
// path of their own.
const incompatible = "+incompatible"

// parseVersions parses a list with one version per line, and ignores text after a
// space. Like the go command, it skips invalid versions; a text without any valid one is
// an error. The result is in ascending order.
func parseVersions(path, list string) ([]string, error) {
	_, major, _ := module.SplitPathVersion(path)
	var versions []string
	invalid := ""
	for line := range strings.Lines(list) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		switch v := fields[0]; {
		case !semver.IsValid(v):
			invalid = cmp.Or(invalid, v)
		case module.IsPseudoVersion(v), v != module.CanonicalVersion(v), catalog.CheckTag(v) != nil, module.CheckPathMajor(v, major) != nil:
		default:
			versions = append(versions, v)
		}
	}
	if invalid != "" && len(versions) == 0 {
		return nil, fmt.Errorf("the proxy returned %s instead of a list of versions: check that GOPROXY names a Go module proxy", quote(invalid))
	}
	semver.Sort(versions)
	if versions = slices.Compact(versions); len(versions) > maxVersions {
		return nil, fmt.Errorf("the proxy lists more than %d versions", maxVersions)
	}
	return versions, nil
}
