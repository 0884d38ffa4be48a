package catalog_test

import (
	"strings"
	"testing"
	"time"

	"relcheck/checker/catalog"
)

func TestHints(t *testing.T) {
	now := time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name string
		catalog.Product
		tags []string
		want []string // parts of the hints, in order
	}{
		{"nothing unusual", catalog.Product{}, []string{"v1.0.0", "v1.1.0"}, nil},
		{"no releases", catalog.Product{}, nil, nil},
		{"only pre-releases", catalog.Product{}, []string{"v1.0.0-rc.1"}, []string{"only pre-releases are known: clients that run a pre-release are offered v1.0.0-rc.1"}},
		{"nothing in the range", catalog.Product{Match: "<0.1"}, []string{"v1.0.0", "v1.1.0"}, []string{"no release is offered: no tag is a stable version within --match that is not withdrawn"}},
		{"a forgotten prefix", catalog.Product{}, []string{"curl-8_21_0", "curl-8_22_0"}, []string{"no release is offered: no tag", "no versions|not versions", "curl-8_22_0 looks like a release: if it is a release of app, add its prefix with relcheck product set app --tag-prefix curl-"}},
		{"a new prefix", catalog.Product{}, []string{"v28.5.2", "docker-v29.7.2"}, []string{"no versions|not versions", "docker-v29.7.2 looks newer than v28.5.2, the latest release: if it is a release of app, add its prefix with relcheck product set app --tag-prefix docker- --tag-prefix ''"}},
		{"one more prefix", catalog.Product{Prefixes: "cli/ v"}, []string{"cli/v1.0.0", "v1.1.0", "app-v2.0.0"}, []string{"of other components", "relcheck product set app --tag-prefix cli/ --tag-prefix v --tag-prefix app-"}},
		{"another component outside the range", catalog.Product{Match: "<2"}, []string{"v1.0.0", "docker-v29.7.2"}, []string{"no versions|not versions"}},
		{"a tag without a prefix", catalog.Product{Prefixes: "release-"}, []string{"release-1.12.1", "v1.18.0"}, []string{"of other components"}},
		{"a hostile prefix", catalog.Product{}, []string{"$(id)v1.2.3", "it's;v1.2.2"}, []string{"no release is offered: no tag", "not versions", "relcheck product set app --tag-prefix '$(id)'"}},
		{"dates and commits", catalog.Product{}, []string{"v1.0.0", "nightly-20261128", "build-deadbeef9"}, []string{"no versions|not versions"}},
	} {
		c.Name = "app"
		var releases []catalog.Release
		for _, tag := range c.tags {
			releases = append(releases, catalog.NewRelease(c.Scheme().Parse(tag), nil, nil))
		}
		ranked := c.Rank(releases)
		offer := c.Offer(ranked, nil, now)
		got := c.Hints(ranked, &offer)
		if len(got) != len(c.want) {
			t.Errorf("%s: got hints %q, want %d", c.name, got, len(c.want))
			continue
		}
		for i, want := range c.want {
			first, second, _ := strings.Cut(want, "|")
			if !strings.Contains(got[i], first) && (second == "" || !strings.Contains(got[i], second)) {
				t.Errorf("%s: got hint %q, want %q in it", c.name, got[i], want)
			}
		}
	}
}
