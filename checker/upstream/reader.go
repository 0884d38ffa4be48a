package upstream

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"relcheck/checker/catalog"
	"relcheck/checker/fetch"
)

// Reader reads the lists of upstreams. Several goroutines can use it.
type Reader struct {
	Tokens Tokens // see SetTokens
	// Client makes the requests. Default: clients with time limits. See [Proxy].
	Client *http.Client
	// Modules is a list of Go module proxies; see [Proxy.List].
	Modules string
	// Now returns the time. Default: [time.Now].
	Now func() time.Time

	pause time.Duration // before a second attempt; 0 means half a second

	mu      sync.Mutex
	limited map[string]time.Time // end of the rate limit, by the keys of limitKey
}

// Source is a list to read.
type Source struct {
	catalog.UpstreamName
	// State identifies the list of the last reading. It may be empty.
	State []byte
	// Siblings are the other upstreams of the product.
	Siblings []catalog.UpstreamName
	// Dates returns the known dates of commits by tag. Files returns the known files of
	// releases by tag. Known dates and checksums are not requested again. Both may be nil.
	Dates func() (map[string]time.Time, error)
	Files func() (map[string][]catalog.File, error)
	// Progress, if not nil, is called while the list is read, with a text such as
	// "3 pages".
	Progress func(text string)
}

// state is the JSON form of [Source.State].
type state struct {
	Pages   Pages    `json:"pages,omitzero"`   // of an API in GitHub's form
	ETag    string   `json:"etag,omitzero"`    // of another relcheck
	Sum     string   `json:"sum,omitzero"`     // of other lists
	Pending []string `json:"pending,omitzero"` // tags of releases whose checksum files are not read yet

	Limited time.Time `json:"limited,omitzero"` // end of the rate limit of the API
	Token   string    `json:"token,omitzero"`   // tokenID of the token that reached it
}

// Read returns the whole list of an upstream, and its state. The list has the name of the
// upstream and contains only upstream's layers. The error wraps [ErrUnchanged] if the list
// has not changed since the last reading.
func (r *Reader) Read(ctx context.Context, from Source) (list catalog.List, newState []byte, err error) {
	if from.Progress == nil {
		from.Progress = func(string) {}
	}
	var last, next state
	json.Unmarshal(from.State, &last) // if a later version wrote an unreadable state, read the list again
	switch from.Kind {
	case catalog.GitHubUpstream:
		list, next, err = r.readGitHub(ctx, from, last)
	case catalog.GoUpstream:
		list, err = r.readModule(ctx, from)
	case catalog.RelcheckUpstream:
		list, next.ETag, err = r.readRelcheck(ctx, from, last.ETag)
	case catalog.FileUpstream:
		list, err = readPath(from.Path)
	default:
		err = fmt.Errorf("unknown kind of upstream %s", from.UpstreamName)
	}
	if fetch.IsTemporary(err) {
		err = fmt.Errorf("%w: try again later, and check the connection if that does not help", err)
	}
	if err != nil {
		return catalog.List{}, nil, err
	}
	list.Name, list.Exact = from.UpstreamName.String(), from.Kind == catalog.RelcheckUpstream
	mergeLayers(&list)
	if !list.Exact {
		list.Settings = nil // of an export in a file
	}
	if from.Kind == catalog.GoUpstream || from.Kind == catalog.FileUpstream {
		next.Sum = sumOf(list)
		if next.Sum == last.Sum {
			return catalog.List{}, nil, ErrUnchanged
		}
	}
	newState, err = json.Marshal(next)
	return list, newState, err
}

// SetTokens replaces the tokens.
func (r *Reader) SetTokens(tokens Tokens) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Tokens = tokens
}

// token returns the token for a URL, or "".
func (r *Reader) token(address string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.Tokens.of(address)
}

// sumOf returns a checksum of a list.
func sumOf(list catalog.List) string {
	text, err := json.Marshal(list)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// now returns the time.
func (r *Reader) now() time.Time {
	if r.Now != nil {
		return r.Now()
	}
	return time.Now()
}

// LimitedUntil returns when the rate limit of an upstream ends, or zero if none is known.
func (r *Reader) LimitedUntil(s catalog.UpstreamName) time.Time {
	if s.Kind != catalog.GitHubUpstream {
		return time.Time{}
	}
	key := limitKey(s, tokenID(r.token(apiOf(s))))
	r.mu.Lock()
	defer r.mu.Unlock()
	if until := r.limited[key]; until.After(r.now()) {
		return until
	}
	return time.Time{}
}

// apiOf returns the address of an upstream's API.
func apiOf(s catalog.UpstreamName) string { return cmp.Or(s.API, GitHubAPI) }

// limitKey identifies the rate limit of an API. Each token has its own.
func limitKey(s catalog.UpstreamName, tokenID string) string { return apiOf(s) + " " + tokenID }

// tokenID returns a short hash of a token, or "" for none.
func tokenID(token string) string {
	if token == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:4])
}

