package upstream

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"relcheck/checker/catalog"
	"relcheck/checker/fetch"
)

// GitHubAPI is the address of GitHub's own API.
const GitHubAPI = "https://api.github.com"

const (
	perPage  = 100
	maxPage  = 64 << 20 // bytes: a page of 100 releases with 1,000 files each
	maxPages = maxReleases / perPage
)

// MaxLimit is the maximum duration of a rate limit. A longer one is a mistake of the server.
const MaxLimit = 24 * time.Hour

// GitHub reads the releases of a repository from GitHub's API
// (https://docs.github.com/rest/releases/releases#list-releases). GitHub Enterprise Server,
// Gitea and Forgejo have the same API.
type GitHub struct {
	API   string // address of the API; default: [GitHubAPI]
	Repo  string // owner/name
	Token string // or empty; private repositories and frequent syncs need one
	// Client makes the requests. See [Proxy].
	Client *http.Client
	// Progress, if not nil, is called after each page with the number of pages read.
	Progress func(pages int)

	pause time.Duration    // before a second attempt; 0 means half a second
	now   func() time.Time // nil means [time.Now]
}

// Pages identifies the pages of a list, so that the next reading can detect changes.
type Pages []Page

// Page is a page of a list.
type Page struct {
	ETag string   `json:"etag,omitzero"`
	Next string   `json:"next,omitzero"` // URL of the next page
	Full bool     `json:"full,omitzero"`
	Sum  [32]byte `json:"sum"` // SHA-256 of the body
}

// ErrUnchanged is returned if a list has not changed since the last reading.
var ErrUnchanged = errors.New("the list has not changed")

// RateLimitError reports that an API's rate limit is reached.
type RateLimitError struct{ Until time.Time }

func (e *RateLimitError) Error() string {
	return fmt.Sprintf("the API's rate limit is reached until %s: wait, or use a token that has not reached it", e.Until.Local().Format("2006-01-02 15:04:05 MST"))
}

// Releases returns all releases of the repository, and the pages of the list. The error
// wraps [ErrUnchanged] if the list still has the pages of the last reading. With a token,
// requests for unchanged pages do not count against GitHub's rate limit.
//
// Releases reads a list of several pages until it does not change meanwhile. A release that
// is added or deleted moves others to another page.
func (g *GitHub) Releases(ctx context.Context, last Pages) (catalog.List, Pages, error) {
	r := gitHubReader{GitHub: g, fetch: newFetcher(g.Client)}
	defer r.fetch.close()
	if len(last) > 0 {
		same, err := r.unchanged(ctx, last)
		if err != nil || same {
			return catalog.List{}, last, cmp.Or(err, ErrUnchanged)
		}
	}
	const attempts = 3
	for range attempts {
		l, pages, err := r.readPages(ctx)
		if err != nil {
			return catalog.List{}, nil, err
		}
		stable := len(pages) == 1
		if !stable {
			if stable, err = r.unchanged(ctx, pages); err != nil {
				return catalog.List{}, nil, err
			}
		}
		if stable {
			list, err := l.list()
			list.Name, list.Whole, list.Hint = "github:"+g.Repo, true, r.renamed
			return list, pages, err
		}
	}
	return catalog.List{}, nil, fmt.Errorf("the releases of %s change while they are read: try again", g.Repo)
}

// gitHubReader is one reading of a list.
type gitHubReader struct {
	*GitHub
	fetch   *fetcher
	renamed string // a hint, or empty
}

// page is a response with a page.
type page struct {
	Page
	unchanged bool
	body      []byte
}

// first returns the URL of the first page.
func (r *gitHubReader) first() (*url.URL, error) {
	u, err := url.Parse(cmp.Or(r.API, GitHubAPI))
	if err != nil || u.Host == "" {
		return nil, errors.New("the address of the API is invalid: it is like https://github.example.com/api/v3")
	}
	u = u.JoinPath("repos", r.Repo, "releases")
	u.RawQuery = url.Values{"per_page": {strconv.Itoa(perPage)}, "limit": {strconv.Itoa(perPage)}}.Encode() // limit is Gitea's name
	return u, nil
}

