package dialect

import (
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/useragent"
)

var published = time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)

// fixture returns the model of a product. Each line of releases is a tag and words:
// withdrawn, prerelease, and names of files. A line "channel NAME" begins the releases of
// another channel, which also has the releases after it.
func fixture(p catalog.Product, lines string, others ...*Model) *Model {
	var releases []catalog.Release
	channels := map[string]int{}
	for line := range strings.Lines(lines) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if words[0] == "channel" {
			channels[words[1]] = len(releases)
			continue
		}
		r := catalog.Release{ID: int64(100 - len(releases)), Tag: words[0], Date: published, Notes: "https://example.com/n"}
		for _, word := range words[1:] {
			switch word {
			case "withdrawn":
				r.Withdrawn, r.Reason = true, "it loses data"
			case "prerelease":
				r.Prerelease = true
			default:
				f := catalog.File{Name: word, URL: "https://upstream.example.com/" + word, Size: 13, SHA256: strings.Repeat("0", 64)}
				if !strings.HasSuffix(word, ".AppImage") {
					f.SHA512 = strings.Repeat("0", 128)
				}
				r.Files = append(r.Files, f)
			}
		}
		releases = append(releases, r)
	}
	ranked := p.Rank(releases)
	model := func(prereleases bool) *Model {
		m := &Model{Product: &p, Scheme: p.Scheme(), Prereleases: prereleases, Links: testLinks{ranked}, Now: published}
		var offered, withdrawn []*catalog.Ranked
		for _, r := range ranked {
			switch {
			case r.Withdrawn:
				withdrawn = append(withdrawn, r)
			case r.Version.Ordered():
				offered = append(offered, r)
				if m.Latest == nil && (prereleases || !r.Prerelease) {
					m.Latest = r
				}
			}
		}
		m.Offered = func() []*catalog.Ranked { return offered }
		m.Withdrawn = func() []*catalog.Ranked { return withdrawn }
		return m
	}
	m := model(false)
	byName := map[string]*Model{}
	for name := range channels {
		byName[name] = model(true)
		m.Channels = append(m.Channels, name)
	}
	slices.Sort(m.Channels)
	m.Channel = func(name string) *Model { return byName[name] }
	m.Find = func(name string) *Model {
		for _, m := range append(others, m) {
			if m.Product.Name == name {
				return m
			}
		}
		return nil
	}
	for _, c := range byName {
		c.Channels, c.Channel, c.Find = m.Channels, m.Channel, m.Find
	}
	return m
}

type testLinks struct{ releases []*catalog.Ranked }

func (testLinks) File(_ *catalog.Ranked, f *catalog.File) string {
	return "https://releases.example.com/dl/" + url.PathEscape(f.Name)
}

func (l testLinks) Hosted(tag, name string) string {
	for _, r := range l.releases {
		for _, f := range r.Files {
			if r.Tag == tag && f.Name == name && !r.Withdrawn {
				return "https://releases.example.com/files/" + path.Join(r.Tag, name)
			}
		}
	}
	return ""
}

func (l testLinks) Download(r *catalog.Ranked, p checker.Platform) string {
	for _, f := range r.Files {
		if strings.Contains(f.Name, p.OS) {
			return l.File(r, &f)
		}
	}
	return ""
}

func (testLinks) Page(r *catalog.Ranked) string {
	return "https://releases.example.com/products/p/releases/" + url.PathEscape(r.Tag)
}

func (testLinks) Notes(r *catalog.Ranked) string { return r.Notes }

// ask returns the answer of a dialect to a request.
func ask(t *testing.T, d *Dialect, m *Model, r *http.Request) (*Answer, error) {
	t.Helper()
	var v Vars
	clean, ok := SplitPath(r.URL.EscapedPath())
	if !ok || !d.matches(clean, &v) {
		t.Fatalf("%s: no path matches %s", d.Name, r.URL.EscapedPath())
	}
	if err := d.Read(r, &v); err != nil {
		return nil, err
	}
	return d.Render(m, &Request{Base: "https://releases.example.com/p/p", Caller: callerOf(m, &v), Vars: &v})
}

func callerOf(m *Model, v *Vars) Caller {
	c := Caller{Version: v.Get("version"), Platform: useragent.Platform("", v.Get("os"), v.Get("arch"))}
	running := m.Scheme.Reported(c.Version)
	for _, r := range append(m.Offered(), m.Withdrawn()...) {
		if m.Scheme.Trim(r.Tag) == m.Scheme.Trim(c.Version) {
			c.Release, running = r, r.Version
		}
	}
	switch {
	case c.Release != nil && c.Release.Withdrawn:
		c.Verdict = Withdrawn
	case !running.Ordered() || m.Latest == nil:
	case running.Compare(m.Latest.Version) < 0:
		c.Verdict = Outdated
	default:
		c.Verdict = UpToDate
	}
	return c
}
