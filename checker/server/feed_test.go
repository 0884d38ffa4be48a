package server_test

import (
	"encoding/xml"
	"net/http"
	"strings"
	"testing"
)

// TestFeed checks the feed of a product: it needs no token, and each entry has the notes and a
// link to them.
func TestFeed(t *testing.T) {
	s := newService(t)
	p := s.newProduct(t, "app", `{"repo":"me/app","title":"My & App","notes_here":true,"channels":[{"name":"lts","match":"<2"}]}`)
	p.publish(`v1.0.0{"date":"2026-01-31","body":"**new**&<script>x</script>"}`)
	p.publish(`v2.0.0-rc.1{"date":"2026-03-01","title":"Second"}`)
	p.publish(`v2.0.0{"date":"2026-02-28"}`)
	var feed struct {
		ID      string `xml:"id"`
		Title   string `xml:"title"`
		Updated string `xml:"updated"`
		Links   []struct {
			Rel string `xml:"rel,attr"`
			URL string `xml:"href,attr"`
		} `xml:"link"`
		Entries []struct {
			ID      string `xml:"id"`
			Title   string `xml:"title"`
			Updated string `xml:"updated"`
			Link    struct {
				URL string `xml:"href,attr"`
			} `xml:"link"`
			Category struct {
				Term string `xml:"term,attr"`
			} `xml:"category"`
			Content struct {
				Type string `xml:"type,attr"`
				Text string `xml:",chardata"`
			} `xml:"content"`
		} `xml:"entry"`
	}
	read := func(path string) {
		t.Helper()
		got := s.get(t, "GET", path)
		feed.Entries, feed.Links = nil, nil
		if err := xml.Unmarshal([]byte(got.body), &feed); err != nil || got.StatusCode != http.StatusOK || got.Header.Get("Content-Type") != "application/atom+xml; charset=utf-8" {
			t.Fatalf("%s: got status %d, %s and error %v, want a feed", path, got.StatusCode, got.Header.Get("Content-Type"), err)
		}
	}
	read("/p/app/releases.atom")
	if feed.Title != "Releases of My & App" || feed.Updated != "2026-03-01T00:00:00Z" || !strings.HasSuffix(feed.ID, "/p/app/releases.atom") || feed.Links[0].URL != feed.ID || !strings.HasSuffix(feed.Links[1].URL, "/products/app/releases") {
		t.Errorf("got feed %+v", feed)
	}
	if len(feed.Entries) != 3 {
		t.Fatalf("got %d entries, want 3: %+v", len(feed.Entries), feed)
	}
	for i, want := range []struct{ tag, title, term string }{{"v2.0.0", "v2.0.0", ""}, {"v2.0.0-rc.1", "Second", "pre-release"}, {"v1.0.0", "v1.0.0", ""}} {
		e := feed.Entries[i]
		if e.Title != want.title || e.Category.Term != want.term || !strings.HasSuffix(e.ID, "/products/app/releases/"+want.tag) || e.Link.URL != e.ID {
			t.Errorf("entry %d: got %+v, want %+v", i, e, want)
		}
	}
	notes := feed.Entries[2].Content
	if notes.Type != "html" || !strings.Contains(notes.Text, "<strong>new</strong>&amp;") || strings.Contains(notes.Text, "<script>") {
		t.Errorf("got content %+v, want HTML of the notes without scripts", notes)
	}
	read("/p/app@lts/releases.atom")
	if len(feed.Entries) != 1 || !strings.HasSuffix(feed.ID, "/p/app@lts/releases.atom") {
		t.Errorf("channel: got feed %+v, want one entry", feed)
	}
	read("/p/relcheck/releases.atom") // without releases
	for path, want := range map[string]int{"/releases.atom": 404, "/p/none/releases.atom": 404} {
		if got := s.get(t, "GET", path).StatusCode; got != want {
			t.Errorf("%s: got status %d, want %d", path, got, want)
		}
	}
	_, token := s.token(t)
	if page := s.page(t, "/products/app/releases", token).body; !strings.Contains(page, `<link rel="alternate" type="application/atom+xml" href="/p/app/releases.atom">`) {
		t.Errorf("the page of the releases does not link to the feed:\n%s", page)
	}
}
