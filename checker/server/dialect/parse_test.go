package dialect

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"relcheck/checker"
	"relcheck/checker/catalog"
)

const sampleFile = `---
title: Sample
# a comment
path: /x/{name}.json
var version: query version, header X-Version
type: application/json
try: /x/a.json
connect: Set it in
 app.ini:
  url = {{.URL}}/x/a.json
  also = {{1}}
 Or on the command line:
  app --url {{.URL}}
---
{"name": {{.Vars.name}},
 "version": {{.Latest.Version}}}
`

func TestParse(t *testing.T) {
	d, err := Parse("sample", []byte(sampleFile))
	if err != nil {
		t.Fatal(err)
	}
	want := []Snippet{{"Set it in app.ini:", "url = https://r.example.com/p/a/x/a.json\nalso = {{1}}"}, {"Or on the command line:", "app --url https://r.example.com/p/a"}}
	if got := d.Connect("https://r.example.com/p/a"); !slices.Equal(got, want) {
		t.Errorf("Connect = %q, want %q", got, want)
	}
	if d.Title != "Sample" || d.Try != "/x/a.json" || len(d.Patterns) != 1 || !slices.Equal(d.Methods, []string{"GET"}) {
		t.Errorf("got %+v", d)
	}
	if _, err := Parse("sample", []byte(strings.ReplaceAll(sampleFile, "\n", "\r\n"))); err != nil {
		t.Errorf("with CR LF: %v", err)
	}
}

// TestParseErrors tests that each mistake is reported with its line.
func TestParseErrors(t *testing.T) {
	for _, test := range []struct{ old, new, want string }{
		{"---\ntitle", "title", "line 1: the file must begin"},
		{"---\n{", "{", "line 16: the front matter does not end"},
		{"title: Sample\n", "", "line 13: title is missing"},
		{"title: Sample\n", "title Sample\n", `line 2: "title Sample" is not of the form`},
		{"title: Sample\n", "title: Sample\ntitle: Sample\n", "line 3: title is there twice"},
		{"# a comment", "tilte: x", `line 3: unknown key "tilte"`},
		{"# a comment", "path: /x/{y}", "line 4: path /x/{name}.json overlaps /x/{y}"},
		{"# a comment", "host: a_b!", `line 3: host "a_b!"`},
		{"# a comment", "host: a.example.com", "line 14: trust is missing"},
		{"# a comment", "methods: PUT", `line 3: method "PUT"`},
		{"# a comment", "status: 404", `line 3: status "404"`},
		{"# a comment", "status: 302", "line 14: status 302 and location"},
		{"# a comment", "location: {{.Base}}", "line 15: a redirect has no body"},
		{"# a comment", "limit: 9000000", `line 3: limit "9000000"`},
		{"# a comment", "limit: 10", "line 15: the answer exceeds its limit"},
		{"# a comment", "cors: all", `line 3: cors "all"`},
		{"# a comment", "notfound: 404", `line 3: notfound "404"`},
		{"# a comment", "notfound: 200 [", "line 14: the body of notfound"},
		{"# a comment", "header Set-Cookie: x", `line 3: header "Set-Cookie"`},
		{"# a comment", "header X-A: {{.Vars.nane}}", "line 3: name a variable"},
		{"# a comment", "var token: header Authorization", "line 3: variable token is not used"},
		{"# a comment", "var a: cookie x", `line 3: variable a: "cookie x" is no place`},
		{"# a comment", "var a: query x ~ (", "line 3: variable a: error parsing regexp"},
		{"# a comment", "var a: query x ~ b", "line 3: variable a: the regular expression has no group"},
		{"# a comment", "var name: query x", "line 3: variable name is in the path"},
		{"# a comment", "var a-b: query x", `line 3: variable "a-b"`},
		{`{{.Latest.Version}}}`, `{{printf "v%s" .Latest}}}`, `line 16: printf "v%s" .Latest: a release cannot be printed`},
		{`{{.Latest.Version}}}`, `{{html .Caller}}}`, "line 16: html .Caller: a value of type"},
		{`{{.Latest.Version}}}`, `{{printf "v%d" .Latest.Version}}}`, `line 16: printf "v%d" .Latest.Version: the values do not fit`},
		{"try: /x/a.json", "try: /y", `line 7: try "/y"`},
		{"try: /x/a.json\n", "", "line 13: try is missing: add a line try: …, a sample request for the path /x/{name}.json"},
		{"application/json", "text/html", `line 6: type "text/html"`},
		{"application/json", "image/svg+xml", `line 6: type "image/svg+xml"`},
		{"application/json", "application/json; charset=latin1", `line 6: type`},
		{"{{.URL}}/x", "{{.Url}}/x", "line 8: connect: only {{.URL}} is replaced"},
		{".Vars.name", ".Vars.nmae", "line 15: name a variable"},
		{".Vars.name", ".Vars", "line 15: name a variable"},
		{".Vars.name", `(index .Vars "name")`, "line 15: name a variable"},
		{".Latest.Version", ".Latest.Versoin", "line 16: "},
		{".Latest.Version", ".Latest", "line 16: a release cannot be printed: print one of its fields, such as .Version"},
		{".Latest.Version", ".Latest.Date", "line 16: a time cannot be printed: use date, millis, unix, nanos or .Format"},
		{".Latest.Version", ".Product", "line 16: a value of type struct"},
		{"{{.Latest.Version}}", "{{range 3}}{{end}}", "line 16: "},
		{".Latest.Version", "nosuch .Latest", "line 16: function"},
		{"{{.Latest.Version}}", `"{{.Latest.Version}}"`, "line 15: the answer is not valid application/json"},
		{"{{.Latest.Version}}}", "{{.Latest.Version}}},", "line 15: the answer is not valid application/json"},
		{`"version"`, `"name"`, "line 15: the answer is not valid application/json"},
	} {
		text := strings.Replace(sampleFile, test.old, test.new, 1)
		if text == sampleFile {
			t.Errorf("%q is not in the file", test.old)
		}
		if _, err := Parse("sample", []byte(text)); err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "line ") {
			t.Errorf("%q instead of %q: got %v, want %s", test.new, test.old, err, test.want)
		}
	}
	for _, name := range []string{"", "github", "checkpoint", "A", "a.b", "a/b", strings.Repeat("a", 51)} {
		if _, err := Parse(name, []byte(sampleFile)); err == nil {
			t.Errorf("a file can have the name %q", name)
		}
	}
}