// readPages reads all pages.
func (r *gitHubReader) readPages(ctx context.Context) (l *listReader, pages Pages, err error) {
	u, err := r.first()
	l = newListReader(gitHubForm)
	for size := 0; err == nil && u != nil; {
		var p *page
		if p, err = r.get(ctx, u, ""); err != nil {
			break
		}
		if n := len(pages); n > 0 && pages[n-1].Full && pages[n-1].Sum == p.Sum { // the server has only one page
			pages[n-1].Next = ""
			break
		}
		before := l.entries
		if err := l.addAll(p.body); err != nil {
			return nil, nil, fmt.Errorf("page %d: %w", len(pages)+1, err)
		}
		if p.Full = l.entries-before >= perPage; p.Full && p.Next == "" {
			p.Next = following(u)
		}
		pages = append(pages, p.Page)
		if r.Progress != nil {
			r.Progress(len(pages))
		}
		if size += len(p.body); size > maxFile {
			return nil, nil, fmt.Errorf("%w: over %d MB", fetch.ErrTooLong, maxFile>>20)
		}
		if len(pages) > maxPages {
			return nil, nil, fmt.Errorf("more than %d pages of releases", maxPages)
		}
		u, err = p.next()
	}
	return l, pages, err
}

// addAll parses an array of entries.
func (l *listReader) addAll(text []byte) error {
	var entries []jsontext.Value
	if err := json.Unmarshal(text, &entries, lenient); err != nil {
		return syntaxError(text, err)
	}
	for _, raw := range entries {
		l.add(raw)
	}
	return nil
}

// following returns the URL of the page after a full one without a link to the next. A
// proxy or a cache may have removed the link. If there are no more releases, the page is
// empty.
func following(u *url.URL) string {
	next, query := *u, u.Query()
	number, _ := strconv.Atoi(query.Get("page"))
	query.Set("page", strconv.Itoa(max(number, 1)+1))
	next.RawQuery = query.Encode()
	return next.String()
}

// next returns the URL of the next page, or nil.
func (p *Page) next() (*url.URL, error) {
	if p.Next == "" {
		return nil, nil
	}
	return url.Parse(p.Next)
}

// unchanged reports whether the list still consists of these pages.
func (r *gitHubReader) unchanged(ctx context.Context, pages Pages) (bool, error) {
	u, err := r.first()
	for i, was := range pages {
		if err != nil || u == nil {
			return false, err
		}
		p, err := r.get(ctx, u, was.ETag)
		if i > 0 && errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		if err != nil || !p.unchanged && p.Sum != was.Sum {
			return false, err
		}
		if p.unchanged || was.Full && p.Next == "" { // servers need not repeat the link
			p.Next = was.Next
		}
		if u, err = p.next(); err != nil {
			return false, nil
		}
	}
	return u == nil, err
}

// get requests a page, and retries after temporary errors.
func (r *gitHubReader) get(ctx context.Context, u *url.URL, etag string) (p *page, err error) {
	err = attempts(ctx, r.pause, func() error {
		p, err = r.request(ctx, u, etag)
		return err
	})
	if err != nil {
		err = fmt.Errorf("read releases of %s: %w", r.Repo, err)
	}
	return p, err
}

func (r *gitHubReader) request(ctx context.Context, u *url.URL, etag string) (*page, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fetch.WithoutURL(err)
	}
	req.Header.Set("Accept", "application/vnd.github+json")
	if r.Token != "" {
		req.Header.Set("Authorization", "Bearer "+r.Token)
	}
	if etag != "" {
		req.Header.Set("If-None-Match", etag)
	}
	resp, err := fetch.Do(r.fetch.client, req, fetch.Patience)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	p := &page{Page: Page{ETag: resp.Header.Get("ETag")}, unchanged: resp.StatusCode == http.StatusNotModified}
	if p.Next, err = nextPage(resp); err != nil || p.unchanged {
		return p, err
	}
	if p.body, err = fetch.ReadAll(resp.Body, maxPage); err != nil {
		return nil, err
	}
	if err := r.refusal(resp, p.body); err != nil {
		return nil, err
	}
	r.noteRename(req.URL, resp.Request.URL, p.body)
	p.Sum = sha256.Sum256(p.body)
	return p, nil
}

