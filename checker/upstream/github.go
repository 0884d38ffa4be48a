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

const githubForm = "expected one release or an array of releases, as returned by GET /repos/{owner}/{repo}/releases of GitHub's API"

var (
	errEntryTooLarge = fmt.Errorf("larger than %d MB", maxEntry>>20)
	errTooMany       = fmt.Errorf("more than %d releases in one file", maxReleases)
)

// ReadGitHub reads releases in the format of GitHub's releases API, which Gitea and
// others share: one object or an array of them, in UTF-8. It returns the releases in the
// order of the file. If progress is not nil, it is called after each entry with the
// number of entries read so far.
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

// githubReader collects the releases of a file.
type githubReader struct {
	in       *limitedReader
	json     *jsontext.Decoder
	bound    int64 // of an entry, in bytes
	progress func(n int)

	n        int // entries read so far
	releases []catalog.Release
	seen     map[string]string // canonical version to the entry that has it
	bad      badEntries
}

func (g *githubReader) read(r io.Reader) error {
	text, err := skipBOM(r)
	if err != nil {
		return err
	}
	g.in = &limitedReader{r: text, limit: g.bound}
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
		return fmt.Errorf("the file contains %s: %s", kindName(kind), githubForm)
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

// end returns an error if more text follows.
func (g *githubReader) end() error {
	_, err := g.json.ReadToken()
	var syntax *jsontext.SyntacticError
	switch {
	case err == io.EOF:
		return nil
	case errors.As(err, &syntax):
		return fmt.Errorf("more text after the releases: %s", syntaxText(syntax))
	case err != nil:
		return fmt.Errorf("after the releases: %w", err)
	}
	return errors.New("more JSON after the releases: combine several pages into one array (jq -s add)")
}

// entry reads one release. It collects an invalid entry in g.bad and returns an error
// only if the rest of the file cannot be read.
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
		return fmt.Errorf("same version as %s: keep one of them", first)
	}
	g.seen[canonical] = where
	g.releases = append(g.releases, release)
	return nil
}

// broken describes an error after which no entry can be read.
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
		return fmt.Errorf("%sthe file is truncated: download it again: %w", where, io.ErrUnexpectedEOF)
	case errors.Is(err, errEntryTooLarge):
		return fmt.Errorf("%s%w", where, errEntryTooLarge)
	case errors.As(err, &syntax):
		if g.n == 0 {
			return fmt.Errorf("not valid JSON in UTF-8: %s: %s", syntaxText(syntax), githubForm)
		}
		return fmt.Errorf("%snot valid JSON in UTF-8: %s", where, syntaxText(syntax))
	}
	return fmt.Errorf("%s%w", where, err)
}

// syntaxText returns an error's text without the name of the package.
func syntaxText(err *jsontext.SyntacticError) string {
	return strings.TrimPrefix(err.Error(), "jsontext: ")
}

// skipBOM skips the byte order mark that some editors write.
func skipBOM(r io.Reader) (io.Reader, error) {
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
		return nil, errors.New("the file is in UTF-16: save it as UTF-8")
	}
	return b, nil
}

// limitedReader reads up to a limit that moves with each entry, so that no entry takes
// more memory than its limit.
type limitedReader struct {
	r           io.Reader
	read, limit int64
}

func (a *limitedReader) Read(b []byte) (int, error) {
	if a.read >= a.limit {
		return 0, errEntryTooLarge
	}
	n, err := a.r.Read(b[:min(int64(len(b)), a.limit-a.read)])
	a.read += int64(n)
	return n, err
}

// badEntries are the errors of the invalid entries of a file.
type badEntries struct {
	shown []error
	more  int
}

func (b *badEntries) add(err error) {
	const maxShown = 20
	if len(b.shown) == maxShown {
		b.more++
		return
	}
	b.shown = append(b.shown, err)
}

func (b *badEntries) err() error {
	if b.more > 0 {
		return fmt.Errorf("%w\nand %d more invalid entries", errors.Join(b.shown...), b.more)
	}
	return errors.Join(b.shown...)
}