// TestIdentifiers tests that no built-in dialect declares what identifies an installation.
func TestIdentifiers(t *testing.T) {
	for name, d := range BuiltIn() {
		for _, v := range d.vars {
			for _, s := range v.sources {
				switch strings.ToLower(strings.TrimPrefix(s.key, "/")) {
				case "signature", "x-user-staging-id", "trivy-identifier", "n8n-instance-id", "uuid", "instance", "license_id", "cluster", "blog_id", "url",
					"machineid", "bootid", "x-suc-cluster-id", "authorization", "cookie", "source", "grafanaversion", "x-suc-latest-version", "timestamp":
					t.Errorf("%s declares %s %s", name, s.kind, s.key)
				}
			}
		}
	}
	var v Vars // the time of installation of Nextcloud
	r, err := http.NewRequest(http.MethodGet, "/updater_server?version=30x0x1x2x1700000000x", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := BuiltIn()["nextcloud"].Read(r, &v); err != nil || v.Get("version") != "30.0.1" {
		t.Errorf("version of Nextcloud is %q, %v, want 30.0.1", v.Get("version"), err)
	}
}

func TestReadBody(t *testing.T) {
	for _, test := range []struct{ body, want string }{
		{`{"a": {"b": "x"}, "c": "y"}`, "x y"},
		{`{"a": {"b": 1}, "c": null}`, " "},
		{`{"a": "b", "c": {"c": "z"}}`, " "},
		{`{"d": ["c", "a", {"c": "z"}]}`, " "},
		{`{}`, " "},
		{` {"c": "y"} `, " y"},
		{``, "error"},
		{`[]`, "error"},
		{`null`, "error"},
		{`{"c": "y"}{}`, "error"},
		{`{"c": "y"} x`, "error"},
		{`{"c": "y"`, "error"},
		{`{"c": "y", "c": "z"}`, "error"},
		{"{\"c\": \"\xff\"}", "error"},
		{`{"d": ` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + `}`, "error"},
		{`{"d": "` + strings.Repeat("x", maxBody) + `"}`, "error"},
	} {
		fields := map[string]string{"/a/b": "", "/c": ""}
		got := "error"
		if err := ReadBody(strings.NewReader(test.body), fields); err == nil {
			got = fields["/a/b"] + " " + fields["/c"]
		} else if !errors.Is(err, ErrBody) {
			t.Errorf("ReadBody(%.100q): got %v, want %v", test.body, err, ErrBody)
		}
		if got != test.want {
			t.Errorf("ReadBody(%.100q) = %q, want %q", test.body, got, test.want)
		}
	}
}

func TestKey(t *testing.T) {
	d, err := Parse("sample", []byte(sampleFile))
	if err != nil {
		t.Fatal(err)
	}
	key := func(d *Dialect, version string, names ...string) string {
		var v Vars
		for _, name := range names {
			v.Add(name, name)
		}
		return d.Key(&Request{Vars: &v, Caller: Caller{Version: version, Platform: checker.Other}})
	}
	if a, b := key(d, "1", "name", "other"), key(d, "2", "name"); a != b {
		t.Errorf("keys differ by what the template does not use: %q, %q", a, b)
	}
	if a, b := key(d, "1", "name"), key(d, "1"); a == b {
		t.Errorf("keys do not differ by a variable: %q", a)
	}
	if a, b := key(BuiltIn()["mastodon"], "1"), key(BuiltIn()["mastodon"], "2"); a == b {
		t.Errorf("keys do not differ by the caller: %q", a)
	}
}

func TestReadFolder(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("sample.dialect", sampleFile)
	write("gitea.dialect", strings.Replace(sampleFile, "Sample", "Own", 1))
	write("notes.txt", "x")
	first, errs := ReadFolder(dir, nil)
	if got := Own(first); !slices.Equal(got, []string{"gitea", "sample"}) {
		t.Errorf("got own dialects %v, want gitea and sample", got)
	}
	if len(errs) > 0 || len(first) != len(BuiltIn())+1 || first["gitea"].Title != "Own" || first["sample"] == nil {
		t.Fatalf("got %d dialects, %v, want %d", len(first), errs, len(BuiltIn())+1)
	}
	write("sample.dialect", strings.Replace(sampleFile, "title", "titel", 1))
	write("new.dialect", "x")
	next, errs := ReadFolder(dir, first)
	if len(errs) != 2 || !strings.Contains(errs[0].Error(), "new.dialect:1: ") || !strings.Contains(errs[1].Error(), "sample.dialect:2: ") {
		t.Errorf("got errors %v, want two", errs)
	}
	if next["sample"] != first["sample"] || next["gitea"] != first["gitea"] || next["new"] != nil {
		t.Error("the last good dialects are not kept")
	}
	for _, name := range []string{"sample", "gitea", "new"} {
		if err := os.Remove(filepath.Join(dir, name+".dialect")); err != nil {
			t.Fatal(err)
		}
	}
	if last, errs := ReadFolder(dir, next); len(errs) > 0 || last["sample"] != nil || last["gitea"] != BuiltIn()["gitea"] {
		t.Errorf("after the files were removed, got %v, %v", last["sample"], errs)
	}
	if last, errs := ReadFolder(filepath.Join(dir, "none"), next); len(errs) != 1 || last["gitea"] != next["gitea"] {
		t.Errorf("without the folder, got %v", errs)
	}
}

// FuzzParse tests that files load or fail, and that a dialect that loads can be rendered.
func FuzzParse(f *testing.F) {
	f.Add(sampleFile)
	for _, d := range BuiltIn() {
		f.Add(string(d.text))
	}
	m := fixture(catalog.Product{Name: "p"}, "v1.2.3 p_linux_amd64\nv1.2.2 withdrawn\nchannel next")
	f.Fuzz(func(t *testing.T, text string) {
		d, err := Parse("fuzz", []byte(text))
		if err != nil {
			if !strings.HasPrefix(err.Error(), "line ") {
				t.Errorf("error %q has no line", err)
			}
			return
		}
		a, err := d.Render(m, &Request{Vars: &Vars{}})
		if err == nil && (a.Status == 0 || len(a.Header) == 0 || len(a.Body) > d.limit) {
			t.Errorf("got %+v", a)
		}
	})
}
