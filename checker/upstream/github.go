package upstream

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"relcheck/checker"
	"relcheck/checker/catalog"
)

// The bounds of a file of releases. GitHub itself keeps notes under 125,000
// characters and a release under 1,000 assets.
const (
	maxEntry    = 4 << 20 // bytes
	maxReleases = 100_000
)

const githubForm = "expected one release or an array of releases, as GET /repos/{owner}/{repo}/releases of GitHub's API answers"

var (
	errEntryTooLarge = fmt.Errorf("larger than %d MB, which no release is", maxEntry>>20)
	errTooMany       = fmt.Errorf("more than %d releases in one file", maxReleases)
)

// ReadGitHub reads releases in the form of GitHub's releases API, which Gitea
// and others share: one object or an array of them, in UTF-8. The releases come
// back in the order of the file; progress, unless nil, is called after each
// entry with the number of entries read so far.
//
// Drafts are left out, whatever their tag is. A release's date is its
// published_at, or else its created_at; it is a pre-release if it is marked as
// one or if its version says so; its assets are told apart by [ByPlatform].
// Unknown keys are ignored.
//
// Every other entry must have a semantic version for its tag, valid URLs and
// dates, and a version of its own. A repository with a tag such as "nightly" is
// refused rather than read without it: one cannot tell a moving tag from
// releases in a spelling that is not understood ("release-1.2.3"), and leaving
// those out in silence would offer an old release as the latest. The error
// names the bad entries all at once (at most 20) by number, from 1, and tag, so
// that they can be taken out of the file in one go. No release is returned then.
func ReadGitHub(r io.Reader, progress func(n int)) ([]catalog.Release, error) {
	return readGitHub(r, maxEntry, progress)
}

func readGitHub(r io.Reader, bound int64, progress func(n int)) ([]catalog.Release, error) {
	g := &githubReader{bound: bound, progress: progress, seen: make(map[string]string)}
	if err := g.read(r); err != nil {
		return nil, err
	}
	if err := g.bad.err(); err != nil {
		return nil, err
	}
	return g.releases, nil
}

// githubReader gathers what a file holds.
type githubReader struct {
	in       *allowance
	json     *jsontext.Decoder
	bound    int64 // of an entry, in bytes
	progress func(n int)

	n        int // entries read so far
	releases []catalog.Release
	seen     map[string]string // canonical version to the entry that has it
	bad      badEntries
}

func (g *githubReader) read(r io.Reader) error {
	text, err := skipMark(r)
	if err != nil {
		return err
	}
	g.in = &allowance{r: text, limit: g.bound}
	g.json = jsontext.NewDecoder(g.in)
	switch kind := g.json.PeekKind(); kind {
	case '{':
		err = g.entry()
	case '[':
		err = g.array()
	default:
		if _, err := g.json.ReadToken(); err != nil {
			return g.broken(err)
		}
		return fmt.Errorf("the file holds %s: %s", kindName(kind), githubForm)
	}
	if err != nil {
		return err
	}
	return g.end()
}

func (g *githubReader) array() error {
	if _, err := g.json.ReadToken(); err != nil {
		return g.broken(err)
	}
	for g.json.PeekKind() != ']' {
		if err := g.entry(); err != nil {
			return err
		}
	}
	_, err := g.json.ReadToken()
	return err
}

// end makes sure that nothing follows.
func (g *githubReader) end() error {
	_, err := g.json.ReadToken()
	var syntax *jsontext.SyntacticError
	switch {
	case err == io.EOF:
		return nil
	case errors.As(err, &syntax):
		return fmt.Errorf("more text after the releases: %s", plain(syntax))
	case err != nil:
		return fmt.Errorf("after the releases: %w", err)
	}
	return errors.New("more JSON after the releases; if these are several pages, put them in one array (jq -s add)")
}

// entry reads one release. What is wrong with it is noted, so that the rest of
// the file can be looked at; the error is one after which there is no rest.
func (g *githubReader) entry() error {
	g.n++
	raw, err := g.json.ReadValue()
	if err != nil {
		return g.broken(err)
	}
	g.in.limit = g.json.InputOffset() + g.bound // now, because looking for the next entry reads on
	if len(g.releases) == maxReleases {
		return errTooMany
	}
	tag := tagOf(raw)
	where := fmt.Sprintf("entry %d", g.n)
	if tag != "" {
		where += fmt.Sprintf(" (tag %s)", quote(tag))
	}
	release, draft, err := parseRelease(raw)
	if err == nil && !draft {
		err = g.add(release, where)
	}
	if err != nil {
		g.bad.add(fmt.Errorf("%s: %w", where, err))
	}
	if g.progress != nil {
		g.progress(g.n)
	}
	return nil
}

func (g *githubReader) add(release catalog.Release, where string) error {
	canonical := checker.Canonical(release.Version)
	if first, ok := g.seen[canonical]; ok {
		return fmt.Errorf("the same version as %s; keep one of them", first)
	}
	g.seen[canonical] = where
	g.releases = append(g.releases, release)
	return nil
}

// broken explains an error after which no entry can be read.
func (g *githubReader) broken(err error) error {
	where := ""
	if g.n > 0 {
		where = fmt.Sprintf("entry %d: ", g.n)
	}
	var syntax *jsontext.SyntacticError
	switch {
	case err == io.EOF:
		return errors.New("the file is empty: " + githubForm)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%sthe file ends in the middle; fetch it again: %w", where, io.ErrUnexpectedEOF)
	case errors.Is(err, errEntryTooLarge):
		return fmt.Errorf("%s%w", where, errEntryTooLarge)
	case errors.As(err, &syntax):
		if g.n == 0 {
			return fmt.Errorf("not valid JSON in UTF-8: %s; %s", plain(syntax), githubForm)
		}
		return fmt.Errorf("%snot valid JSON in UTF-8: %s", where, plain(syntax))
	}
	return fmt.Errorf("%s%w", where, err)
}

// plain is an error's text without the name of the package that found it.
func plain(err *jsontext.SyntacticError) string {
	return strings.TrimPrefix(err.Error(), "jsontext: ")
}

// skipMark skips the byte order mark that some editors write.
func skipMark(r io.Reader) (io.Reader, error) {
	b := bufio.NewReader(r)
	start, err := b.Peek(3)
	if err != nil && err != io.EOF {
		return nil, err
	}
	switch s := string(start); {
	case s == "\xef\xbb\xbf":
		_, err := b.Discard(len(s))
		return b, err
	case strings.HasPrefix(s, "\xff\xfe"), strings.HasPrefix(s, "\xfe\xff"):
		return nil, errors.New("the file is in UTF-16; save it as UTF-8")
	}
	return b, nil
}

// allowance reads up to a limit that is moved on with every entry, so that no
// entry is held in memory beyond its bound.
type allowance struct {
	r           io.Reader
	read, limit int64
}

func (a *allowance) Read(b []byte) (int, error) {
	if a.read >= a.limit {
		return 0, errEntryTooLarge
	}
	n, err := a.r.Read(b[:min(int64(len(b)), a.limit-a.read)])
	a.read += int64(n)
	return n, err
}

// badEntries are the entries for which a file is refused.
type badEntries struct {
	shown []error
	more  int
}

func (b *badEntries) add(err error) {
	const enough = 20
	if len(b.shown) == enough {
		b.more++
		return
	}
	b.shown = append(b.shown, err)
}

func (b *badEntries) err() error {
	if b.more > 0 {
		return fmt.Errorf("%w\nand %d more bad entries", errors.Join(b.shown...), b.more)
	}
	return errors.Join(b.shown...)
}
