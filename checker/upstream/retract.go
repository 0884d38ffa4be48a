package upstream

import (
	"context"
	"fmt"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/semver"

	"relcheck/checker/printable"
)

// maxReason is the maximum length of the reason for a retraction, in characters.
const maxReason = 500

// retractions are the versions that a module's author retracted, with reasons.
type retractions []*modfile.Retract

// retractions reads the retractions as the go command does: from the go.mod file of the
// latest version, even if that retracts itself. "+incompatible" versions have no go.mod
// file.
func (r *moduleReader) retractions(ctx context.Context, versions []string) (retractions, error) {
	latest := latestWithMod(versions)
	if latest == "" {
		return nil, nil
	}
	text, _, err := r.get(ctx, latest, ".mod", maxMod)
	if err != nil {
		return nil, fmt.Errorf("go.mod of %s: %w", latest, err)
	}
	// Not modfile.Parse, because the file may be for a later version of Go.
	file, err := modfile.ParseLax("go.mod of "+latest, text, nil)
	if err != nil {
		return nil, err
	}
	if file.Module == nil {
		return nil, fmt.Errorf("go.mod of %s: invalid response of the proxy: no module line", latest)
	}
	return file.Retract, nil
}

// latestWithMod returns the highest release of versions in ascending order, or
// else the highest pre-release.
func latestWithMod(versions []string) string {
	latest := ""
	for _, v := range versions {
		isPre, hasRelease := semver.Prerelease(v) != "", latest != "" && semver.Prerelease(latest) == ""
		if semver.Build(v) == "" && !(isPre && hasRelease) {
			latest = v
		}
	}
	return latest
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
	switch {
	case !retracted:
		return ""
	case len(reasons) == 0:
		return "retracted by its module"
	}
	return shorten(strings.Join(reasons, "; "))
}

func shorten(s string) string {
	n := 0
	for i := range s {
		if n == maxReason {
			return s[:i] + "..."
		}
		n++
	}
	return s
}
