package upstream

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"relcheck/checker"
	"relcheck/checker/catalog"
)

// The bounds of a file of releases. GitHub itself keeps notes under 125,000
// characters and a release under 1,000 assets.
const (
	maxFile     = 256 << 20 // bytes
	maxReleases = 100_000
)

const githubForm = "expected one release or an array of releases, as returned by GET /repos/{owner}/{repo}/releases of GitHub's API; combine several pages with jq -s add"

// ReadGitHub reads releases in the format of GitHub's releases API, which Gitea and
// others share: one object or an array of them, in UTF-8. It returns the releases in the
// order of the file.
//
// Drafts are skipped, whatever their tag. A release's date is its published_at, or else
// its created_at. It is a pre-release if it is marked as one or if its version is one.
// [ByPlatform] assigns its assets to platforms. Unknown keys are ignored.
//
// Each other entry must have a unique semantic version as its tag, and valid URLs and
// dates. A file with a tag such as "nightly" is rejected as a whole, because a moving
// tag cannot be distinguished from releases in an unknown spelling ("release-1.2.3"):
// skipping those silently would offer an old release as the latest. The error lists all
// invalid entries (at most 20) by number, from 1, and tag, so that they can be removed
// from the file at once.
func ReadGitHub(r io.Reader) ([]catalog.Release, error) {
	entries, err := readEntries(r)
	if err != nil {
		return nil, err
	}
	var releases []catalog.Release
	var bad []error
	seen := map[string]string{} // canonical version to the entry that has it
	for i, raw := range entries {
		where := fmt.Sprintf("entry %d", i+1)
		if tag := tagOf(raw); tag != "" {
			where += fmt.Sprintf(" (tag %s)", quote(tag))
		}
		release, draft, err := parseRelease(raw)
		canonical := checker.Canonical(release.Version)
		switch first := seen[canonical]; {
		case err != nil:
			bad = append(bad, fmt.Errorf("%s: %w", where, err))
		case draft:
		case first != "":
			bad = append(bad, fmt.Errorf("%s: same version as %s: keep one of them", where, first))
		default:
			seen[canonical] = where
			releases = append(releases, release)
		}
	}
	const maxShown = 20
	if more := len(bad) - maxShown; more > 0 {
		bad = append(bad[:maxShown], fmt.Errorf("and %d more invalid entries", more))
	}
	if bad != nil {
		return nil, errors.Join(bad...)
	}
	return releases, nil
}

// readEntries returns the entries of a file.
func readEntries(r io.Reader) (entries []jsontext.Value, err error) {
	text, err := readAll(r, maxFile)
	if err != nil {
		return nil, err
	}
	text = bytes.TrimSpace(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))) // editors write this mark
	switch kind := jsontext.Value(text).Kind(); {
	case len(text) == 0:
		return nil, errors.New("the file is empty: " + githubForm)
	case bytes.HasPrefix(text, []byte("\xff\xfe")), bytes.HasPrefix(text, []byte("\xfe\xff")):
		return nil, errors.New("the file is in UTF-16: save it as UTF-8")
	case kind == '[':
		err = json.Unmarshal(text, &entries)
	default:
		entries = make([]jsontext.Value, 1)
		if err = json.Unmarshal(text, &entries[0]); err == nil && kind != '{' {
			err = fmt.Errorf("the file contains %s: %s", kindName(kind), githubForm)
		}
	}
	syntax := (*jsontext.SyntacticError)(nil)
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fmt.Errorf("the file is truncated: download it again: %w", io.ErrUnexpectedEOF)
	case errors.As(err, &syntax):
		return nil, fmt.Errorf("not valid JSON in UTF-8: %s: %s", strings.TrimPrefix(syntax.Error(), "jsontext: "), githubForm)
	case err == nil && len(entries) > maxReleases:
		return nil, fmt.Errorf("more than %d releases in one file", maxReleases)
	}
	return entries, err
}
