package catalog

import (
	"strings"
	"testing"
	"time"
)

func TestNewest(t *testing.T) {
	now := time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)
	p := Product{Name: "app", Match: "<9", MinAge: 24 * time.Hour, Channels: "lts <2\nedge * prereleases\n"}
	var releases []Release
	for _, tag := range strings.Fields("v1.0.0 v1.1.0 v1.2.0 v2.0.0 v2.1.0 v2.2.0-rc.1 v2.2.0-rc.2 v3.0.0 v9.0.0 nightly") {
		releases = append(releases, Release{Tag: tag, Date: now.Add(-48 * time.Hour), Withdrawn: tag == "v2.0.0", Prerelease: strings.Contains(tag, "rc")})
	}
	releases[7].Date = now.Add(-time.Hour) // v3.0.0 is offered tomorrow
	for _, test := range []struct {
		channels string
		n        int
		want     string
	}{
		{"", 1, "v3.0.0 v2.2.0-rc.2 v2.1.0"},
		{"", 2, "v3.0.0 v2.2.0-rc.2 v2.1.0 v1.2.0"},
		{"lts <2", 1, "v3.0.0 v2.2.0-rc.2 v2.1.0 v1.2.0"},
		{"lts <2", 3, "v3.0.0 v2.2.0-rc.2 v2.1.0 v1.2.0 v1.1.0 v1.0.0"},
		{"edge <3 prereleases", 2, "v3.0.0 v2.2.0-rc.2 v2.2.0-rc.1 v2.1.0 v1.2.0"},
	} {
		p.Channels = test.channels
		var tags []string
		for _, r := range p.Newest(p.Rank(releases), test.n, now) {
			tags = append(tags, r.Tag)
		}
		if got := strings.Join(tags, " "); got != test.want {
			t.Errorf("channels %q, the newest %d: got %s, want %s", test.channels, test.n, got, test.want)
		}
	}
	if got := p.Newest(nil, 1, now); len(got) != 0 {
		t.Errorf("without releases: got %d, want none", len(got))
	}
}
