package download

import (
	"cmp"
	"slices"
	"strings"

	"relcheck/checker"
)

// candidate is a file that may be the download for a platform.
type candidate struct {
	*name
	file     int
	platform checker.Platform
	assumed  int // how many parts of the platform the name leaves out
}

// candidates returns a candidate for each platform that each file serves.
func (r *release) candidates() []candidate {
	var cs, bare []candidate // bare: neither a platform nor further words
	linux := false           // files without an operating system are for Linux
	for i, n := range r.names {
		if r.unused[i] != "" {
			continue
		}
		platforms, assumed := r.platforms(n)
		for _, p := range platforms {
			cs = append(cs, candidate{n, i, p, btoi(assumed)})
		}
		if len(platforms) == 0 {
			r.unused[i] = pick(n.os != "" && n.arch != "", unsupported, noPlatform)
			if n.os == "" && n.arch == "" && len(n.extra) == 0 {
				bare = append(bare, candidate{n, i, checker.Other, 2})
			}
		}
		linux = linux || n.os == "" && len(platforms) > 0
	}
	bare = slices.DeleteFunc(bare, func(c candidate) bool {
		if linux { // k3s beside k3s-arm64
			return c.ending.text != "" || !slices.Contains(r.id.names, c.program)
		}
		return len(cs) > 0 || c.kind != anywhere && !r.hasScript(c)
	})
	for _, c := range bare {
		if linux {
			c.platform = checker.Platform{OS: "linux", Arch: "amd64"}
		}
		r.unused[c.file] = ""
		cs = append(cs, c)
	}
	return cs
}

// hasScript reports whether a program without an ending has a script that starts it on
// Windows. Then it runs everywhere.
func (r *release) hasScript(c candidate) bool {
	return c.ending.text == "" && slices.ContainsFunc(r.names, func(n *name) bool {
		return n.program == c.program && (n.ending.text == ".bat" || n.ending.text == ".cmd")
	})
}

// platforms returns the platforms that a file serves, and whether its name leaves out a
// part of them.
func (r *release) platforms(n *name) (platforms []checker.Platform, assumed bool) {
	if platforms := n.platforms(); len(platforms) > 0 || n.has(universal) && n.os != "android" {
		return platforms, false
	}
	archs := []string{"amd64"}
	switch {
	case n.arch != "" && (n.os != "" || r.foreign), n.arch == "" && n.os == "":
		return nil, true
	case n.arch != "":
		return known("linux", n.arch), true
	case n.os == "darwin" && r.macARM && !r.macIntel:
	case n.os == "darwin" && r.macIntel && !r.macARM:
		archs = []string{"arm64"}
	case n.os == "darwin":
		archs = []string{"amd64", "arm64"}
	case n.os == "ios":
		archs = []string{"arm64"}
	case n.os == "android":
		archs = []string{"386", "amd64", "arm", "arm64"}
	}
	return known(n.os, archs...), true
}

// known returns the platforms that Go supports.
func known(os string, archs ...string) (platforms []checker.Platform) {
	for _, arch := range archs {
		if p := (checker.Platform{OS: os, Arch: arch}); p.Known() {
			platforms = append(platforms, p)
		}
	}
	return platforms
}

// mainProgram returns the program whose files are the downloads for all platforms.
func (r *release) mainProgram(cs []candidate) string {
	type standing struct {
		program  string
		affinity int
		coverage map[checker.Platform]bool
		files    int
	}
	programs := make(map[string]*standing)
	for _, c := range cs {
		s := programs[c.program]
		if s == nil {
			s = &standing{program: c.program, affinity: 5, coverage: map[checker.Platform]bool{}}
			programs[c.program] = s
		}
		s.affinity = min(s.affinity, r.id.affinity(c.stem))
		s.coverage[c.platform] = true
		s.files++
	}
	var best *standing
	for _, s := range programs {
		if best == nil || cmp.Or(
			cmp.Compare(s.affinity, best.affinity),
			cmp.Compare(len(best.coverage), len(s.coverage)),
			cmp.Compare(best.files, s.files),
			cmp.Compare(len(s.program), len(best.program)),
			cmp.Compare(s.program, best.program)) < 0 {
			best = s
		}
	}
	if best == nil {
		return ""
	}
	return best.program
}

// affinity returns how far a program's name is from the product's and the repository's:
// 0 and 1 if it equals one of them, 2 and 3 if it contains one, otherwise 4.
func (id *identity) affinity(stem []string) int {
	least := 4
	for i, own := range id.names {
		for first := range stem {
			rest, last := own, first
			for last < len(stem) && rest != "" && strings.HasPrefix(rest, stem[last]) {
				rest, last = rest[len(stem[last]):], last+1
			}
			switch {
			case rest != "":
			case first == 0 && last == len(stem):
				least = min(least, i)
			default:
				least = min(least, 2+i)
			}
		}
	}
	return least
}

