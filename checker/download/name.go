package download

import (
	"cmp"
	"fmt"
	"strings"

	"relcheck/checker"
)

// maxName is the maximum length of a file's name that is read: no file system and no
// upstream has longer ones.
const maxName = 255

// Normalize returns the platform that a client calls os and arch, such as Windows_NT and
// AMD64, or [checker.Other] if Go does not support it.
func Normalize(os, arch string) checker.Platform {
	if p := (checker.Platform{OS: os, Arch: arch}); p.Known() {
		return p
	}
	n := name{}
	if len(os)+len(arch) < maxName {
		n.read(split(strings.ToLower(os+" "+arch)), nil)
	}
	return checker.Platform{OS: n.os, Arch: n.arch}.OrOther()
}

// ParsePlatform is like [checker.ParsePlatform]. Its error for another name of a platform,
// such as Linux/x86_64, contains Go's name.
func ParsePlatform(text string) (checker.Platform, error) {
	p, err := checker.ParsePlatform(text)
	os, arch, _ := strings.Cut(text, "/")
	if known := Normalize(os, arch); err != nil && known != checker.Other {
		err = fmt.Errorf("unknown platform %q: use %s", text, known)
	}
	return p, err
}

// Mentions reports whether a text has a word for an operating system or an architecture,
// even for one that Go does not support.
func Mentions(text string) bool {
	if len(text) >= maxName {
		return false
	}
	for _, w := range split(strings.ToLower(text)) {
		if m := understand(w.text); m != nil && (m.os != "" || m.arch != "") {
			return true
		}
	}
	return false
}

// name is the parsed name of a file.
type name struct {
	stem      []string // the words before the platform and the version
	program   string   // the same as one word
	extra     []string // further words
	os, arch  string
	cpu, libc int8
	implied   string // the architecture, if no word names one
	universal bool   // for both architectures of macOS, or for all of Android
	flags     flag
	ending
}

// identity describes the release whose file names are parsed.
type identity struct {
	names []string        // of the product and the repository, letters and digits only
	words map[string]bool // that occur in these names
	tag   map[string]bool // words of the tag, from its first number on
}

// productWords returns how many of the first words are the name of the product or the
// repository.
func (id *identity) productWords(ws []word) (n int) {
	for _, rest := range id.names {
		for i, w := range ws {
			var ok bool
			if rest, ok = strings.CutPrefix(rest, w.text); !ok {
				break
			}
			if rest == "" {
				n = max(n, i+1)
				break
			}
		}
	}
	return n
}

// parse reads a name. Without an identity, every word has its usual meaning.
func parse(file string, id *identity) *name {
	n := &name{}
	if len(file) > maxName {
		n.kind, n.excludedAs = notProgram, "name too long"
		return n
	}
	base, e := cutEnding(strings.ToLower(file))
	inner, within := cutEnding(base)
	switch {
	case within.text == "" || within.kind == unknownEnding:
	case e.kind == unknownEnding: // app.tar.gz.delta
		e.kind, e.excludedAs = notProgram, companion
	case within.excludedAs == "image" || within.excludedAs == "debug symbols": // app.iso.gz
		e.kind, e.excludedAs = notProgram, within.excludedAs
	case e.kind == archive && within.kind < notProgram: // app.exe.zip
		base, e.os = inner, within.os
	}
	n.ending = e
	n.read(split(base), id)
	n.combine()
	return n
}

// word is a word of a name.
type word struct {
	text     string
	dotted   bool // a dot stands before it
	*meaning      // nil if it is a part of the program's name, or nothing is known
}

// split splits a name in lower case at everything but letters and digits, and joins the
// words that belong together.
func split(s string) []word {
	var ws []word
	start := -1
	for i := range len(s) + 1 {
		inside := i < len(s) && (isDigit(s[i]) || 'a' <= s[i] && s[i] <= 'z' || s[i] >= 0x80)
		switch {
		case inside && start < 0:
			start = i
		case !inside && start >= 0:
			ws = append(ws, word{text: s[start:i], dotted: start > 0 && s[start-1] == '.'})
			start = -1
		}
	}
	joined := make([]word, 0, len(ws)+1)
	for i, w := range ws {
		if last := len(joined) - 1; last >= 0 {
			pair, ok := pairs[[2]string{joined[last].text, w.text}]
			if ok && !(i+1 < len(ws) && ws[i+1].dotted && isNumber(ws[i+1].text)) {
				joined[last].text = pair
				continue
			}
		}
		for _, tail := range []string{"setup", "installer", "portable"} { // AppSetup.exe
			if head, ok := strings.CutSuffix(w.text, tail); ok && len(head) > 2 {
				joined = append(joined, word{text: head, dotted: w.dotted})
				w = word{text: tail}
				break
			}
		}
		joined = append(joined, w)
	}
	return joined
}

