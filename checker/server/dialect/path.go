package dialect

import (
	"net/url"
	"strings"

	"relcheck/checker"
)

// SplitPath normalizes an escaped path: it drops empty segments. ok is false if the path
// does not begin with "/", or if a segment is "." or ".." after unescaping, is not escaped
// correctly, or contains a NUL.
func SplitPath(escaped string) (clean string, ok bool) {
	if escaped == "" {
		return "/", true
	}
	if escaped[0] != '/' {
		return "", false
	}
	dirty := false
	for rest := escaped; rest != ""; {
		var segment string
		segment, rest = cutSegment(rest)
		switch text, err := unescape(segment); {
		case err != nil, text == ".", text == "..", strings.IndexByte(text, 0) >= 0:
			return "", false
		case text == "":
			dirty = true
		}
	}
	if !dirty || escaped == "/" {
		return escaped, true
	}
	var b strings.Builder
	for rest := escaped; rest != ""; {
		var segment string
		if segment, rest = cutSegment(rest); segment != "" {
			b.WriteString("/" + segment)
		}
	}
	if b.Len() == 0 {
		return "/", true
	}
	return b.String(), true
}

// cutSegment splits a path after its first segment. The path begins with "/", and so does
// the rest unless it is empty.
func cutSegment(path string) (segment, rest string) {
	path = path[1:]
	if i := strings.IndexByte(path, '/'); i >= 0 {
		return path[:i], path[i:]
	}
	return path, ""
}

func unescape(segment string) (string, error) {
	if strings.IndexByte(segment, '%') < 0 {
		return segment, nil
	}
	return url.PathUnescape(segment)
}

// Prefix is the start of a path that assigns a request to a product:
// /p/NAME[@CHANNEL][/as/VERSION][/OS-ARCH].
type Prefix struct {
	Product, Channel string
	Named            bool // a channel follows, even if it is empty

	// As means that the prefix contains /as/. Invalid means that no version follows it.
	As, Invalid bool
	Version     string           // or empty
	Platform    checker.Platform // or zero

	Text string // the prefix in escaped form, without an invalid version
	Rest string // what follows, normalized as by [SplitPath]
}

// CutPrefix splits a path for which [SplitPath] reports true. It must get the path with
// its empty segments, because a version may be empty. A version that is the name of a
// platform is invalid: a proxy has removed the empty segment before it.
func CutPrefix(escaped string) (p Prefix, ok bool) {
	first, rest := nextSegment(escaped)
	if first != "p" {
		return p, false
	}
	name, rest := nextSegment(rest)
	if name == "" {
		return p, false
	}
	p.Text = "/p/" + name
	name, _ = unescape(name)
	p.Product, p.Channel, p.Named = strings.Cut(name, "@")
	if segment, after := nextSegment(rest); segment == "as" {
		p.As, rest = true, ""
		if after != "" {
			segment, rest = cutSegment(after)
			p.Version, _ = unescape(segment)
		}
		if p.Platform, p.Invalid = parsePlatform(p.Version); !p.Invalid {
			p.Invalid = !checker.ValidVersion(p.Version)
		}
		if p.Invalid {
			p.Version = ""
		} else {
			p.Text += "/as/" + segment
		}
	}
	if segment, after := nextSegment(rest); p.Platform == (checker.Platform{}) {
		if p.Platform, ok = parsePlatform(segment); ok {
			rest = after
		}
	}
	if p.Platform != (checker.Platform{}) {
		p.Text += "/" + p.Platform.OS + "-" + p.Platform.Arch
	}
	p.Rest, ok = SplitPath(rest)
	return p, ok
}

// nextSegment is like [cutSegment], but skips empty segments.
func nextSegment(path string) (segment, rest string) {
	for rest = path; rest != "" && segment == ""; {
		segment, rest = cutSegment(rest)
	}
	return segment, rest
}

// parsePlatform parses OS-ARCH, a platform that Go supports.
func parsePlatform(segment string) (checker.Platform, bool) {
	i := strings.LastIndexByte(segment, '-')
	p := checker.Platform{OS: segment[:max(i, 0)], Arch: segment[i+1:]}
	if !p.Known() {
		return checker.Platform{}, false
	}
	return p, true
}
