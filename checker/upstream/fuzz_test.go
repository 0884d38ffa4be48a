package upstream

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"relcheck/checker/catalog"
	"relcheck/checker/printable"
)

// fixedProxy is a proxy in memory that returns the same text for each file of a kind.
type fixedProxy struct{ list, info, mod string }

func (p fixedProxy) RoundTrip(r *http.Request) (*http.Response, error) {
	body := p.list
	switch {
	case strings.HasSuffix(r.URL.Path, ".info"):
		body = p.info
	case strings.HasSuffix(r.URL.Path, ".mod"):
		body = p.mod
	}
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// FuzzProxy reads a module from a proxy with arbitrary responses.
func FuzzProxy(f *testing.F) {
	f.Add("v1.0.0\n", `{"Version":"v1.0.0","Time":"2020-01-01T00:00:00Z"}`, "module example.com/m\nretract v1.0.0 // bad\n")
	f.Add("v1.0.0\nv1.1.0-rc.1\n", `{"Version":"v1.0.0","Time":"0000-01-01T00:00:00+23:59"}`, "module m\nretract [v1.0.0, v2.0.0] // \x1b[2J\u202e\n")
	f.Add("v1.0.0 x\r\n", `{}`, "go 99.99\nunknown x\nretract (\n\t// a\n\tv1.0.0\n)\n")
	f.Add("<html>", `null`, "\xff")
	f.Fuzz(func(t *testing.T, list, info, mod string) {
		p := &Proxy{List: "https://proxy.invalid", Client: &http.Client{Transport: fixedProxy{list, info, mod}}, pause: time.Nanosecond}
		lists, err := p.Releases(context.Background(), "example.com/m")
		if err != nil {
			if !utf8.ValidString(err.Error()) || strings.ContainsAny(err.Error(), "\x1b\x00\r") {
				t.Errorf("got error %q, want no control characters", err)
			}
			return
		}
		for _, e := range lists[0].Entries {
			if catalog.CheckTag(e.Tag) != nil {
				t.Errorf("got invalid tag %q", e.Tag)
			}
			if err := e.Upstream.Check(); err != nil {
				t.Errorf("tag %s: %v", e.Tag, err)
			}
			reason := *e.Upstream.Reason
			if printable.Check(reason) != nil || utf8.RuneCountInString(reason) > maxReason || *e.Upstream.Withdrawn != (reason != "") {
				t.Errorf("tag %s: got invalid reason %q", e.Tag, reason)
			}
		}
	})
}

func FuzzReadExport(f *testing.F) {
	for _, text := range []string{"", "[]", "{", `{"relcheck_export":1,"product":{"name":"a"},"releases":[{"tag":"v1","operator":{"title":"a"}},{"tag":"v1"}]}`,
		`{"releases":[{}],"relcheck_export":1}`, `{"relcheck_export":1,"releases":[]}x`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list, err := readExport(strings.NewReader(text), func(int) {})
		if err != nil {
			return
		}
		mergeLayers(&list)
		for _, e := range list.Entries {
			if err := errors.Join(catalog.CheckTag(e.Tag), e.Upstream.Check()); err != nil {
				t.Errorf("release %q is invalid: %v", e.Tag, err)
			}
		}
	})
}

func FuzzParseTokens(f *testing.F) {
	for _, text := range []string{"", "ghp_1", "example.com a", "example.com:8443 a\n# x\n[::1]:80 b", "a b c", "\ufeffx"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		tokens, err := ParseTokens(text)
		for host, token := range tokens {
			if err != nil || host == "" || strings.TrimFunc(token, func(r rune) bool { return '!' <= r && r <= '~' }) != "" {
				t.Errorf("got token %q of %q (error %v)", token, host, err)
			}
		}
	})
}
