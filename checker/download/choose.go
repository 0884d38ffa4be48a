package download

import (
	"path"
	"strings"

	"relcheck/checker"
)

// File is a file of a release.
type File struct{ Name, URL string }

// Options describes the release.
type Options struct {
	Product    string // the product's name
	Repository string // owner/name, or the path of a Go module
	Tag        string

	// FileName returns the name that the operator has set for the file for a platform, or
	// "" for none. If FileName is set, it overrides all rules. It is called with
	// [checker.Other] for a file that serves every platform.
	FileName func(checker.Platform) string
}

// Selection is the result of [Choose].
type Selection struct {
	// Downloads holds the choice for each platform that has one. A file that runs on
	// every platform is under [checker.Other] only.
	Downloads map[checker.Platform]Choice

	// Unused holds, for each file that was given, why it does not compete for any
	// platform, or "" if it does.
	Unused []string
}

// The reasons of files that could be the download for a platform if their names were others.
const (
	noPlatform  = "no platform in its name"
	unsupported = "unsupported platform"
)

// WithoutPlatform reports whether a file is unused only because its name contains no platform
// that a client can have.
func (s *Selection) WithoutPlatform(file int) bool {
	return s.Unused[file] == noPlatform || s.Unused[file] == unsupported
}

// Choice is the download for a platform.
type Choice struct {
	File   int    // index in the files that were given
	Reason string // a phrase: what makes it better than the next best
	Others []Other
}

// Other is a file for the same platform that was not chosen.
type Other struct {
	File   int
	Reason string // a phrase: what makes it worse
}

// Choose chooses the download for each platform by the rules of this package. The order
// of the files has no effect.
func Choose(files []File, o Options) Selection {
	r := &release{files: files, id: o.identity(), unused: make([]string, len(files))}
	if o.FileName != nil {
		return r.named(o.FileName)
	}
	r.read()
	candidates := r.candidates()
	program := r.mainProgram(candidates)
	rivals := make(map[checker.Platform][]candidate)
	for _, c := range candidates {
		if c.program == program {
			rivals[c.platform] = append(rivals[c.platform], c)
		} else {
			r.unused[c.file] = "another program: " + strings.Join(c.stem, "-")
		}
	}
	downloads := make(map[checker.Platform]Choice, len(rivals))
	for p, cs := range rivals {
		downloads[p] = r.best(cs)
	}
	return Selection{downloads, r.unused}
}

// named selects the files that the operator names.
func (r *release) named(fileName func(checker.Platform) string) Selection {
	s := Selection{make(map[checker.Platform]Choice), r.unused}
	index := make(map[string]int, len(r.files))
	for i, f := range r.files {
		r.unused[i] = "not the file name that is set for the product"
		if j, ok := index[f.Name]; !ok || f.URL < r.files[j].URL {
			index[f.Name] = i
		}
	}
	for _, p := range append(checker.Platforms(), checker.Other) {
		name := fileName(p)
		if i, ok := index[name]; ok && name != "" {
			s.Downloads[p] = Choice{File: i, Reason: "file name set for the product"}
			r.unused[i] = ""
		}
	}
	return s
}

func (o *Options) identity() *identity {
	id := &identity{words: map[string]bool{}, tag: map[string]bool{}}
	repository := strings.TrimSuffix(o.Repository, ".git")
	if isVersion(path.Base(repository)) { // the major version of a Go module
		repository = path.Dir(repository)
	}
	for _, name := range []string{o.Product, path.Base(repository)} {
		joined := ""
		for _, w := range split(strings.ToLower(name)) {
			id.words[w.text] = true
			joined += w.text
		}
		if joined != "" {
			id.names = append(id.names, joined)
		}
	}
	numbered := false
	for _, w := range split(strings.ToLower(o.Tag)) {
		if numbered = numbered || isVersion(w.text); numbered {
			id.tag[w.text] = true
		}
	}
	return id
}

// release describes all files of a release together.
type release struct {
	files  []File
	names  []*name
	id     *identity
	unused []string

	plain    bool // it has programs without an ending
	foreign  bool // it names a system other than Linux
	electron bool // electron-builder made it
	macIntel bool // it names amd64 for macOS
	macARM   bool // it names arm64 for macOS
}

// read parses the names of the files and excludes files that are not programs.
func (r *release) read() {
	present := make(map[string]string, len(r.files))
	for _, f := range r.files {
		lower := strings.ToLower(f.Name)
		present[lower] = max(present[lower], f.Name)
	}
	arm, arm64 := false, false
	for i, f := range r.files {
		n := parse(f.Name, r.id)
		r.names = append(r.names, n)
		r.electron = r.electron || n.ending.text == ".blockmap" || n.ending.text == ".yml" && strings.HasPrefix(f.Name, "latest")
		if r.unused[i] = excluded(f.Name, n, present); r.unused[i] != "" {
			continue
		}
		r.plain = r.plain || n.ending.text == "" && n.os != ""
		r.foreign = r.foreign || n.os != "" && n.os != "linux"
		arm = arm || n.isArm() && (n.os == "windows" || n.os == "darwin")
		arm64 = arm64 || n.arch == "arm64"
		r.macIntel = r.macIntel || n.os == "darwin" && n.arch == "amd64"
		r.macARM = r.macARM || n.os == "darwin" && n.arch == "arm64"
	}
	if arm && !arm64 { // arm for Windows or macOS is arm64, and so it is for Linux
		for _, n := range r.names {
			if n.isArm() {
				n.arch = "arm64"
			}
		}
	}
}

// excluded returns why a file is not a program of the release, or "".
func excluded(file string, n *name, present map[string]string) string {
	if n.kind == unknownEnding || n.excludedAs == companion {
		if owner := owner(file, present); owner != "" {
			return "companion of " + owner
		}
	}
	return n.excludedAs
}

// owner returns the longest file whose name plus a suffix is the name.
func owner(name string, present map[string]string) string {
	lower := strings.ToLower(name)
	for i := len(lower) - 1; i > 0; i-- {
		if strings.IndexByte(".-_", lower[i]) >= 0 {
			if owner, ok := present[lower[:i]]; ok {
				return owner
			}
		}
	}
	return ""
}
