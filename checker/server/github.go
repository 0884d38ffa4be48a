package server

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"relcheck/checker/catalog"
)

const (
	githubPerPage, maxGitHubPerPage = 30, 100

	// maxGitHubBody is the size of the largest list in bytes: 100 releases can have 100,000
	// files.
	maxGitHubBody = 32 << 20

	// maxNotesWait is how long the answer about the latest release waits for its notes.
	// Clients get it even if the store is unavailable.
	maxNotesWait = 250 * time.Millisecond
)

// enterprise is the start of the path of the API on a GitHub Enterprise Server.
const enterprise = "/api/v3"

var githubPatterns = []string{
	"/repos/{owner}/{repo}/releases/{rest...}", "/repos/{owner}/{repo}/releases", "/repos/{owner}/{repo}/tags",
	enterprise + "/repos/{owner}/{repo}/releases/{rest...}", enterprise + "/repos/{owner}/{repo}/releases", enterprise + "/repos/{owner}/{repo}/tags",
	"/{owner}/{repo}/releases.atom", feedPath, "/{owner}/{repo}/releases/download/{file...}", "/graphql", "/api/graphql",
}

// exposed are the headers that clients in web pages can read, as at GitHub.
var exposed = []string{"ETag, Link"}

// githubCall is a call in the form of GitHub's REST API.
type githubCall struct {
	s     *Server
	c     *call
	w     http.ResponseWriter
	r     *http.Request
	links callLinks
	owner string
	repo  string // "owner/name" in links
	api   string // what links to the API begin with
}

// github answers in the form of GitHub's REST API (https://docs.github.com/rest/releases). It
// offers the releases of the channel, with pre-releases. Under /p/{product}, the repository
// in the path is ignored.
func (s *Server) github(w http.ResponseWriter, r *http.Request, c *call) error {
	w.Header()["Access-Control-Expose-Headers"] = exposed
	isFeed := c.vars.Get("owner") == "" && path.Base(c.path) == path.Base(feedPath)
	switch {
	case isFeed && c.product == nil: // it is that of no product
		return errNotOffered
	case c.vars.Get("owner") == "" && !isFeed:
		return s.graphQL(w, r, c)
	}
	if err := only(http.MethodGet, w, r); err != nil {
		return err
	}
	g := &githubCall{s: s, c: c, w: w, r: r, links: callLinks{s, c}, repo: c.Repo}
	if g.repo == "" {
		g.repo = c.Name + "/" + c.Name
	}
	g.owner, _, _ = strings.Cut(g.repo, "/")
	plain, err := url.PathUnescape(c.path) // patterns match unescaped texts
	if err != nil {
		return errNotOffered
	}
	prefix := "/repos/"
	if strings.HasPrefix(plain, enterprise+"/") {
		prefix = enterprise + prefix
	}
	g.api = c.base + prefix + g.repo
	rest, file := c.vars.Get("rest"), c.vars.Get("file")
	switch last := path.Base(plain); {
	case isFeed:
		return g.productFeed()
	case file != "":
		return g.download(file)
	case rest == "latest":
		return g.latest()
	case rest != "":
		return g.one(rest)
	case last == "releases.atom":
		return g.feed()
	case last == "tags":
		return g.tags()
	}
	return g.list()
}

// only returns an error unless the request has the method. HEAD counts as GET.
func only(method string, w http.ResponseWriter, r *http.Request) error {
	if r.Method == method || r.Method == http.MethodHead && method == http.MethodGet {
		return nil
	}
	allow := "GET, HEAD, OPTIONS"
	if method == http.MethodPost {
		allow = "OPTIONS, POST"
	}
	w.Header().Set("Allow", allow)
	return fail(http.StatusMethodNotAllowed, "method_not_allowed", "", "use one of the methods: "+allow)
}

// errNotOffered is the failure if a client asks for a release or file that is not offered.
var errNotOffered = fail(http.StatusNotFound, "not_found", "", "the product offers no such release or file")

// latest answers with the latest release of the channel. It is the check of Open Policy
// Agent since v1.7.
func (g *githubCall) latest() error {
	g.s.check(g.w, g.r, g.c)
	r := g.c.channel.Latest
	if r == nil {
		return g.noRelease()
	}
	return g.send(githubAnswer{key: "latest", notes: []*catalog.Ranked{r}, urgent: true, body: func(notes map[string]string) ([]byte, error) {
		return encode(g.newRelease(r, notes[r.Tag])), nil
	}})
}