// refusal returns an error about a response other than 200.
func (r *gitHubReader) refusal(resp *http.Response, body []byte) error {
	var explained struct {
		Message string `json:"message"`
	}
	json.Unmarshal(body, &explained, lenient)
	now := time.Now
	if r.now != nil {
		now = r.now
	}
	until := limitedUntil(resp.Header, explained.Message, now())
	switch err := fetch.Check(resp); {
	case !until.IsZero() && (resp.StatusCode == http.StatusForbidden || resp.StatusCode == http.StatusTooManyRequests):
		return &RateLimitError{until}
	case resp.StatusCode == http.StatusUnauthorized:
		return fmt.Errorf("%w: the token is not valid", err)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: check the owner and the name; a private repository needs a token", err)
	case err == nil || fetch.IsTemporary(err) || explained.Message == "":
		return err
	default:
		return fmt.Errorf("%w: %s", err, quote(explained.Message))
	}
}

// secondaryLimit matches the message about a rate limit that is not in the headers.
var secondaryLimit = regexp.MustCompile(`(?i)secondary rate limit|abuse detection`)

// limitedUntil returns when the rate limit of a response ends, or zero if there is none.
func limitedUntil(h http.Header, message string, now time.Time) time.Time {
	if wait, ok := fetch.RetryAfter(h, now); ok {
		return now.Add(min(wait, MaxLimit))
	}
	if reset, err := strconv.ParseInt(h.Get("X-Ratelimit-Reset"), 10, 64); err == nil && h.Get("X-Ratelimit-Remaining") == "0" {
		if until := time.Unix(reset, 0); until.After(now) && until.Sub(now) < MaxLimit {
			return until
		}
		return now.Add(time.Minute) // the clocks differ
	}
	if secondaryLimit.MatchString(message) {
		return now.Add(time.Minute) // as GitHub's documentation advises
	}
	return time.Time{}
}

// nextLink matches the link to the next page in a Link header (RFC 8288).
var nextLink = regexp.MustCompile(`<([^<>]*)>\s*;\s*rel="?next"?(?:\s*[,;]|$)`)

// nextPage returns the URL of the next page, or "".
func nextPage(resp *http.Response) (string, error) {
	m := nextLink.FindStringSubmatch(strings.Join(resp.Header.Values("Link"), ","))
	if m == nil {
		return "", nil
	}
	next, err := resp.Request.URL.Parse(m[1])
	if err != nil {
		return "", errors.New("the link to the next page is invalid")
	}
	if at := resp.Request.URL; next.Scheme != at.Scheme || next.Host != at.Host { // it would get the token
		return "", fmt.Errorf("the next page is on another server, %s", quote(next.Host))
	}
	return next.String(), nil
}

// noteRename sets a hint if the request was redirected to a repository of another name.
func (r *gitHubReader) noteRename(from, to *url.URL, body []byte) {
	if from.Path == to.Path || r.renamed != "" {
		return
	}
	var releases []struct {
		URL string `json:"html_url"`
	}
	name := "another name"
	if json.Unmarshal(body, &releases, lenient) == nil && len(releases) > 0 {
		if u, err := url.Parse(releases[0].URL); err == nil {
			if parts := strings.SplitN(strings.TrimPrefix(u.Path, "/"), "/", 3); len(parts) == 3 {
				name = parts[0] + "/" + parts[1]
			}
		}
	}
	if !strings.EqualFold(name, r.Repo) {
		r.renamed = fmt.Sprintf("repository %s was renamed to %s: use that name", r.Repo, quote(name))
	}
}
