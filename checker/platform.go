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

// Platform is an operating system and an architecture, as Go names them.
type Platform struct {
	OS, Arch string
}

// Other stands for every platform that Go does not build for, and for callers
// who did not say what theirs is.
var Other = Platform{OS: "other", Arch: "other"}

// Host returns the platform this program runs on.
func Host() Platform { return Platform{runtime.GOOS, runtime.GOARCH} }

// String returns "os/arch".
func (p Platform) String() string { return p.OS + "/" + p.Arch }

// ParsePlatform reads "os/arch" and refuses a platform that Go does not know.
func ParsePlatform(s string) (Platform, error) {
	os, arch, _ := strings.Cut(s, "/")
	p := Platform{os, arch}
	if !p.Known() {
		return Platform{}, fmt.Errorf("platform %q is not one that Go builds for; write it as linux/amd64", s)
	}
	return p, nil
}

// Known reports whether p is a platform that Go builds for.
func (p Platform) Known() bool {
	_, ok := known[p]
	return ok
}

// OrOther returns p, or [Other] if p is not known to Go.
func (p Platform) OrOther() Platform {
	if p.Known() {
		return p
	}
	return Other
}

// Platforms returns every platform that Go builds for, sorted by its text.
func Platforms() []Platform { return slices.Clone(platforms()) }

var platforms = sync.OnceValue(func() []Platform {
	return slices.SortedFunc(maps.Keys(known), func(a, b Platform) int { return cmp.Compare(a.String(), b.String()) })
})

// UserAgent is the header by which a client tells its version and platform:
// "Open Policy Agent/0.70.0 (linux, amd64)".
func UserAgent(title, version string, p Platform) string {
	return title + "/" + version + " (" + p.OS + ", " + p.Arch + ")"
}

// ParseUserAgent reads what [UserAgent] writes. The quotes that the privacy
// document's sample puts around the header are taken off. Version and platform
// are empty where the header does not tell them; the platform is [Other] where
// it names one that Go does not know.
func ParseUserAgent(s string) (version string, p Platform) {
	s = strings.Trim(s, `"`)
	head, tail, ok := cutLast(s, " (")
	if !ok || !strings.HasSuffix(tail, ")") {
		return "", Platform{}
	}
	os, arch, ok := strings.Cut(tail[:len(tail)-1], ", ")
	if !ok {
		return "", Platform{}
	}
	if _, v, ok := cutLast(head, "/"); ok && ValidVersion(v) {
		version = v
	}
	return version, Platform{os, arch}.OrOther()
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