// noRelease returns the failure of a product without releases. An empty list would look like
// an up-to-date client.
func (g *githubCall) noRelease() error {
	message := "no release can be offered yet"
	if previews := g.c.channel.Previews; len(previews) > 0 {
		message = "only pre-releases of this product are known, such as " + previews[0].Tag
	}
	return fail(http.StatusNotFound, "not_found", "", message)
}

// list answers with a page of the releases, newest first.
func (g *githubCall) list() error {
	all := g.c.channel.offered()
	if len(all) == 0 {
		g.s.check(g.w, g.r, g.c)
		return g.noRelease()
	}
	p := g.page("/releases", len(all))
	if p.n == 1 { // one check may read several pages
		g.s.check(g.w, g.r, g.c)
	}
	releases := all[p.from:p.to]
	return g.send(githubAnswer{page: p, notes: releases, body: func(notes map[string]string) ([]byte, error) {
		return encodeList(releases, func(r *catalog.Ranked) any { return g.newRelease(r, notes[r.Tag]) })
	}})
}

// tags answers with a page of the tags of the releases.
func (g *githubCall) tags() error {
	all := g.c.channel.offered()
	if len(all) == 0 {
		return g.noRelease()
	}
	p := g.page("/tags", len(all))
	return g.send(githubAnswer{page: p, body: func(map[string]string) ([]byte, error) {
		return encodeList(all[p.from:p.to], func(r *catalog.Ranked) any { return g.newTag(r) })
	}})
}

// one answers a request for what has the path rest below that of the releases.
func (g *githubCall) one(rest string) error {
	first, after, found := strings.Cut(rest, "/")
	switch {
	case first == "tags":
		return g.sendRelease(g.tagged(after))
	case first == "assets":
		return g.sendAsset(after)
	case after == "assets":
		return g.sendAssets(g.identified(first))
	case found:
		return errNotOffered
	}
	return g.sendRelease(g.identified(first))
}

// tagged returns the release with a tag, or with a version, if it is offered. electron-updater
// asks for "v" and a version, whatever the tag is.
func (g *githubCall) tagged(tag string) *catalog.Ranked {
	r := cmp.Or(g.c.tagged(tag), g.c.find(tag))
	if !slices.Contains(g.c.channel.offered(), r) {
		return nil
	}
	return r
}

// identified returns the offered release with an ID, or nil.
func (g *githubCall) identified(text string) *catalog.Ranked {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil
	}
	for _, r := range g.c.channel.offered() {
		if r.ID == id {
			return r
		}
	}
	return nil
}

func (g *githubCall) sendRelease(r *catalog.Ranked) error {
	if r == nil {
		return errNotOffered
	}
	return g.send(githubAnswer{key: "release " + r.Tag, notes: []*catalog.Ranked{r}, body: func(notes map[string]string) ([]byte, error) {
		return encode(g.newRelease(r, notes[r.Tag])), nil
	}})
}

// githubPage is a page of a list.
type githubPage struct {
	path     string // of the list
	n, per   int    // its number, and the number of items on a page
	from, to int    // its items
	total    int    // items of the list
}

// page returns the page of a list that is requested. If there is no such page, it is empty.
func (g *githubCall) page(path string, total int) *githubPage {
	p := &githubPage{path: path, n: 1, per: githubPerPage, total: total}
	if g.r.URL.RawQuery != "" {
		query := g.r.URL.Query()
		set := func(n *int, name string) {
			if given, err := strconv.Atoi(query.Get(name)); err == nil && given >= 1 && given < 1<<31 {
				*n = given
			}
		}
		set(&p.n, "page")
		set(&p.per, "per_page")
		p.per = min(p.per, maxGitHubPerPage)
	}
	p.from = min((p.n-1)*p.per, total)
	p.to = min(p.from+p.per, total)
	return p
}

// key identifies the page among the answers of a channel. All pages beyond the end are equal.
func (p *githubPage) key() string {
	if p.from == p.total {
		return p.path
	}
	return p.path + " " + strconv.Itoa(p.per) + " " + strconv.Itoa(p.n)
}

// link returns the header Link, or "". The links in it begin with api.
func (p *githubPage) link(api string) string {
	if p.from == p.total {
		return ""
	}
	var links []string
	add := func(rel string, n int) {
		links = append(links, fmt.Sprintf(`<%s%s?per_page=%d&page=%d>; rel="%s"`, api, p.path, p.per, n, rel))
	}
	last := (p.total-1)/p.per + 1
	if p.n > 1 {
		add("prev", p.n-1)
	}
	if p.n < last {
		add("next", p.n+1)
		add("last", last)
	}
	if p.n > 1 {
		add("first", 1)
	}
	return strings.Join(links, ", ")
}

