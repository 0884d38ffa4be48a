package server_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"relcheck/checker/catalog"
	"relcheck/checker/printable"
	"relcheck/checker/server"
)

// elements and attributes are what pages may contain.
var elements = strings.Fields(`html head meta title link script body a header nav ul li form button main h1 h2 h3 footer p bdi
	section pre code div details summary label input datalist option select dl dt dd figure figcaption span table caption
	thead tbody tr th td svg g rect path line circle text ol`)

var attributes = strings.Fields(`lang charset name content rel href type src defer class id aria-label aria-labelledby data-dialect aria-hidden aria-current aria-invalid aria-describedby
	tabindex role scope method action value list placeholder size required spellcheck autocomplete selected for width height viewBox viewbox
	preserveaspectratio preserveAspectRatio x y x1 x2 y1 y2 dx cx cy r d xmlns open download data-quick autofocus`)

// TestHostileText checks that titles and versions are escaped, and shown without
// characters that hide or reorder text.
func TestHostileText(t *testing.T) {
	titles := []string{`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `</title></svg></style><svg onload=alert(1)>`, "a\u202eb\u2066c", `{{.}} ${x} ' & &lt;`}
	versions := []string{"--", "+cmd", "-1+1", strings.Repeat("z", 80), "v1.0.0--", "other", "v1.0.0-x.y", "..", "__proto__"}
	s := newServiceWith(t, serviceOptions{Options: server.Options{}})
	ctx := context.Background()
	for i, title := range titles {
		p := catalog.Product{Name: fmt.Sprintf("p%d", i), Title: title}
		if err := s.store.AddProduct(ctx, p); err != nil {
			t.Fatal(err)
		}
		s.put(t, p.Name, catalog.Release{Tag: "v1.0.0-" + strings.Repeat("y", 60), Prerelease: true}, catalog.Release{Tag: "v0.1.0", Notes: "https://example.com/'\"><b>"})
	}
	s.await(t, "/p/p4/repos/a/b/releases/latest", http.StatusOK)
	for n, version := range versions {
		for i := range titles {
			body := fmt.Sprintf(`{"id":"08c1d850-6065-478a-b9b5-a8f9f464a%03d","version":%q,"heap_usage_bytes":"%d"}`, n, version, 1000<<n)
			r := httptest.NewRequest("POST", fmt.Sprintf("/p/p%d/v1/version", i), strings.NewReader(body))
			if got := s.send(t, r); got.StatusCode != http.StatusOK {
				t.Fatalf("report of version %q: got status %d, want 200: %s", version, got.StatusCode, got.body)
			}
		}
	}
	if _, err := s.store.Fold(ctx); err != nil {
		t.Fatal(err)
	}
	_, token := s.token(t)
	for i, title := range titles {
		product := fmt.Sprintf("/products/p%d", i)
		for _, path := range []string{"/", product, product + "/versions", product + "/platforms", product + "/memory", product + "/activity", product + "/print",
			product + "/releases", product + "/connect", product + "?version=--&below=<b>"} {
			page := s.page(t, path, token)
			text := checkHTML(t, path, page.body)
			if !strings.Contains(text, printable.Clean(title)) {
				t.Errorf("%s: got no title %q", path, title)
			}
			if i := strings.IndexAny(page.body, "\u202e\u2066"); i >= 0 {
				t.Errorf("%s: got a character that reorders text: %.20q", path, page.body[i:])
			}
			for _, version := range versions {
				if path == product+"/versions" && !strings.Contains(text, version) {
					t.Errorf("%s: got no version %q", path, version)
				}
			}
		}
	}
}

// page requests a page as a browser does, with a token.
func (s *service) page(t testing.TB, path, token string) reply {
	t.Helper()
	r := httptest.NewRequest("GET", "/", nil)
	r.URL.Path, r.URL.RawQuery, _ = strings.Cut(path, "?")
	r.Header.Set("Accept", "text/html,*/*")
	r.Header.Set("Authorization", "Bearer "+token)
	got := s.send(t, r)
	if got.StatusCode >= 500 || !strings.HasPrefix(got.Header.Get("Content-Type"), "text/html") {
		t.Fatalf("GET %s: got status %d and body %s, want HTML", path, got.StatusCode, got.body)
	}
	return got
}

// checkHTML checks the elements and attributes of a page, and returns its text.
func checkHTML(t *testing.T, path, body string) string {
	t.Helper()
	root, err := html.Parse(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for n := range root.Descendants() {
		if n.Type == html.TextNode {
			text.WriteString(n.Data)
			if n.Parent.Data == "script" || n.Parent.Data == "style" {
				t.Errorf("%s: got <%s> with %q, want none inline", path, n.Parent.Data, n.Data)
			}
		}
		if n.Type != html.ElementNode {
			continue
		}
		if !slices.Contains(elements, n.Data) {
			t.Errorf("%s: got unexpected element <%s>", path, n.Data)
		}
		for _, a := range n.Attr {
			if !slices.Contains(attributes, a.Key) {
				t.Errorf("%s: got unexpected attribute %s=%q of <%s>", path, a.Key, a.Val, n.Data)
			}
			isFeed := a.Key == "href" && strings.HasPrefix(a.Val, "/p/") && strings.HasSuffix(a.Val, "/releases.atom") // a link that browsers do not load
			if (a.Key == "src" || n.Data == "link") && a.Key != "rel" && a.Key != "type" && !isFeed && !strings.HasPrefix(a.Val, "/assets/") {
				t.Errorf("%s: <%s> loads %q, want only assets", path, n.Data, a.Val)
			}
		}
	}
	return text.String()
}
