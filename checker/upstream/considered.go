package upstream

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"

	"relcheck/checker/printable"
)

// maxReason is the maximum length of the reason for a withdrawal, in characters, and
// maxRetractions the number of retractions, each of which is compared with all versions.
const maxReason, maxRetractions = 500, 1000

// retractions are the versions that a module's author retracted, with reasons.
type retractions []*modfile.Retract

// considered returns the versions that the go command considers, and their retractions.
// Like the go command, it reads the retractions from the go.mod file of the latest version,
// even if that version retracts itself.
func (r *moduleReader) considered(ctx context.Context, versions []string) ([]string, retractions, error) {
	unretracted, err := r.withoutIncompatible(ctx, versions, nil)
	if err != nil {
		return nil, nil, err
	}
	latest := latest(unretracted)
	text, err := r.goMod(ctx, latest)
	if err != nil {
		return nil, nil, err
	}
	// Not modfile.Parse, because the file may be for a later version of Go.
	file, err := modfile.ParseLax("go.mod of "+latest, text, nil)
	if err != nil {
		return nil, nil, err
	}
	if file.Module == nil {
		return nil, nil, fmt.Errorf("go.mod of %s: invalid response of the proxy: no module line", latest)
	}
	if len(file.Retract) > maxRetractions {
		return nil, nil, fmt.Errorf("go.mod of %s: more than %d retractions: retract ranges of versions instead", latest, maxRetractions)
	}
	versions, err = r.withoutIncompatible(ctx, versions, file.Retract)
	return versions, file.Retract, err
}

// withoutIncompatible returns versions, which are in ascending order, without
// "+incompatible" ones if the latest version before them that is not retracted has a
// go.mod file: the module has adopted the rule that v2 has another path. A proxy generates
// a go.mod file with a single line for versions that have none.
func (r *moduleReader) withoutIncompatible(ctx context.Context, versions []string, retracted retractions) ([]string, error) {
	first := slices.IndexFunc(versions, func(v string) bool { return strings.HasSuffix(v, incompatible) })
	if first < 0 {
		return versions, nil
	}
	for _, v := range slices.Backward(versions[:first]) {
		if retracted.reason(v) != "" {
			continue
		}
		text, err := r.goMod(ctx, v)
		if err == nil && !bytes.Equal(text, fmt.Appendf(nil, "module %s\n", modfile.AutoQuote(r.path))) {
			versions = versions[:first]
		}
		return versions, err
	}
	return versions, nil
}

// goMod reads the go.mod file of a version once.
func (r *moduleReader) goMod(ctx context.Context, version string) ([]byte, error) {
	if text, ok := r.mods[version]; ok {
		return text, nil
	}
	text, _, err := r.get(ctx, version, ".mod", maxMod)
	if err != nil {
		return nil, fmt.Errorf("go.mod of %s: %w", version, err)
	}
	r.mods[version] = text
	return text, nil
}

// latest returns the highest release of versions in ascending order, or else the highest
// pre-release.
func latest(versions []string) string {
	for _, v := range slices.Backward(versions) {
		if semver.Prerelease(v) == "" {
			return v
		}
	}
	return versions[len(versions)-1]
}

// reason returns why a version was retracted, or "" if it was not. Several reasons are
// joined in the order of the file.
func (rs retractions) reason(version string) string {
	var reasons []string
	retracted := false
	for _, r := range rs {
		if semver.Compare(r.Low, version) > 0 || semver.Compare(version, r.High) > 0 {
			continue
		}
		retracted = true
		// A comment with unprintable characters is cleaned, and is not an error.
		if line := strings.TrimSpace(printable.Clean(r.Rationale)); line != "" {
			reasons = append(reasons, line)
		}
	}
	if !retracted {
		return ""
	}
	return cmp.Or(shorten(strings.Join(reasons, "; "), maxReason), "retracted by its module")
}

// The search for later major versions ends after this many, or after this time. Its
// result is only a hint, so that errors end it too.
const (
	maxMajors      = 100
	maxMajorSearch = 10 * time.Second
)

// newestMajor returns the path of the newest later major version that has released
// versions, or "".
func (r *moduleReader) newestMajor(ctx context.Context, versions []string) (newest string) {
	prefix, pathMajor, ok := module.SplitPathVersion(r.path)
	separator := "/v"
	if strings.HasPrefix(pathMajor, ".v") { // gopkg.in
		separator = ".v"
	}
	major, err := strconv.Atoi(semver.Major(versions[len(versions)-1])[1:])
	if !ok || err != nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, maxMajorSearch)
	defer cancel()
	for next := max(major, 1) + 1; next <= major+maxMajors; next++ {
		path := prefix + separator + strconv.Itoa(next)
		escaped, err := module.EscapePath(path)
		if err != nil {
			return newest
		}
		list, _, err := r.tryAll(ctx, escaped+"/@v/list", maxList)
		if err != nil {
			return newest
		}
		if versions, err := parseVersions(path, string(list)); err != nil || len(versions) == 0 {
			return newest
		}
		newest = path
	}
	return newest
}
