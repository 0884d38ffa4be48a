package server_test

import (
	"strings"
	"testing"
)

// browse requests a page as a browser that is not signed in.
func (s *service) browse(t testing.TB, path string) reply {
	t.Helper()
	return s.get(t, "GET", path, "Accept", "text/html")
}

// TestReleasePage checks what the page of a release shows.
func TestReleasePage(t *testing.T) {
	s := newFileService(t, false)
	app := s.newProduct(t, "app", `{"title":"App <1>","notes":"https://e.com/notes/{tag}"}`)
	app.want("201", "PUT", "cli/v1.0.0", `{"title":"First <b>release</b>","date":"2026-03-04","body":"# New\n\n* a [link](https://e.com/x)\n* <script>alert(1)</script>\n\n![picture](https://e.com/p.png)",
		"files":[{"name":"app_linux_amd64.zip","url":"https://e.com/l","size":2048},{"name":"app_windows_amd64.zip","url":"https://e.com/w"},
		{"name":"changed.zip","url":"https://e.com/c","sha256":"`+sumOf("new")+`"}]}`)
	linux := strings.Repeat("l", 2048)
	s.host(t, "app", "cli/v1.0.0", "app_linux_amd64.zip", linux, true)
	s.host(t, "app", "cli/v1.0.0", "extra.txt", "", false)
	s.host(t, "app", "cli/v1.0.0", "changed.zip", "old", true)
	_, token := s.token(t)
	got := s.page(t, "/products/app/releases/cli/v1.0.0", token)
	for _, want := range []string{
		"<bdi>cli/v1.0.0</bdi>", "App &lt;1&gt;", "First &lt;b&gt;release&lt;/b&gt;", "Released 4\u00a0Mar\u00a02026", `href="https://e.com/notes/cli%2Fv1.0.0"`,
		"<h4>New</h4>", `<a href="https://e.com/x" rel="noreferrer nofollow">link</a>`, `<a href="https://e.com/p.png" rel="noreferrer nofollow">picture</a>`,
		`href="http://relcheck.example.com/files/app/cli/v1.0.0/app_linux_amd64.zip"`, `href="http://relcheck.example.com/files/app/cli/v1.0.0/app_linux_amd64.zip.sha256"`,
		">linux/amd64</td>", "2\u00a0KiB", ">0\u00a0B</td>", sumOf(linux), ">verified<", ">unverified<", ">upstream only<", ">changed upstream<", `href="https://e.com/w"`, `href="https://e.com/c"`,
		"4\u00a0files, 2\u00a0here, 1\u00a0unverified, 1\u00a0damaged or changed",
	} {
		if got.StatusCode != 200 || !strings.Contains(got.body, want) {
			t.Errorf("page of a release: got status %d and %s, want %q", got.StatusCode, got.body, want)
		}
	}
	for _, unwanted := range []string{"alert(1)", "<img", sumOf("old")} {
		if strings.Contains(got.body, unwanted) {
			t.Errorf("page of a release: got %q in %s", unwanted, got.body)
		}
	}
	list := s.page(t, "/products/app/releases", token)
	for _, want := range []string{`<a href="/products/app/releases/cli/v1.0.0"><bdi>cli/v1.0.0</bdi></a>`, "4\u00a0files, 2\u00a0here"} {
		if !strings.Contains(list.body, want) {
			t.Errorf("list of releases: got %s, want %q", list.body, want)
		}
	}
}

// TestReleasePageAccess checks which requests may read the page of a release.
func TestReleasePageAccess(t *testing.T) {
	s := newService(t)
	app := s.newProduct(t, "app", `{"notes_here":true}`)
	app.want("201", "PUT", "v1", `{"body":"the notes"}`)
	app.want("201", "PUT", "v2", `{"body":"not yet","date":"2199-01-01"}`)
	s.newProduct(t, "hidden", "").want("201", "PUT", "v1", `{"body":"the notes"}`)
	_, token := s.token(t)
	for _, c := range []struct {
		path            string
		reader, visitor int
	}{
		{"/products/app/releases/v1", 200, 200},
		{"/products/app/releases/v2", 200, 404},
		{"/products/app/releases/v3", 404, 404},
		{"/products/app/releases/v1/", 200, 200},
		{"/products/app/releases/%00", 404, 404},
		{"/products/app/releases/v1%2f..%2fv2", 404, 404},
		{"/products/hidden/releases/v1", 200, 401},
		{"/products/hidden/releases/v3", 404, 401},
		{"/products/none/releases/v1", 404, 401},
	} {
		if got := s.page(t, c.path, token); got.StatusCode != c.reader {
			t.Errorf("%s with a token: got status %d, want %d", c.path, got.StatusCode, c.reader)
		}
		got := s.browse(t, c.path)
		if got.StatusCode != c.visitor || strings.Contains(got.body, "the notes") != (c.visitor == 200) || strings.Contains(got.body, "not yet") {
			t.Errorf("%s without a token: got status %d, want %d: %s", c.path, got.StatusCode, c.visitor, got.body)
		}
		if strings.Contains(got.body, `href="/products/app"`) {
			t.Errorf("%s without a token: got links to pages that need one", c.path)
		}
	}
}
