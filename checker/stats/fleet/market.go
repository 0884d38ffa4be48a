package fleet

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"golang.org/x/mod/semver"

	"relcheck/checker"
	"relcheck/checker/stats"
)

const day = 24 * 60 * 60 // seconds

// market says what builds people run.
type market struct {
	random   *rand.Rand
	releases []checker.Release // from the oldest version up, with dates
	adopted  []step            // in order of time
}

// step is from when on a version is the one to take up.
type step struct {
	at      int64
	release int
}

// platforms are what shares of all instances run on, out of 1,000, and how many
// times the heap of linux/amd64 they take there.
var platforms = []struct {
	checker.Platform
	share int
	heap  float64
}{
	{checker.Platform{OS: "linux", Arch: "amd64"}, 620, 1},
	{checker.Platform{OS: "linux", Arch: "arm64"}, 170, 0.9},
	{checker.Platform{OS: "darwin", Arch: "arm64"}, 90, 0.8},
	{checker.Platform{OS: "windows", Arch: "amd64"}, 60, 1.25},
	{checker.Platform{OS: "darwin", Arch: "amd64"}, 30, 1.1},
	{checker.Other, 20, 1},
	{checker.Platform{OS: "linux", Arch: "s390x"}, 10, 1.4},
}

// What nobody has published is built by those who run it: one of the latest
// releases, on Linux. So many builds of a day are told apart that a whole fleet has
// fewer of them: see [stats.MaxUnpublished].
const (
	rebuilt          = 8 // releases
	rebuiltPlatforms = 2 // the first ones
)

// odd versions that reports may tell as well.
var odd = []string{"dev", "edge", "-1+1", "--", "+cmd", "1.0", "0.0.0", "other"}

func newMarket(f Fleet, random *rand.Rand) *market {
	m := &market{random: random, releases: f.Releases()}
	for i := range m.releases {
		if r := &m.releases[i]; r.Date.IsZero() && i > 0 { // it came out after the version before it
			r.Date = m.releases[i-1].Date.AddDate(0, 0, 1)
		}
	}
	for i, r := range m.releases {
		if !r.Prerelease && !r.Withdrawn {
			m.adopted = append(m.adopted, step{r.Date.Unix(), i})
		}
	}
	slices.SortStableFunc(m.adopted, func(a, b step) int { return int(a.at - b.at) })
	for i := 1; i < len(m.adopted); i++ { // a patch to an older line is not what people change to
		m.adopted[i].release = max(m.adopted[i].release, m.adopted[i-1].release)
	}
	return m
}

// build draws what is started at a time.
func (m *market) build(at int64) stats.Build {
	version, published := m.version(at)
	p := m.platform()
	if !published {
		p %= rebuiltPlatforms
	}
	return stats.Build{Version: version, Platform: platforms[p].Platform}
}

func (m *market) platform() int {
	n := m.random.IntN(1000)
	for i, p := range platforms {
		if n -= p.share; n < 0 {
			return i
		}
	}
	return 0
}

// version draws one, and tells whether it was published. How long people wait until
// they take up a new version is spread over days to years, half of them longer than
// four weeks.
func (m *market) version(at int64) (v string, published bool) {
	if len(m.releases) == 0 {
		return "dev", true // there is nothing else
	}
	waited := 28 * day * math.Exp(1.2*m.random.NormFloat64())
	v = m.newest(at-int64(waited), 0).Version
	switch n := m.random.IntN(1000); {
	case n < 20: // whatever was published, also what should not be run
		return m.published(at).Version, true
	case n < 50:
		return m.unpublished(at, n-20), false
	}
	if m.random.IntN(7) == 0 {
		return v, true
	}
	return strings.TrimPrefix(v, "v"), true
}

// unpublished makes up a version that is none, by a number below 30.
func (m *market) unpublished(at int64, n int) string {
	v := m.newest(at, m.random.IntN(rebuilt)).Version
	switch {
	case n < 15:
		return strings.TrimPrefix(checker.Core(v), "v") + "-istio"
	case n < 18:
		return v + "+build.5"
	case n < 23: // built from the branch
		return semver.Major(checker.Canonical(v)) + ".99.0-dev"
	}
	return odd[m.random.IntN(len(odd))]
}

// newest returns the version to take up at a time, or one that was so before.
func (m *market) newest(at int64, before int) checker.Release {
	i, _ := slices.BinarySearchFunc(m.adopted, at+1, func(s step, at int64) int { return int(s.at - at) })
	if len(m.adopted) == 0 {
		return m.releases[0]
	}
	return m.releases[m.adopted[max(0, i-1-before)].release]
}

// published draws a release that was out at a time.
func (m *market) published(at int64) checker.Release {
	for range 100 {
		if r := m.releases[m.random.IntN(len(m.releases))]; r.Date.Unix() <= at {
			return r
		}
	}
	return m.releases[0]
}
