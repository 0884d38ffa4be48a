package server_test

import (
	"bufio"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"relcheck/checker/manual"
	"relcheck/checker/server"
	"relcheck/checker/server/dialect"
)

var pageLink = regexp.MustCompile(`href="(/[^"#]*)`)

// TestDocsPages checks that the pages of the manual have the texts of its topics, and that
// all links on them and on the privacy page lead to a page.
func TestDocsPages(t *testing.T) {
	const root = "/releases"
	s := newServiceWith(t, serviceOptions{Options: server.Options{Base: "http://example.com" + root}})
	get := func(path string) reply {
		r := httptest.NewRequest("GET", path, nil)
		r.Header.Set("Accept", "text/html")
		return s.send(t, r)
	}
	contents, links := get(root+"/docs"), map[string]bool{}
	pages := []reply{contents, get(root + "/privacy")}
	for _, topic := range manual.Topics() {
		page := get(root + "/docs/" + topic.Name)
		pages = append(pages, page)
		text, _, err := manual.HTML(topic.Text, root+"/docs")
		if err != nil || page.StatusCode != http.StatusOK || !strings.Contains(page.body, string(text)) {
			t.Errorf("%s: got status %d (%v) and not the text of the topic", topic.Name, page.StatusCode, err)
		}
		if !strings.Contains(contents.body, `<a href="`+root+"/docs/"+topic.Name+`">`+topic.Title) {
			t.Errorf("the contents lack %s", topic.Name)
		}
	}
	for _, page := range pages {
		for _, m := range pageLink.FindAllStringSubmatch(page.body, -1) {
			links[m[1]] = true
		}
	}
	for link := range links {
		if got := get(link); !strings.HasPrefix(link, root) || got.StatusCode != http.StatusOK {
			t.Errorf("link to %s: got status %d", link, got.StatusCode)
		}
	}
	if got := get(root + "/docs/nothing"); got.StatusCode != http.StatusNotFound {
		t.Errorf("got status %d for an unknown topic, want 404", got.StatusCode)
	}
}

// TestDialectsInManual checks that the manual explains how to point the clients of each
// dialect to the service, and of no other.
func TestDialectsInManual(t *testing.T) {
	topic, _ := manual.Find("dialects")
	_, table, _ := strings.Cut(topic.Text, "\n## Clients\n")
	table, _, _ = strings.Cut(table, "\n### ")
	var got []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z0-9-]+)` \\|").FindAllStringSubmatch(table, -1) {
		got = append(got, m[1])
	}
	want := slices.Collect(maps.Keys(dialect.BuiltIn()))
	for _, name := range newService(t).handler.DialectsInGo() {
		if name != "report" {
			want = append(want, name)
		}
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestReportInManual sends the report in the manual.
func TestReportInManual(t *testing.T) {
	topic, _ := manual.Find("api")
	block := regexp.MustCompile("(?s)```http\n(.*?)\n```").FindStringSubmatch(topic.Text)
	if block == nil {
		t.Fatal("the manual has no report")
	}
	head, body, _ := strings.Cut(block[1], "\n\n")
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.ReplaceAll(head, "\n", "\r\n") + "\r\nHost: example.com\r\n\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	s := newService(t, releases("v0.12.3 v1.22.2")...)
	if got := s.send(t, r); got.StatusCode != http.StatusOK || !strings.Contains(got.body, `"latest_release":"v1.22.2"`) || len(s.reports(t, "opa")) != 1 {
		t.Errorf("got status %d: %s", got.StatusCode, got.body)
	}
}

// TestPrivacyPage checks that the privacy page has the bytes of a report and the settings.
func TestPrivacyPage(t *testing.T) {
	s := newServiceWith(t, serviceOptions{Options: server.Options{KeepReports: 36 * 3600e9}})
	page := s.send(t, httptest.NewRequest("GET", "/privacy", nil)).body
	for _, want := range []string{"POST /v1/version HTTP/1.1\nHost: ", "User-Agent: Open Policy Agent/v0.70.0 (linux, amd64)\n", "Deleted after 36 hours.", "<code>DO_NOT_TRACK=1</code>"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}
