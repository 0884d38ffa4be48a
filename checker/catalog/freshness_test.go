package catalog

import (
	"testing"
	"time"
)

func TestFreshness(t *testing.T) {
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	const day = 24 * time.Hour
	for name, test := range map[string]struct {
		p    Product
		want []string // "" for fresh, or text with a leading ! if stale
	}{
		"no upstream":              {Product{}, nil},
		"a module never synced":    {Product{Module: "example.com/a"}, nil},
		"a module once synced":     {Product{Module: "example.com/a", Syncs: []Sync{{Upstream: "go:example.com/a", Succeeded: ago(day)}}}, []string{"synced 1 day ago (2026-03-09 12:00 UTC)"}},
		"an upstream never synced": {Product{Upstreams: "github:a/b"}, []string{"!never synced"}},
		"an upstream that fails":   {Product{Upstreams: "github:a/b", Syncs: []Sync{{Upstream: "github:a/b", Tried: now, Error: "no route"}}}, []string{"!never synced; the last attempt failed: no route"}},
		"just before":              {Product{Upstreams: "github:a/b", Syncs: []Sync{{Upstream: "github:a/b", Succeeded: ago(7*day - 1), Latest: "v1"}}}, []string{"synced 6 days ago (2026-03-03 12:00 UTC), latest release there v1"}},
		"bundles":                  {Product{Module: "example.com/a", Bundles: []Sync{{Upstream: "bundle:1", Succeeded: ago(8 * day)}}}, []string{"!the last bundle was created 8 days ago (2026-03-02 12:00 UTC)"}},
		"an upstream and bundles":  {Product{Upstreams: "github:a/b", Bundles: []Sync{{Upstream: "bundle:1", Succeeded: ago(8 * day)}}}, []string{"!never synced"}},
		"stale":                    {Product{Upstreams: "github:a/b", Syncs: []Sync{{Upstream: "github:a/b", Succeeded: ago(7 * day)}}}, []string{"!synced 7 days ago (2026-03-03 12:00 UTC)"}},
		"a clock that was ahead":   {Product{Upstreams: "github:a/b", Syncs: []Sync{{Upstream: "github:a/b", Succeeded: now.Add(day)}}}, []string{"synced just now (2026-03-11 12:00 UTC)"}},
		"one of two, and a stranger": {Product{Upstreams: "github:a/b go:example.com/a", Module: "example.com/old", Syncs: []Sync{{Upstream: "github:a/b", Succeeded: ago(90 * time.Minute)}, {Upstream: "go:example.com/old"}}},
			[]string{"synced 1 hour ago (2026-03-10 10:30 UTC)", "!never synced"}},
	} {
		all := test.p.Freshness(now, StaleAfter)
		if len(all) != len(test.want) {
			t.Errorf("%s: got %d upstreams, want %d", name, len(all), len(test.want))
			continue
		}
		for i, f := range all {
			got := f.String()
			if f.Stale {
				got = "!" + got
			}
			if got != test.want[i] {
				t.Errorf("%s: got %q, want %q", name, got, test.want[i])
			}
		}
	}
	p := Product{Upstreams: "go:example.com/a go:example.com/b", Syncs: []Sync{{Upstream: "go:example.com/a", Succeeded: ago(2 * day)}, {Upstream: "go:example.com/b", Succeeded: ago(3 * day)}}}
	if f := Oldest(p.Freshness(now, StaleAfter)); f == nil || f.Upstream != "go:example.com/b" {
		t.Errorf("got %v, want go:example.com/b", f)
	}
	if f := Oldest(nil); f != nil {
		t.Errorf("got %v, want none", f)
	}
}
