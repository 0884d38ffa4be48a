package dialect

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"relcheck/checker"
	"relcheck/checker/catalog"
)

// tryAll renders the sample request for a sample product and several callers.
func (d *Dialect) tryAll(bodyLine int) error {
	m := sampleModel()
	for _, version := range []string{"", "1.0.0", "2.0.1", "2.1.0", "2.2.0-rc.1", "dev"} {
		q, err := d.sampleRequest(m, version)
		if err != nil {
			return err
		}
		_, err = d.Render(m, q)
		var invalid *invalidError
		var line *lineError
		switch {
		case err == nil, errors.Is(err, ErrNotFound):
		case errors.As(err, &line):
			return err
		case errors.As(err, &invalid):
			return lineErrorf(bodyLine, "%w for the sample product: %s\n%.1000s", err, invalid.detail, invalid.body)
		default:
			return lineErrorf(bodyLine, "%w", err)
		}
	}
	return nil
}

// NewRequest returns the sample request of the file, with other values for variables that
// it declares. It removes the values that it has set from values.
func (d *Dialect) NewRequest(values map[string]string) (*http.Request, error) {
	r, err := http.NewRequest(d.Methods[0], d.Try, nil)
	if err != nil {
		return nil, err
	}
	var v Vars
	path, query, body := r.URL.EscapedPath(), r.URL.Query(), map[string]string{}
	d.matches(path, &v)
	for _, one := range v.all {
		if value := values[one.name]; value != "" {
			path = strings.Replace(path, url.PathEscape(one.value), url.PathEscape(value), 1)
			delete(values, one.name)
		}
	}
	for _, declared := range d.vars {
		value, s := values[declared.name], declared.sources[0]
		if value == "" {
			continue
		}
		raw := declared.raw(query.Get(s.key), value)
		if raw == "" { // the client sends it in another form
			query.Del(s.key)
			continue
		}
		delete(values, declared.name)
		switch s.kind {
		case "query":
			query.Set(s.key, raw)
		case "header":
			r.Header.Set(s.key, raw)
		case "agent":
			r.Header.Set("User-Agent", s.key+"/"+raw)
		case "body":
			body[s.key] = raw
		}
	}
	target := path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	if r.URL, err = url.Parse(target); err == nil && len(d.bodyFields) > 0 && r.Method == http.MethodPost {
		text := sampleBody(body)
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
		r.Header.Set("Content-Type", "application/json")
	}
	return r, err
}

// sampleBody returns a JSON object with the fields, which are named by JSON pointers.
func sampleBody(fields map[string]string) string {
	root := map[string]any{}
	for at, value := range fields {
		object, names := root, strings.Split(at[1:], "/")
		last := len(names) - 1
		for _, name := range names[:last] {
			inner, ok := object[name].(map[string]any)
			if !ok {
				inner = map[string]any{}
				object[name] = inner
			}
			object = inner
		}
		object[names[last]] = value
	}
	text, _ := json.Marshal(root) // texts are always JSON
	return string(text)
}

// sampleRequest returns the sample request of a caller that runs a version, or whose
// version is unknown.
func (d *Dialect) sampleRequest(m *Model, running string) (*Request, error) {
	values := map[string]string{}
	if running != "" {
		values = map[string]string{"version": running, "os": "linux", "arch": "amd64", "platform": "linux-x64", "product": "sample"}
	}
	r, err := d.NewRequest(values)
	if err != nil {
		return nil, err
	}
	q := &Request{Base: "https://releases.example.com/p/sample", Vars: &Vars{}, Caller: Caller{Version: running}}
	path, _ := SplitPath(r.URL.EscapedPath())
	d.matches(path, q.Vars)
	if err := d.Read(r, q.Vars); err != nil || running == "" {
		return q, err
	}
	q.Caller.Platform = checker.Platform{OS: "linux", Arch: "amd64"}
	for _, name := range d.names {
		if q.Vars.Get(name) == "" {
			q.Vars.Add(name, "sample")
		}
	}
	for _, r := range append(m.Offered(), m.Withdrawn()...) {
		if strings.TrimPrefix(r.Tag, "v") == running {
			q.Caller.Release = r
		}
	}
	switch v := m.Scheme.Reported(running); {
	case q.Caller.Release != nil && q.Caller.Release.Withdrawn:
		q.Caller.Verdict = Withdrawn
	case !v.Ordered():
	case v.Compare(m.Latest.Version) < 0:
		q.Caller.Verdict = Outdated
	default:
		q.Caller.Verdict = UpToDate
	}
	return q, nil
}

// sampleModel returns a product with releases of several lines, a pre-release and a
// withdrawn release.
func sampleModel() *Model {
	p := &catalog.Product{Name: "sample", Title: "Sample", Repo: "me/sample"}
	var releases []catalog.Release
	for i, tag := range []string{"v2.2.0-rc.1", "v2.1.0", "v2.0.1", "v2.0.0", "v1.30.7", "v1.30.6", "v1.0.0"} {
		r := catalog.Release{ID: int64(1000 - i), Tag: tag, Date: time.Date(2026, 3, 28-i, 12, 0, 0, 0, time.UTC), Prerelease: i == 0, Withdrawn: tag == "v2.0.1"}
		if r.Withdrawn {
			r.Reason = "it loses data"
		}
		for j, ending := range []string{"-linux-amd64.tar.gz", "-linux-arm64.tar.gz", "-windows-amd64.exe", "-darwin-arm64.zip", ".AppImage", ".tgz"} {
			name := "sample-" + tag[1:] + ending
			r.Files = append(r.Files, catalog.File{ID: r.ID*100 + int64(j), Name: name, URL: "https://files.example.com/" + tag + "/" + name,
				Size: 1000, SHA256: strings.Repeat("ab", 32), SHA512: strings.Repeat("cd", 64), MediaType: "application/gzip"})
		}
		releases = append(releases, r)
	}
	var offered, withdrawn []*catalog.Ranked
	for _, r := range p.Rank(releases) {
		if r.Withdrawn {
			withdrawn = append(withdrawn, r)
		} else {
			offered = append(offered, r)
		}
	}
	m := &Model{Product: p, Scheme: p.Scheme(), Latest: offered[1], Channels: []string{"next"}, Links: sampleLinks{},
		Offered: func() []*catalog.Ranked { return offered }, Withdrawn: func() []*catalog.Ranked { return withdrawn }}
	next := *m
	next.Latest, next.Prereleases = offered[0], true
	m.Find = func(name string) *Model {
		if name == "sample" {
			return m
		}
		return nil
	}
	m.Channel = func(name string) *Model {
		if name == "next" {
			return &next
		}
		return nil
	}
	next.Find, next.Channel = m.Find, m.Channel
	return m
}

// sampleLinks makes links to places that do not exist.
type sampleLinks struct{}

func (sampleLinks) File(_ *catalog.Ranked, f *catalog.File) string { return f.URL }

func (sampleLinks) Hosted(tag, name string) string {
	return "https://releases.example.com/files/sample/" + url.PathEscape(tag) + "/" + url.PathEscape(name)
}

func (sampleLinks) Download(r *catalog.Ranked, p checker.Platform) string {
	if !p.Known() {
		return ""
	}
	return fmt.Sprintf("https://files.example.com/%s/sample-%s-%s.tar.gz", r.Tag, p.OS, p.Arch)
}

func (sampleLinks) Page(r *catalog.Ranked) string {
	return "https://releases.example.com/products/sample/releases/" + url.PathEscape(r.Tag)
}

func (l sampleLinks) Notes(r *catalog.Ranked) string { return l.Page(r) }
