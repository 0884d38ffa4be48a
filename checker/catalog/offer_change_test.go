package catalog_test

import (
	"reflect"
	"testing"
	"time"

	"relcheck/checker/catalog"
)

// TestOfferChanges checks what clients will be offered after a release has changed.
func TestOfferChanges(t *testing.T) {
	p := catalog.Product{Name: "app", Channels: "lts <2\nall * prereleases\n"}
	ranked := p.Rank([]catalog.Release{{Tag: "v0.9.0", Withdrawn: true}, {Tag: "v1.0.0"}, {Tag: "v1.1.0"}, {Tag: "v2.0.0"}, {Tag: "v3.0.0", Withdrawn: true}})
	for name, c := range map[string]struct {
		tag  string
		next *catalog.Release
		want []catalog.OfferChange
	}{
		"withdrawn":            {"v2.0.0", &catalog.Release{Tag: "v2.0.0", Withdrawn: true}, []catalog.OfferChange{{"", "v2.0.0", "v1.1.0"}, {"all", "v2.0.0", "v1.1.0"}}},
		"withdrawn in channel": {"v1.1.0", &catalog.Release{Tag: "v1.1.0", Withdrawn: true}, []catalog.OfferChange{{"lts", "v1.1.0", "v1.0.0"}}},
		"withdrawn old one":    {"v1.0.0", &catalog.Release{Tag: "v1.0.0", Withdrawn: true}, nil},
		"restored":             {"v3.0.0", &catalog.Release{Tag: "v3.0.0"}, []catalog.OfferChange{{"", "v2.0.0", "v3.0.0"}, {"all", "v2.0.0", "v3.0.0"}}},
		"restored old one":     {"v0.9.0", &catalog.Release{Tag: "v0.9.0"}, nil},
		"removed":              {"v2.0.0", nil, []catalog.OfferChange{{"", "v2.0.0", "v1.1.0"}, {"all", "v2.0.0", "v1.1.0"}}},
		"now a pre-release":    {"v2.0.0", &catalog.Release{Tag: "v2.0.0", Prerelease: true}, []catalog.OfferChange{{"", "v2.0.0", "v1.1.0"}}},
	} {
		if got := p.OfferChanges(ranked, c.tag, c.next, time.Now()); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
	one := p.Rank([]catalog.Release{{Tag: "v1.0.0"}})
	if got := p.OfferChanges(one, "v1.0.0", nil, time.Now()); len(got) != 3 || got[0] != (catalog.OfferChange{From: "v1.0.0"}) {
		t.Errorf("the only release: got %v, want no release for any client", got)
	}
}
