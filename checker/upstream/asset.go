package upstream

import (
	"slices"
	"strings"

	"relcheck/checker"
)

// Asset is a file of a release: its name, and the URL it is downloaded from.
type Asset struct {
	Name, URL string
}

// ByPlatform returns the URL of the best file for each platform. Programs and archives
// are better than installer packages, a file for one architecture is better than a
// universal one, then the shorter name wins, then the first in alphabetical order.
func ByPlatform(assets []Asset) map[checker.Platform]string {
	best := make(map[checker.Platform]candidate)
	for _, a := range assets {
		n := parseName(a.Name)
		for _, p := range n.platforms() {
			c := candidate{Asset: a, packaged: n.packaged(), universal: n.both}
			if rival, taken := best[p]; !taken || c.before(rival) {
				best[p] = c
			}
		}
	}
	urls := make(map[checker.Platform]string, len(best))
	for p, c := range best {
		urls[p] = c.URL
	}
	return urls
}

// candidate is an asset for a platform.
type candidate struct {
	Asset
	packaged, universal bool
}

func (c candidate) before(d candidate) bool {
	switch {
	case c.packaged != d.packaged:
		return d.packaged
	case c.universal != d.universal:
		return d.universal
	case len(c.Name) != len(d.Name):
		return len(c.Name) < len(d.Name)
	case c.Name != d.Name:
		return c.Name < d.Name
	}
	return c.URL < d.URL
}

// assetName is the information in a file's name.
type assetName struct {
	os, arch string // names of Go, or ""
	both     bool   // runs on both architectures of macOS
	ext      string // text after the last dot
}

func (n assetName) packaged() bool {
	_, ok := packages[n.ext]
	return ok
}

// platforms returns the platforms that a file is for, in alphabetical order. It returns
// none for files that are not programs, such as checksums, and for names without an
// operating system or an architecture: offering no file is better than a wrong one.
func (n assetName) platforms() []checker.Platform {
	if n.os == "darwin" && n.both {
		return []checker.Platform{{OS: "darwin", Arch: "amd64"}, {OS: "darwin", Arch: "arm64"}}
	}
	if p := (checker.Platform{OS: n.os, Arch: n.arch}); p.Known() {
		return []checker.Platform{p}
	}
	return nil
}

// parseName parses a name word by word. The last operating system and the last
// architecture count, because a program may itself be called "linux-arm" and its name
// comes before its platform. Words such as "win64" imply an architecture only if no
// other word names one, because "win32-x64" is common.
func parseName(name string) assetName {
	name = strings.ToLower(name)
	n := assetName{ext: extension(name)}
	if slices.Contains(notPrograms, n.ext) || slices.ContainsFunc(checksums, func(s string) bool { return strings.Contains(name, s) }) {
		return assetName{}
	}
	implied, universal := "", false
	seen := make(map[string]bool)
	for _, w := range words(name) {
		if os := osOf[w]; os != "" {
			n.os = os
		}
		if arch := archOf[w]; arch != "" {
			n.arch = arch
			seen[arch] = true
		}
		if arch := impliedArch[w]; arch != "" {
			implied = arch
		}
		universal = universal || slices.Contains(universals, w)
	}
	if os := osOfExtension[n.ext]; os != "" {
		n.os = os
	}
	switch {
	case n.os == "darwin" && (seen["amd64"] && seen["arm64"] || n.arch == "" && universal):
		n.both = true
	case n.arch == "":
		n.arch = implied
	}
	return n
}

// extension returns what follows the last dot of a name in lower case.
func extension(name string) string {
	return name[strings.LastIndexByte(name, '.')+1:]
}

// words splits a lower-case name at everything but letters and digits. A pair of words
// with a common meaning becomes one word and an empty one.
func words(name string) []string {
	var all []string
	for _, dotted := range strings.FieldsFunc(name, func(r rune) bool { return r != '.' && !isLetter(r) && !isDigit(r) }) {
		all = append(all, withoutNumbers(strings.Split(dotted, "."))...)
	}
	for i := range len(all) - 1 {
		if pair, ok := pairs[[2]string{all[i], all[i+1]}]; ok {
			all[i], all[i+1] = pair, ""
		}
	}
	return all
}

// withoutNumbers removes version numbers from words that dots separate: the 386 of
// 126.0.386 is not an architecture.
func withoutNumbers(dotted []string) []string {
	var kept []string
	for i, w := range dotted {
		afterNumber := i > 0 && isNumber(strings.TrimPrefix(dotted[i-1], "v"))
		beforeNumber := i+1 < len(dotted) && isNumber(dotted[i+1])
		if !isNumber(w) || !afterNumber && !beforeNumber {
			kept = append(kept, w)
		}
	}
	return kept
}

func isNumber(w string) bool {
	return w != "" && !strings.ContainsFunc(w, func(r rune) bool { return !isDigit(r) })
}

func isLetter(r rune) bool { return 'a' <= r && r <= 'z' }
func isDigit(r rune) bool  { return '0' <= r && r <= '9' }