// githubAnswer describes an answer.
type githubAnswer struct {
	page   *githubPage       // nil if it is no list
	key    string            // identifies it among the answers of the channel, if it is no list
	notes  []*catalog.Ranked // the releases whose notes it contains
	urgent bool              // it is sent without the notes if the store does not answer
	kind   []string          // Content-Type; default: JSON

	// body returns the body with the notes of releases, by tag.
	body func(notes map[string]string) ([]byte, error)
}

var varyByEncoding, varyByAccept = []string{"Accept-Encoding"}, []string{"Accept, Accept-Encoding"}

// send sends an answer.
func (g *githubCall) send(a githubAnswer) error {
	if h := g.w.Header(); h["Vary"] == nil {
		h["Vary"] = varyByEncoding
	}
	if a.page != nil {
		a.key = a.page.key()
	}
	k := answerKey{entry: g.c.entry, channel: g.c.channel, base: g.api, rest: a.key, gzipped: acceptsGzip(g.r)}
	if known := g.c.snap.answers.get(k); known != nil {
		return known.send(g.w, g.r)
	}
	return g.make(k, a)
}

// make makes and sends an answer. It reads the notes before it waits for its turn, so that a
// slow store does not delay other answers.
func (g *githubCall) make(k answerKey, a githubAnswer) (err error) {
	var notes map[string]string
	if len(a.notes) > 0 {
		if notes, err = g.readNotes(a.notes, a.urgent); err != nil && !a.urgent {
			return err
		}
	}
	complete := err == nil
	return g.s.makeAnswer(g.w, g.r, g.c, k, func() (*answer, error) {
		body, err := a.body(notes)
		if err != nil {
			return nil, err
		}
		h := http.Header{"Content-Type": jsonType}
		if a.kind != nil {
			h["Content-Type"] = a.kind
		}
		if a.page != nil {
			if link := a.page.link(g.api); link != "" {
				h["Link"] = []string{link}
			}
		}
		z := zippedFor(g.r, body)
		if z.gzipped {
			h["Content-Encoding"] = []string{"gzip"}
		}
		made := newAnswer(http.StatusOK, h, z.body)
		made.keep = complete
		return made, nil
	})
}

// readNotes returns the notes of releases in Markdown, by tag.
func (g *githubCall) readNotes(releases []*catalog.Ranked, urgent bool) (map[string]string, error) {
	wait := storeTimeout
	if urgent {
		wait = maxNotesWait
	}
	ctx, cancel := context.WithTimeout(g.r.Context(), wait)
	defer cancel()
	var tags []string
	for _, r := range releases {
		tags = append(tags, r.Tag)
	}
	notes, err := g.s.store.Texts(ctx, g.c.Name, tags)
	if err != nil && !urgent {
		g.s.log.Error("cannot read the notes of releases", "product", g.c.Name, "err", err)
	}
	if err != nil {
		return nil, unavailable("not_read", "the notes of the releases could not be read; try again later")
	}
	return notes, nil
}

// encodeList returns a JSON array, with a line for each item.
func encodeList[T any](items []T, form func(T) any) ([]byte, error) {
	b := []byte("[")
	for i, item := range items {
		if i > 0 {
			b = append(b, ',')
		}
		if b = append(b, encode(form(item))...); len(b) > maxGitHubBody {
			return nil, fail(http.StatusUnprocessableEntity, "too_large", "per_page", "the list is larger than 32 MB; ask for fewer releases with per_page")
		}
	}
	return append(b, "]\n"...), nil
}

// failGitHub answers with an error that clients of GitHub's API understand, too.
func failGitHub(s *Server, w http.ResponseWriter, err error) {
	f := failureOf(err)
	message := f.message
	if f.status == http.StatusNotFound {
		message = "Not Found"
	}
	f.setRetryAfter(w.Header())
	writeJSON(w, f.status, encode(struct {
		Message       string  `json:"message"`
		Documentation string  `json:"documentation_url"`
		Status        string  `json:"status"`
		Error         problem `json:"error"`
	}{message, s.options.Base + "/connect", strconv.Itoa(f.status), f.problem()}))
}