// RememberLimit remembers the rate limit in the state of an upstream, if there is one.
func (r *Reader) RememberLimit(s catalog.UpstreamName, text []byte) {
	var last state
	if json.Unmarshal(text, &last) != nil || last.Limited.IsZero() || last.Limited.Sub(r.now()) > MaxLimit {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if key := limitKey(s, last.Token); last.Limited.After(r.limited[key]) {
		if r.limited == nil {
			r.limited = map[string]time.Time{}
		}
		r.limited[key] = last.Limited
	}
}

// LimitedState adds the rate limit of an error to the state of an upstream. It returns nil
// if the error is another one.
func (r *Reader) LimitedState(s catalog.UpstreamName, text []byte, err error) []byte {
	limit, last := new(RateLimitError), state{}
	if !errors.As(err, &limit) {
		return nil
	}
	json.Unmarshal(text, &last)
	last.Limited, last.Token = limit.Until, tokenID(r.token(apiOf(s)))
	text, _ = json.Marshal(last)
	return text
}

func (r *Reader) readGitHub(ctx context.Context, from Source, last state) (list catalog.List, next state, err error) {
	if until := r.LimitedUntil(from.UpstreamName); !until.IsZero() {
		return list, next, &RateLimitError{until}
	}
	defer func() { r.RememberLimit(from.UpstreamName, r.LimitedState(from.UpstreamName, nil, err)) }()
	api := apiOf(from.UpstreamName)
	g := &GitHub{API: api, Repo: from.Repo, Token: r.token(api), Client: r.Client, pause: r.pause, now: r.now,
		Progress: func(pages int) { from.Progress(fmt.Sprintf("page %d", pages)) }}
	if len(last.Pending) > 0 {
		last.Pages = nil // read the list even if it is unchanged
	}
	if list, next.Pages, err = g.Releases(ctx, last.Pages); err != nil {
		return list, next, err
	}
	c := checksumReader{from, ChecksumFiles{Client: r.Client, Follow: followFrom(api), max: maxChecksumFiles, pause: r.pause}}
	next.Pending, err = c.addTo(ctx, &list, last.Pending)
	return list, next, err
}

// followFrom returns the rule for URLs in an API's answers.
func followFrom(api string) func(context.Context, *url.URL) (context.Context, error) {
	return func(ctx context.Context, u *url.URL) (context.Context, error) {
		from, err := url.Parse(api)
		if err != nil {
			return nil, err
		}
		return fetch.Follow(ctx, from, u)
	}
}

func (r *Reader) readModule(ctx context.Context, from Source) (catalog.List, error) {
	proxy := Proxy{List: r.Modules, Client: r.Client, pause: r.pause,
		Progress: func(done, total int) { from.Progress(fmt.Sprintf("versions: %d of %d", done, total)) }}
	for _, s := range from.Siblings {
		if s.Kind == catalog.GoUpstream {
			proxy.Siblings = append(proxy.Siblings, s.Module)
		}
	}
	if from.Dates != nil {
		var err error
		if proxy.Known, err = from.Dates(); err != nil {
			return catalog.List{}, err
		}
	}
	lists, err := proxy.Releases(ctx, from.Module)
	if err != nil {
		return catalog.List{}, err
	}
	return lists[0], nil
}

// mergeLayers merges the layers of each entry of an export into upstream's layer. It skips
// entries that cannot be merged.
func mergeLayers(list *catalog.List) {
	p, err := list.Settings.Apply(catalog.Product{Name: "x"})
	if err != nil { // this version does not know the settings
		p = catalog.Product{}
	}
	scheme := p.Scheme()
	kept := list.Entries[:0]
	for _, e := range list.Entries {
		if list.Exact || e.Operator != nil || e.Upstream.Gone {
			e.Upstream, e.Operator = catalog.MergeLayers(scheme.Parse(e.Tag), &e.Upstream, e.Operator), nil
			if err := e.Upstream.Check(); err != nil { // too many files together
				list.Skipped = append(list.Skipped, fmt.Sprintf("release %s: %v", quote(e.Tag), err))
				list.Unread = append(list.Unread, e.Tag)
				continue
			}
		}
		kept = append(kept, e)
	}
	list.Entries = kept
}
