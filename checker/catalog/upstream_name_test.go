package catalog_test

import (
	"strings"
	"testing"

	"relcheck/checker/catalog"
)

func TestParseUpstream(t *testing.T) {
	for text, want := range map[string]catalog.UpstreamName{
		"github:open-policy-agent/opa":                              {Kind: catalog.GitHubUpstream, Repo: "open-policy-agent/opa"},
		"github:https://github.example.com/api/v3/repos/me/app":     {Kind: catalog.GitHubUpstream, API: "https://github.example.com/api/v3", Repo: "me/app"},
		"github:https://Codeberg.org/api/v1/repos/forgejo/forgejo/": {Kind: catalog.GitHubUpstream, API: "https://codeberg.org/api/v1", Repo: "forgejo/forgejo"},
		"github:http://127.0.0.1:3000/git/api/v1/repos/me/repos":    {Kind: catalog.GitHubUpstream, API: "http://127.0.0.1:3000/git/api/v1", Repo: "me/repos"},
		"github:https://api.github.com/repos/me/app":                {Kind: catalog.GitHubUpstream, Repo: "me/app"},
		"github:https://[::1]:3000/api/v1/repos/me/app":             {Kind: catalog.GitHubUpstream, API: "https://[::1]:3000/api/v1", Repo: "me/app"},
		"go:github.com/open-policy-agent/opa":                       {Kind: catalog.GoUpstream, Module: "github.com/open-policy-agent/opa"},
		"go:example.com/App/v2":                                     {Kind: catalog.GoUpstream, Module: "example.com/App/v2"},
		"relcheck:https://releases.example.com/p/opa":               {Kind: catalog.RelcheckUpstream, URL: "https://releases.example.com/p/opa"},
		"relcheck:https://example.com/releases/p/opa/":              {Kind: catalog.RelcheckUpstream, URL: "https://example.com/releases/p/opa"},
		"file:/srv/releases":                                        {Kind: catalog.FileUpstream, Path: "/srv/releases"},
		"file:/srv/My%20releases/100%25":                            {Kind: catalog.FileUpstream, Path: "/srv/My releases/100%"},
		`file:C:\releases\opa.json`:                                 {Kind: catalog.FileUpstream, Path: `C:\releases\opa.json`},
		"file:d:/releases":                                          {Kind: catalog.FileUpstream, Path: "d:/releases"},
		`file:\\server\share`:                                       {Kind: catalog.FileUpstream, Path: `\\server\share`},
	} {
		got, err := catalog.ParseUpstream(text)
		if err != nil || got != want {
			t.Errorf("%s: got %+v (error %v), want %+v", text, got, err, want)
		}
		if again, err := catalog.ParseUpstream(got.String()); err != nil || again != got {
			t.Errorf("%s: its name %s is parsed as %+v (error %v)", text, got, again, err)
		}
	}
}

func TestParseUpstreamErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                                       "give one of",
		"opa":                                    "give one of",
		"GitHub:me/app":                          "give one of",
		"https://github.com/me/app":              "give one of",
		"github:":                                "OWNER/REPO",
		"github:me":                              "OWNER/REPO",
		"github:me/app/releases":                 "OWNER/REPO",
		"github:../app":                          "OWNER/REPO",
		"github:me/..":                           "OWNER/REPO",
		"github:me/a%2fb":                        "OWNER/REPO",
		"github:https://github.com/me/app":       "/repos/OWNER/REPO",
		"github:https://e.com/repos/me/app/tags": "/repos/OWNER/REPO",
		"github:ftp://e.com/repos/me/app":        "https://",
		"github:https:///repos/me/app":           "https://",
		"github:https://:80/repos/me/app":        "https://",
		"github:https://e.com:x/repos/me/app":    "invalid",
		"github:https://t@e.com/repos/me/app":    "--token-file",
		"github:https://e.com/repos/me/app?a=b":  "query",
		"github:https://e.com/repos/me/app?":     "query",
		"github:https://e.com/repos/me/app#a":    "query",
		"github:https://e.com/repos/me/app#":     "query",
		"go:":                                    "malformed",
		"go:opa":                                 "malformed",
		"go:example.com/../x":                    "malformed",
		"relcheck:opa":                           "https://",
		"relcheck:https://e.com":                 "/p/NAME",
		"relcheck:https://e.com/p/OPA":           "/p/NAME",
		"relcheck:https://e.com/p/a@lts":         "/p/NAME",
		"file:":                                  "not absolute",
		"file:releases":                          "not absolute",
		"file:../releases":                       "not absolute",
		"file:/srv/100%":                         "%25",
		"file:/srv/a%00b":                        "not printable",
		"file:/srv/a b":                          "space",
		"github:me/app\n":                        "unprintable",
		"github:me/\x1b[31m":                     "unprintable",
	} {
		got, err := catalog.ParseUpstream(text)
		if err == nil || !strings.Contains(err.Error(), want) || got != (catalog.UpstreamName{}) {
			t.Errorf("%q: got %+v (error %v), want error %q", text, got, err, want)
		}
		if err != nil && strings.ContainsAny(err.Error(), "\n\x1b\x00") {
			t.Errorf("%q: got error %q, want no control characters", text, err)
		}
	}
}

// FuzzParseUpstream checks that names do not change when they are parsed again, and contain no
// separators.
func FuzzParseUpstream(f *testing.F) {
	for _, text := range []string{"github:me/app", "github:https://E.com:443/api/v3/repos/me/app/", "go:example.com/app", "relcheck:https://e.com/%2fx/p/opa", "file:/a%20b%25", `file:C:\a`, "file:/%2520", "relcheck:https://[fe80::1%25eth0]/p/a"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := catalog.ParseUpstream(text)
		if err != nil {
			return
		}
		name := s.String()
		if again, err := catalog.ParseUpstream(name); err != nil || again != s {
			t.Errorf("%q is %+v, and its name %q is parsed as %+v (error %v)", text, s, name, again, err)
		}
		if len(strings.Fields(name)) != 1 || strings.ContainsAny(name, " \n\x00") {
			t.Errorf("%q has the name %q", text, name)
		}
	})
}
