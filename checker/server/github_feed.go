package server

import (
	"cmp"
	"encoding/xml"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"relcheck/checker/catalog"
	"relcheck/checker/server/markdown"
)

// feedPath is the path of a product's feed for feed readers, below the prefix of the product.
const feedPath = "/releases.atom"

// atomFeed is a feed of releases in the form of Atom (RFC 4287).
type atomFeed struct {
	XMLName xml.Name    `xml:"http://www.w3.org/2005/Atom feed"`
	ID      string      `xml:"id"`
	Links   []atomLink  `xml:"link"`
	Title   string      `xml:"title"`
	Updated string      `xml:"updated"`
	Entries []atomEntry `xml:"entry"`
}

type atomEntry struct {
	ID       string        `xml:"id"`
	Updated  string        `xml:"updated"`
	Link     atomLink      `xml:"link"`
	Title    string        `xml:"title"`
	Category *atomCategory `xml:"category"`
	Content  atomText      `xml:"content"`
	Author   string        `xml:"author>name"`
}

type atomCategory struct {
	Term string `xml:"term,attr"`
}

type atomLink struct {
	Rel  string `xml:"rel,attr"`
	Type string `xml:"type,attr"`
	URL  string `xml:"href,attr"`
}

type atomText struct {
	Type string `xml:"type,attr"`
	Text string `xml:",chardata"`
}

var atomType = []string{"application/atom+xml; charset=utf-8"}

// feed answers with the feed of releases that electron-updater reads first. The link of each entry ends in
// /tag/ and one segment, because electron-updater reads the tag there.
func (g *githubCall) feed() error {
	all := g.c.channel.offered()
	if len(all) == 0 {
		return g.noRelease()
	}
	return g.send(githubAnswer{key: "atom", kind: atomType, body: func(map[string]string) ([]byte, error) {
		page := g.c.base + "/" + g.repo + "/releases"
		feed := atomFeed{ID: page, Links: []atomLink{{"alternate", "text/html", page}}, Title: "Releases of " + g.repo, Updated: githubTime(all[0].Date)}
		for _, r := range all[:min(len(all), githubPerPage)] {
			feed.Entries = append(feed.Entries, g.newAtomEntry(r, page+"/tag/"+url.PathEscape(r.Tag)))
		}
		body, err := xml.Marshal(feed)
		return append([]byte(xml.Header), body...), err
	}})
}

func (g *githubCall) newAtomEntry(r *catalog.Ranked, page string) atomEntry {
	title := cmp.Or(r.Title, r.Tag)
	return atomEntry{page, githubTime(r.Date), atomLink{"alternate", "text/html", page}, title, nil, atomText{"text", title}, g.owner}
}

// productFeed answers with the newest releases and their notes for feed readers.
func (g *githubCall) productFeed() error {
	all := g.c.channel.offered()
	all = all[:min(len(all), githubPerPage)]
	return g.send(githubAnswer{key: "feed", kind: atomType, notes: all, body: func(notes map[string]string) ([]byte, error) {
		self, page := g.c.base+feedPath, g.s.options.Base+"/products/"+g.c.Name+"/releases"
		feed := atomFeed{ID: self, Links: []atomLink{{"self", "application/atom+xml", self}, {"alternate", "text/html", page}}, Title: "Releases of " + g.c.Title}
		newest := time.Time{}
		for _, r := range all {
			if r.Date.After(newest) {
				newest = r.Date
			}
			id := page + "/" + url.PathEscape(r.Tag)
			e := atomEntry{id, githubTime(r.Date), atomLink{"alternate", "text/html", cmp.Or(g.links.Notes(r), id)}, cmp.Or(r.Title, r.Tag), nil, atomText{"html", string(markdown.Render(notes[r.Tag]))}, g.c.Title}
			if r.Prerelease {
				e.Category = &atomCategory{"pre-release"}
			}
			feed.Entries = append(feed.Entries, e)
		}
		feed.Updated = githubTime(newest)
		body, err := xml.Marshal(feed)
		return append([]byte(xml.Header), body...), err
	}})
}

// graphQL answers POST /graphql. gh asks whether a tag belongs to a draft, besides its
// requests to the REST API, and fails if it gets no answer.
func (s *Server) graphQL(w http.ResponseWriter, r *http.Request, c *call) error {
	if err := only(http.MethodPost, w, r); err != nil {
		return err
	}
	query, err := io.ReadAll(io.LimitReader(r.Body, maxRequestBody+1))
	if err != nil || len(query) > maxRequestBody {
		return fail(http.StatusBadRequest, "invalid_body", "", "the body is incomplete or larger than 16 KB")
	}
	answer := `{"errors":[{"type":"NOT_IMPLEMENTED","message":"this service has no list of releases in GraphQL: use gh release view TAG, or GET /repos/OWNER/REPO/releases"}]}`
	if strings.Contains(string(query), "release(tagName") {
		answer = `{"data":{"repository":{"release":null}}}`
	}
	return newJSON([]byte(answer+"\n")).send(w, r)
}
