package server_test

import (
	"strings"
	"testing"

	"relcheck/checker/access"
)

// TestOrderOfSteps checks that all pages without reports list the first steps in one order.
func TestOrderOfSteps(t *testing.T) {
	s := newService(t)
	_, token := s.token(t)
	for _, path := range []string{"/", "/products/opa"} {
		page, at := s.page(t, path, token).body, 0
		for _, step := range []string{"relcheck release add", "relcheck check", "Connect your clients."} {
			i := strings.Index(page[at:], step)
			if i < 0 {
				t.Fatalf("%s: got no %q after the steps before it", path, step)
			}
			at += i
		}
	}
}

// TestNextSteps checks that the pages of products without releases show how to add some: with
// a sync only if the product has an upstream, and in the browser only if the token permits it.
func TestNextSteps(t *testing.T) {
	s := newService(t)
	_, token := s.token(t)
	m := s.manager(t, access.Admin)
	const setUpstream = "relcheck product set relcheck --upstream github:OWNER/REPO &amp;&amp; relcheck release sync relcheck\n"
	for path, want := range map[string]string{
		"/":                           "\nrelcheck release sync opa\n",
		"/products/opa":               "\nrelcheck release sync opa\n",
		"/products/opa/releases":      "\nrelcheck release sync opa\n",
		"/products/relcheck":          setUpstream,
		"/products/relcheck/releases": setUpstream,
	} {
		page := s.page(t, path, token)
		if !strings.Contains(page.body, want) {
			t.Errorf("%s: got no %q in\n%s", path, want, page.body)
		}
		wantText(t, path, page, "!in the browser")
		product, _, _ := strings.Cut(strings.TrimPrefix(want[strings.LastIndex(want, "sync "):], "sync "), "\n")
		wantText(t, path, m.do(t, "GET", path, nil), `<a href="/manage/products/`+product+`/releases">add a release in the browser</a>`)
	}
}
