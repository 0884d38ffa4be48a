package catalog

import (
	"fmt"
	"strings"
	"time"
)

// StaleAfter is the default age of the last successful sync at which an upstream is stale.
const StaleAfter = 7 * 24 * time.Hour

// Freshness describes how long ago an upstream was synced.
type Freshness struct {
	Sync               // the last sync; its times are zero if there was none
	Age  time.Duration // time since the last success; 0 if there was none
	// Stale means that the last success is too old, or that there was none.
	Stale bool
}

// Freshness returns the freshness of the upstreams that were set, and of modules that were
// synced before. If there are none, it returns that of the bundles that were applied.
func (p *Product) Freshness(now time.Time, staleAfter time.Duration) (all []Freshness) {
	last := map[string]Sync{}
	for _, s := range p.Syncs {
		last[s.Upstream] = s
	}
	for _, upstream := range p.UpstreamList() {
		s, synced := last[upstream]
		if !synced && p.Upstreams == "" {
			continue
		}
		s.Upstream = upstream
		all = append(all, s.freshness(now, staleAfter))
	}
	if len(all) == 0 {
		for _, b := range p.Bundles {
			all = append(all, b.freshness(now, staleAfter))
		}
	}
	return all
}

func (s Sync) freshness(now time.Time, staleAfter time.Duration) Freshness {
	f := Freshness{Sync: s, Stale: s.Succeeded.IsZero()}
	if !f.Stale {
		f.Age = max(0, now.Sub(s.Succeeded))
		f.Stale = f.Age >= staleAfter
	}
	return f
}

// FromBundle reports whether f describes a bundle instead of an upstream.
func (f Freshness) FromBundle() bool { return IsBundleList(f.Upstream) }

// Oldest returns the freshness of the upstream with the oldest sync, or nil if there is no
// upstream.
func Oldest(all []Freshness) (oldest *Freshness) {
	for i := range all {
		if f := &all[i]; oldest == nil || f.Succeeded.Before(oldest.Succeeded) {
			oldest = f
		}
	}
	return oldest
}

// Ago returns when the last sync succeeded, as a phrase: "3 hours ago", or "never".
func (f Freshness) Ago() string {
	if f.Succeeded.IsZero() {
		return "never"
	}
	for _, unit := range []struct {
		name string
		time.Duration
	}{{"day", 24 * time.Hour}, {"hour", time.Hour}, {"minute", time.Minute}} {
		switch n := int(f.Age / unit.Duration); {
		case n > 1:
			return fmt.Sprintf("%d %ss ago", n, unit.name)
		case n == 1:
			return "1 " + unit.name + " ago"
		}
	}
	return "just now"
}

// String describes the last sync in words.
func (f Freshness) String() string {
	var s strings.Builder
	switch {
	case f.FromBundle():
		fmt.Fprintf(&s, "the last bundle was created %s (%s)", f.Ago(), f.Succeeded.UTC().Format("2006-01-02 15:04 UTC"))
	case f.Succeeded.IsZero():
		s.WriteString("never synced")
	default:
		fmt.Fprintf(&s, "synced %s (%s)", f.Ago(), f.Succeeded.UTC().Format("2006-01-02 15:04 UTC"))
		if f.Latest != "" {
			s.WriteString(", latest release there " + f.Latest)
		}
	}
	if f.Error != "" {
		s.WriteString("; the last attempt failed: " + f.Error)
	}
	return s.String()
}
