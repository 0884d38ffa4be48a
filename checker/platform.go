package checker

import (
	"cmp"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// Platform is an operating system and an architecture, by their Go names.
type Platform struct {
	OS, Arch string
}

// Other stands for all platforms that Go does not support, and for clients that did not
// report their platform.
var Other = Platform{OS: "other", Arch: "other"}

// Host returns the platform on which this program runs.
func Host() Platform { return Platform{runtime.GOOS, runtime.GOARCH} }

// String returns "os/arch".
func (p Platform) String() string { return p.OS + "/" + p.Arch }

// ParsePlatform parses "os/arch". It returns an error for platforms that Go does not
// support.
func ParsePlatform(s string) (Platform, error) {
	os, arch, _ := strings.Cut(s, "/")
	p := Platform{os, arch}
	if !p.Known() {
		return Platform{}, fmt.Errorf("unknown platform %q: use a platform of Go, such as linux/amd64", s)
	}
	return p, nil
}

// Known reports whether Go supports p.
func (p Platform) Known() bool {
	_, ok := known[p]
	return ok
}

// OrOther returns p, or [Other] if Go does not support p.
func (p Platform) OrOther() Platform {
	if p.Known() {
		return p
	}
	return Other
}

// Platforms returns all platforms that Go supports, sorted by name.
func Platforms() []Platform { return slices.Clone(platforms()) }

var platforms = sync.OnceValue(func() []Platform {
	return slices.SortedFunc(maps.Keys(known), func(a, b Platform) int { return cmp.Compare(a.String(), b.String()) })
})

// UserAgent returns the User-Agent header with which a client reports its version and
// platform: "Open Policy Agent/0.70.0 (linux, amd64)".
func UserAgent(title, version string, p Platform) string {
	return title + "/" + version + " (" + p.OS + ", " + p.Arch + ")"
}
