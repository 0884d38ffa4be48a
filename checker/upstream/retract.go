package upstream

import (
	"context"
	"fmt"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/semver"

	"relcheck/checker/printable"
)

// maxReason bounds the reason for a retraction, in characters.
const maxReason = 500

// retractions are the versions that a module's author took back, with reasons.
type retractions []*modfile.Retract

// retractions reads them where the go command does: in the go.mod of the latest
// version, even if that retracts itself. Versions marked "+incompatible" are
// those without a go.mod, and have nothing to say.
func (r *moduleReader) retractions(ctx context.Context, versions []string) (retractions, error) {
	latest := latestWithMod(versions)
	if latest == "" {
		return nil, nil
	}
	text, _, err := r.get(ctx, latest, ".mod", maxMod)
	if err != nil {
		return nil, fmt.Errorf("go.mod of %s: %w", latest, err)
	}
	// Not modfile.Parse: this is another's file, and may be of a later Go.
	file, err := modfile.ParseLax("go.mod of "+latest, text, nil)
	if err != nil {
		return nil, err
	}
	if file.Module == nil {
		return nil, fmt.Errorf("go.mod of %s: no module line; the proxy's answer is not what the protocol says", latest)
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

// reason tells why a version was retracted, or nothing if it was not. Several
// reasons are told in the order of the file.
func (rs retractions) reason(version string) string {
	var reasons []string
	retracted := false
	for _, r := range rs {
		if semver.Compare(r.Low, version) > 0 || semver.Compare(version, r.High) > 0 {
			continue
		}
		retracted = true
		// An odd comment does not fail the sync: what can be shown of it is kept.
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