// read takes the meaning of each word. A tool may itself be called "linux-arm", so the
// last word for an operating system counts, and likewise the last architecture.
func (n *name) read(ws []word, id *identity) {
	if id == nil {
		id = &identity{}
	}
	productWords := id.productWords(ws)
	stemEnd, amd64, arm64 := n.locate(ws, productWords, id), false, false
	for i, w := range ws {
		m := w.meaning
		switch {
		case i < productWords || i < stemEnd && (m == nil || m.os != "" && m.libc == 0 || m.arch != ""):
			n.stem = append(n.stem, w.text)
		case m == nil:
			n.extra = append(n.extra, w.text)
		default:
			n.add(m)
			amd64 = amd64 || m.arch == "amd64"
			arm64 = arm64 || m.arch == "arm64"
		}
	}
	if n.arch == "" {
		n.arch = n.implied
	}
	n.universal = n.has(universal) && n.arch == "" || n.os == "darwin" && amd64 && arm64
	if len(n.stem) == 0 {
		n.stem, n.extra = n.extra, nil
	}
	n.program = strings.Join(n.stem, "")
}

// locate finds the meaning of each word after the product's name, and the platform. It
// returns where the platform or the version begins.
func (n *name) locate(ws []word, productWords int, id *identity) int {
	stemEnd, lastOS, lastArch := len(ws), len(ws), len(ws)
	for i := productWords; i < len(ws); i++ {
		w := &ws[i]
		m := understand(w.text)
		switch {
		case m == nil && (id.tag[w.text] || isVersion(w.text)), m != nil && inVersion(ws, i):
			w.meaning = &version
			stemEnd = min(stemEnd, i)
			continue
		case m == nil, m.excludedAs != "" && id.words[w.text], m.flag == neutral && (i == 0 || id.words[w.text]):
			continue // the program has this name
		}
		w.meaning = m
		if m.os != "" {
			n.os, lastOS = m.os, i
		}
		if m.arch != "" {
			n.arch, lastArch = m.arch, i
		}
	}
	stemEnd = min(stemEnd, lastOS, lastArch)
	for stemEnd > max(productWords, 1) && ws[stemEnd-1].meaning != nil && (ws[stemEnd-1].os != "" || ws[stemEnd-1].arch != "") {
		stemEnd--
	}
	return stemEnd
}

// version is the meaning of a word of a version.
var version = meaning{flag: neutral}

// add takes what a word says besides the platform.
func (n *name) add(m *meaning) {
	n.cpu = max(n.cpu, m.cpu)
	n.libc = max(n.libc, m.libc)
	n.implied = cmp.Or(m.implied, n.implied)
	if m.excludedAs != "" && (n.excludedAs == "" || n.excludedAs == documentation) {
		n.excludedAs = m.excludedAs
	}
	n.flags |= m.flag
}

func (n *name) has(f flag) bool { return n.flags&f != 0 }

// combine combines what the ending and the words say.
func (n *name) combine() {
	if n.ending.os != "" && (n.os == "" || !n.overridable) {
		n.os = n.ending.os
	}
	if n.os == "windows" && n.has(gnu) {
		n.libc = 1
	}
	switch {
	case n.excludedAs != "":
		n.kind = notProgram
	case n.has(setup) && !n.has(portable) && n.kind <= archive:
		n.kind = installer
	case n.kind == anywhere && n.os != "":
		n.kind = archive
	}
}

// isArm reports whether a name says arm without a version or variant.
func (n *name) isArm() bool { return n.arch == "arm" && n.cpu == 0 }

// platforms returns the platforms that the name itself says.
func (n *name) platforms() []checker.Platform {
	switch {
	case n.universal && n.os == "darwin":
		return []checker.Platform{{OS: "darwin", Arch: "amd64"}, {OS: "darwin", Arch: "arm64"}}
	case checker.Platform{OS: n.os, Arch: n.arch}.Known():
		return []checker.Platform{{OS: n.os, Arch: n.arch}}
	}
	return nil
}

// inVersion reports whether a word is a number that a dot joins to another: the 386 of
// 126.0.386 is not an architecture.
func inVersion(ws []word, i int) bool {
	return isVersion(ws[i].text) && (i > 0 && ws[i].dotted && isNumber(strings.TrimPrefix(ws[i-1].text, "v")) ||
		i+1 < len(ws) && ws[i+1].dotted && isNumber(ws[i+1].text))
}

// isVersion reports whether a word is a number, or a number with a "v" before it or a
// pre-release after it: v1, 24, 0rc1.
func isVersion(w string) bool {
	w = strings.TrimPrefix(w, "v")
	rest := strings.TrimLeft(w, "0123456789")
	if rest == w {
		return false
	}
	switch strings.TrimRight(rest, "0123456789") {
	case "", "a", "b", "c", "p", "r", "m", "rc", "alpha", "beta", "pre", "dev", "post":
		return true
	}
	return false
}

func isNumber(w string) bool { return w != "" && strings.Trim(w, "0123456789") == "" }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