// criteria compare the files for a platform, the most important criterion first. Each
// returns a value and a phrase for it. Lower values are better.
var criteria = []func(*release, *candidate) (int, string){
	func(r *release, c *candidate) (int, string) {
		value, phrase := r.preference(c), kindNames[r.kind(c)]
		if value == int(unknownEnding) && r.kind(c) != unknownEnding {
			phrase += " for the updater of the program"
		}
		return value, phrase
	},
	func(_ *release, c *candidate) (int, string) {
		return c.assumed, pick(c.assumed > 0, "its name leaves out a part of the platform", "its name gives the platform")
	},
	func(_ *release, c *candidate) (int, string) {
		if len(c.extra) == 0 {
			return 0, "plain build"
		}
		return len(c.extra), "special build: " + strings.Join(c.extra, " ")
	},
	func(_ *release, c *candidate) (int, string) {
		return btoi(c.has(distribution)), pick(c.has(distribution), "for one distribution", "for every distribution")
	},
	func(_ *release, c *candidate) (int, string) {
		if c.os == "windows" {
			return int(c.libc), pick(c.libc > 0, "built with MinGW", "built with MSVC")
		}
		return int(c.libc), pick(c.libc > 0, "musl", "glibc or no C library")
	},
	func(_ *release, c *candidate) (int, string) {
		if c.arch == "arm" {
			return int(c.cpu), armNames[c.cpu]
		}
		return int(c.cpu), pick(c.cpu > 0, "for some CPUs only", "for every CPU")
	},
	func(_ *release, c *candidate) (int, string) {
		return btoi(c.universal), pick(c.universal, "universal", "for this architecture alone")
	},
	func(_ *release, c *candidate) (int, string) {
		return btoi(c.has(static)), pick(c.has(static), "static build", "not the static build")
	},
	func(_ *release, c *candidate) (int, string) {
		rank := int(c.rank)
		switch {
		case c.os == "windows" && c.ending.text == ".zip":
			rank = 2 // after .exe
		case c.os == "windows" && c.ending.text == "":
			rank = 1000
		}
		return rank, cmp.Or(c.ending.text, "no ending")
	},
}

func btoi(b bool) int { return pick(b, 1, 0) }

func pick[T any](b bool, yes, no T) T {
	if b {
		return yes
	}
	return no
}

// kind returns a candidate's kind, which depends on the other files. An .exe without the
// word portable is an installer in a release of electron-builder, and may be one in
// other releases if the programs for other systems are in archives.
func (r *release) kind(c *candidate) kind {
	switch {
	case c.name.kind != program || c.ending.text != ".exe" || c.has(portable):
		return c.name.kind
	case r.electron:
		return installer
	case !r.plain:
		return maybeInstaller
	}
	return program
}

// preference ranks the kinds. Programs and archives are equal. The archives of
// electron-builder for macOS and Windows come last, because they are for its updater.
func (r *release) preference(c *candidate) int {
	k := r.kind(c)
	switch {
	case k > archive:
		return int(k)
	case r.electron && (c.os == "darwin" || c.os == "windows"):
		return int(unknownEnding)
	}
	return int(program)
}

// compare orders the candidates for a platform, the best first. It also returns what
// the deciding criterion says of each.
func (r *release) compare(a, b *candidate) (order int, ofA, ofB string) {
	for _, criterion := range criteria {
		va, ofA := criterion(r, a)
		vb, ofB := criterion(r, b)
		if va != vb {
			return cmp.Compare(va, vb), ofA, ofB
		}
	}
	f, g := r.files[a.file], r.files[b.file]
	if d := cmp.Compare(len(f.Name), len(g.Name)); d != 0 {
		return d, "shorter name", "longer name"
	}
	return cmp.Or(cmp.Compare(f.Name, g.Name), cmp.Compare(f.URL, g.URL)), "first in the alphabet", "later in the alphabet"
}

// best chooses among the candidates for a platform.
func (r *release) best(cs []candidate) Choice {
	slices.SortFunc(cs, func(a, b candidate) int {
		order, _, _ := r.compare(&a, &b)
		return order
	})
	c := Choice{File: cs[0].file, Reason: "the only file"}
	for i := 1; i < len(cs); i++ {
		_, won, lost := r.compare(&cs[0], &cs[i])
		if i == 1 {
			c.Reason = won
		}
		c.Others = append(c.Others, Other{cs[i].file, lost})
	}
	return c
}
