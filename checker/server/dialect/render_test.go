package dialect

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
	"gopkg.in/yaml.v3"

	"relcheck/checker/catalog"
)

// forms are dialects that print one value in each format, and how a client reads it.
var forms = map[string]struct {
	front, body string
	read        func(a *Answer) (string, error)
}{
	"json": {"type: application/json", `{"v": {{.Latest.Title}}}`, func(a *Answer) (string, error) {
		var v struct{ V string }
		err := json.Unmarshal(a.Body, &v)
		return v.V, err
	}},
	"key": {"type: application/json", `{ {{.Latest.Title}}: 1}`, func(a *Answer) (key string, err error) {
		var v map[string]int
		err = json.Unmarshal(a.Body, &v)
		for key = range v {
		}
		return key, err
	}},
	"yaml": {"type: text/yaml", "v: {{.Latest.Title}}\nw: 1\n", func(a *Answer) (string, error) {
		var v struct{ V string }
		err := yaml.Unmarshal(a.Body, &v)
		return v.V, err
	}},
	"toml": {"type: application/toml", "v = {{.Latest.Title}}\nw = 1\n", func(a *Answer) (string, error) {
		var v struct{ V string }
		_, err := toml.Decode(string(a.Body), &v)
		return v.V, err
	}},
	"xml": {"type: application/xml", `<a v="{{.Latest.Title}}">{{.Latest.Title}}</a>`, func(a *Answer) (string, error) {
		var v struct {
			V    string `xml:"v,attr"`
			Text string `xml:",chardata"`
		}
		err := xml.Unmarshal(a.Body, &v)
		if v.V != v.Text {
			return "the attribute " + v.V + " is not the text " + v.Text, err
		}
		return v.V, err
	}},
	"text":   {"type: text/plain", `{{.Latest.Title}}`, func(a *Answer) (string, error) { return string(a.Body), nil }},
	"header": {"type: text/plain\nheader X-V: {{.Latest.Title}}", `x`, func(a *Answer) (string, error) { return a.Header[1][1], nil }},
	"location": {"location: https://example.com/{{.Latest.Title}}", ``, func(a *Answer) (string, error) {
		u, err := url.Parse(a.Header[0][1])
		if err != nil || u.Host != "example.com" {
			return "host " + u.Host, err
		}
		return strings.TrimPrefix(u.Path, "/"), nil
	}},
}

var formDialects = sync.OnceValue(func() map[string]*Dialect {
	all := map[string]*Dialect{}
	for name, form := range forms {
		all[name], _ = Parse(name, []byte("---\ntitle: x\npath: /x\nconnect: x\n"+form.front+"\n---\n"+form.body))
	}
	return all
})

// checkForm renders a value, and tests that a client reads the same one or that there is no
// answer.
func checkForm(t *testing.T, name, value string) (answered bool) {
	t.Helper()
	form, d := forms[name], formDialects()[name]
	if d == nil {
		t.Fatalf("form %s does not load", name)
	}
	m := fixture(catalog.Product{Name: "p"}, "v1.2.3")
	m.Latest.Title = value
	a, err := d.Render(m, &Request{Vars: &Vars{}})
	if err != nil {
		if strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: error contains the value: %v", name, err)
		}
		return false
	}
	if got, err := form.read(a); err != nil || got != value {
		if name == "xml" && err == nil && strings.Contains(got, "\uFFFD") || strings.TrimSpace(value) != value || !utf8.ValidString(value) {
			return true // XML cannot contain it; blanks at the end of a header are no part of it
		}
		t.Errorf("%s: read %q, %v of %q, want %q", name, got, err, a.Body, value)
	}
	for _, h := range a.Header {
		if strings.ContainsAny(h[1], "\r\n\x00") {
			t.Errorf("%s: header %q", name, h)
		}
	}
	return true
}

var hostile = []string{
	"canary", `"`, `\`, "'", "`", "<", "&", "]]>", "-->", "<!--", "{{.}}", "{{", "}}", "%0d%0a", "%2e%2e", "..", "//", "a: b", "# x", "- x", "~", "null", "true", "1e5", "\u2028", "\u2029", "\u0085",
	"\u00a0", "\ufeff", "\ufffe", "\U0001f600", "a/b", "?x=1", "#f", "$(IMAGE_TAG)", "\x7f", strings.Repeat("x", 5000),
}

func TestHostileValues(t *testing.T) {
	for name := range forms {
		for _, value := range hostile {
			checkForm(t, name, value)
		}
		if !checkForm(t, name, "canary") {
			t.Errorf("%s does not answer", name)
		}
	}
	for _, name := range []string{"text", "header", "location"} {
		for _, value := range []string{"canary\r\nX: y", "a\nb", "a\x00b", "a\x1bb", "a\u0085b"} {
			if checkForm(t, name, value) {
				t.Errorf("%s answers with %q", name, value)
			}
		}
	}
}

func FuzzRender(f *testing.F) {
	for _, value := range hostile {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if value == "" { // the tag is printed instead
			return
		}
		for name := range forms {
			checkForm(t, name, value)
		}
	})
}

// checkVariables renders each built-in dialect with a value in each of its variables.
func checkVariables(t *testing.T, m *Model, value string) {
	t.Helper()
	for name, d := range BuiltIn() {
		for _, verdict := range []Verdict{Unknown, Outdated, Withdrawn} {
			q := &Request{Base: "https://releases.example.com/p/sample", Vars: &Vars{}, Caller: Caller{Version: "1.0.0", Verdict: verdict}}
			for _, variable := range d.names {
				q.Vars.Add(variable, value)
			}
			a, err := d.Render(m, q)
			if err != nil && !errors.Is(err, ErrNotFound) {
				t.Errorf("%s with %.50q: %v", name, value, err)
			}
			if err == nil && a.Status == http.StatusFound && !strings.HasPrefix(a.Header[0][1], "https://releases.example.com/") {
				t.Errorf("%s with %.50q redirects to %s", name, value, a.Header[0][1])
			}
		}
	}
}

func TestHostileVariables(t *testing.T) {
	m := sampleModel()
	for _, value := range append(hostile, "a\r\nb", "a\x00", "\xff", strings.Repeat("9", 200), "stable", "1.0.0", "sample") {
		checkVariables(t, m, value)
	}
}

func FuzzVariables(f *testing.F) {
	for _, value := range append(hostile, "stable-1.30", "latest-linux", "sample,sample", "linux_amd64") {
		f.Add(value)
	}
	m := sampleModel()
	f.Fuzz(func(t *testing.T, value string) { checkVariables(t, m, value) })
}
