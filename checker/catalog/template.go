package catalog

import (
	"fmt"
	"net/url"
	"strings"
	"sync"

	"relcheck/checker"
	"relcheck/checker/printable"
)

var platforms = sync.OnceValue(checker.Platforms)

// Expand fills in a URL template for a release and a platform:
//
//	{tag}       the release's tag: v0.19.2
//	{version}   the tag without a leading v: 0.19.2
//	{os}        the platform's operating system: darwin
//	{arch}      the platform's architecture: amd64
//	{NAME:TEXT} TEXT if the operating system or the architecture is NAME,
//	            else nothing: {windows:.exe}
//
// A template that depends on the platform expands to "" for [checker.Other].
func Expand(template, tag string, p checker.Platform) string {
	s, err := expand(template, tag, p)
	if err != nil {
		return ""
	}
	return s
}

// sampleTags has a tag of every form that matters to templates: with and without
// the "v", with a pre-release and build metadata, short, and of the maximum length.
var sampleTags = []string{
	"v1.2.3", "1.2.3", "v0.10.0-rc.1+build.5", "2",
	"9.0.0-" + strings.Repeat("x", checker.MaxVersion-len("9.0.0-")),
}

// CheckTemplate returns an error unless template expands to a link for at least one
// platform, and all its links pass check, which is [printable.CheckLink] or
// [printable.CheckDownload]. The error names the platform and the link.
func CheckTemplate(template string, check func(string) error) error {
	if err := printable.Check(template); err != nil {
		return fmt.Errorf("template: %w", err)
	}
	made := false
	for _, p := range platforms() {
		for _, tag := range sampleTags {
			link, err := expand(template, tag, p)
			switch {
			case err != nil:
				return err
			case link == "":
				continue
			case strings.ContainsAny(link, "{}"):
				err = fmt.Errorf("%s: a brace is left over, because braces cannot be nested", printable.QuoteURL(link))
			default:
				err = check(link)
			}
			if err != nil {
				return fmt.Errorf("the template gives %v, for version %s, %w", p, tag, err)
			}
			made = true
		}
	}
	if !made {
		return fmt.Errorf("template %q gives no platform a URL", template)
	}
	return nil
}

func expand(template, tag string, p checker.Platform) (string, error) {
	var b strings.Builder
	rest := template
	for {
		text, after, found := strings.Cut(rest, "{")
		b.WriteString(text)
		if !found {
			return b.String(), nil
		}
		field, tail, closed := strings.Cut(after, "}")
		if !closed {
			return "", fmt.Errorf("template %q: %q has no closing brace", template, "{"+after)
		}
		rest = tail
		name, insert, conditional := strings.Cut(field, ":")
		switch {
		case name == "tag":
			b.WriteString(url.PathEscape(tag))
			continue
		case name == "version":
			b.WriteString(url.PathEscape(strings.TrimPrefix(tag, "v")))
			continue
		case p == checker.Other || p == checker.Platform{}:
			return "", fmt.Errorf("template %q: no platform", template)
		case conditional && (name == p.OS || name == p.Arch):
			b.WriteString(insert)
		case conditional && knownName(name):
		case conditional:
			return "", fmt.Errorf("template %q: {%s}: Go knows no operating system or architecture %q", template, field, name)
		case name == "os":
			b.WriteString(p.OS)
		case name == "arch":
			b.WriteString(p.Arch)
		default:
			return "", fmt.Errorf("template %q: unknown field {%s}; use {tag}, {version}, {os}, {arch} or {NAME:TEXT}", template, field)
		}
	}
}

// knownName reports whether an operating system or an architecture has the name.
func knownName(name string) bool {
	for _, p := range platforms() {
		if name == p.OS || name == p.Arch {
			return true
		}
	}
	return false
}
