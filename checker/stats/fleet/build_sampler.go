package fleet

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/stats/rollup"
	"relcheck/checker/version"
)

const day = 24 * 60 * 60 // seconds

// buildSampler draws the builds of new instances.
type buildSampler struct {
	random   *rand.Rand
	scheme   version.Scheme
	releases []catalog.Release // from the oldest version to the newest, all with dates
	parsed   []version.Version // their versions
	adoption []adoptionStep    // in order of time
}

// adoptionStep is the publication of a release that new instances will run.
type adoptionStep struct {
	at      int64
	release int
}

// platforms lists the share of each platform per 1,000 instances, and its heap sizes
// relative to linux/amd64.
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

// Unreleased versions are builds of one of the latest releases for Linux. A service
// distinguishes only [stats.MaxUnreleasedBuilds] of these builds per day; these constants
// keep a fleet of any size below that limit.
const (
	rebuiltReleases  = 8
	rebuiltPlatforms = 2 // the first of platforms
)

// oddVersions are unusual versions that some instances report.
var oddVersions = []string{"dev", "edge", "-1+1", "--", "+cmd", "1.0", "0.0.0", "other"}

func newBuildSampler(f Fleet, random *rand.Rand) *buildSampler {
	s := &buildSampler{random: random, scheme: f.Product.Scheme(), releases: f.Releases()}
	for i := range s.releases {
		s.parsed = append(s.parsed, s.scheme.Parse(s.releases[i].Tag))
		if r := &s.releases[i]; r.Date.IsZero() && i > 0 { // assume the day after the version before it
			r.Date = s.releases[i-1].Date.AddDate(0, 0, 1)
		}
	}
	for i, r := range s.releases {
		if !r.Prerelease && !r.Withdrawn && s.parsed[i].Ordered() {
			s.adoption = append(s.adoption, adoptionStep{r.Date.Unix(), i})
		}
	}
	slices.SortStableFunc(s.adoption, func(a, b adoptionStep) int { return int(a.at - b.at) })
	for i := 1; i < len(s.adoption); i++ { // instances do not change to a patch of an older line
		s.adoption[i].release = max(s.adoption[i].release, s.adoption[i-1].release)
	}
	return s
}

// build draws the build of an instance that starts at a time.
func (s *buildSampler) build(at int64) rollup.Build {
	version, released := s.version(at)
	p := s.platform()
	if !released {
		p %= rebuiltPlatforms
	}
	return rollup.Build{Version: version, Platform: platforms[p].Platform}
}

// platform draws an index into platforms.
func (s *buildSampler) platform() int {
	n := s.random.IntN(1000)
	for i, p := range platforms {
		if n -= p.share; n < 0 {
			return i
		}
	}
	return 0
}

// version draws a version and reports whether it is a release. The delay until an
// instance adopts a new version ranges from days to years, with a median of four weeks.
func (s *buildSampler) version(at int64) (v string, released bool) {
	if len(s.releases) == 0 {
		return "dev", true // the only version
	}
	delay := 28 * day * math.Exp(1.2*s.random.NormFloat64())
	v = s.newest(at-int64(delay), 0).Tag
	switch n := s.random.IntN(1000); {
	case n < 20: // any release, including pre-releases and withdrawn ones
		return s.reported(s.anyRelease(at).Tag), true
	case n < 50:
		return s.unreleased(at, n-20), false
	}
	if s.random.IntN(7) == 0 {
		return s.reported(v), true
	}
	return s.scheme.Trim(v), true
}

// reported returns how a client reports a tag as a whole: without its prefix if a report
// cannot contain that.
func (s *buildSampler) reported(tag string) string {
	if !checker.ValidVersion(tag) {
		return s.scheme.Trim(tag)
	}
	return tag
}

// unreleased returns an unreleased version of the kind n, which is below 30.
func (s *buildSampler) unreleased(at int64, n int) string {
	v, _, _ := strings.Cut(s.reported(s.newest(at, s.random.IntN(rebuiltReleases)).Tag), "+")
	switch {
	case n < 15:
		return s.scheme.Trim(v) + "-istio"
	case n < 18:
		return v + "+build.5"
	case n < 23: // a development build
		major, _, _ := strings.Cut(s.scheme.Trim(v), ".")
		return "v" + major + ".99.0-dev"
	}
	return oddVersions[s.random.IntN(len(oddVersions))]
}

// newest returns the newest release at a time, or the one that is some adoption steps
// older.
func (s *buildSampler) newest(at int64, older int) catalog.Release {
	i, _ := slices.BinarySearchFunc(s.adoption, at+1, func(step adoptionStep, at int64) int { return int(step.at - at) })
	if len(s.adoption) == 0 {
		return s.releases[0]
	}
	return s.releases[s.adoption[max(0, i-1-older)].release]
}

// anyRelease draws a release that was published by a time.
func (s *buildSampler) anyRelease(at int64) catalog.Release {
	for range 100 {
		if r := s.releases[s.random.IntN(len(s.releases))]; r.Date.Unix() <= at {
			return r
		}
	}
	return s.releases[0]
}
