package catalog

import (
	"cmp"
	"fmt"
	"net/url"
	"strings"
	"sync"

	"relcheck/checker"
	"relcheck/checker/printable"
	"relcheck/checker/version"
)

var platforms = sync.OnceValue(checker.Platforms)

// DownloadURL returns the URL of a release's file for a platform by the product's
// template, or "". It fills in
//
//	{tag}       the release's tag: v0.19.2
//	{version}   the tag without the product's prefix and a leading v: 0.19.2; a version
//	            whose numbers are separated by "_" gets dots: 8.21.0 for curl-8_21_0
//	{os}        the platform's operating system: darwin
//	{arch}      the platform's architecture: amd64
//	{NAME:TEXT} TEXT if the operating system or the architecture is NAME,
//	            else nothing: {windows:.exe}
//
// A template that depends on the platform gives nothing for [checker.Other]. The result is
// also empty if the link would be invalid for this tag.
func (p *Product) DownloadURL(tag string, platform checker.Platform) string {
	return p.link(p.Download, tag, platform, printable.CheckDownload)
}

// NotesURL returns the URL of a release's notes: its own, or the one from the product's
// template, which has the fields of [Product.DownloadURL].
func (p *Product) NotesURL(r *Release) string {
	return cmp.Or(r.Notes, p.link(p.Notes, r.Tag, checker.Other, printable.CheckLink))
}

// link expands a template of links. It returns "" if the template does not fit the
// platform, or if the link is invalid, because [CheckTemplate] cannot try all tags.
func (p *Product) link(template, tag string, platform checker.Platform, check func(string) error) string {
	link := p.expand(template, tag, platform, url.PathEscape)
	if link != "" && check(link) != nil {
		return ""
	}
	return link
}

// fileName returns the name of a release's file for a platform by the product's
// template, or "".
func (p *Product) fileName(tag string, platform checker.Platform) string {
	return p.expand(p.File, tag, platform, func(s string) string { return s })
}

// expand returns "" if the template does not fit the platform.
func (p *Product) expand(template, tag string, platform checker.Platform, escape func(string) string) string {
	s, err := expand(template, escape(tag), escape(p.trimTag(tag)), platform)
	if err != nil {
		return ""
	}
	return s
}

// trimTag returns the value of {version}.
func (p *Product) trimTag(tag string) string {
	s, _ := version.NewScheme(strings.Fields(p.Prefixes), "")
	text := s.Trim(tag)
	if strings.Contains(text, "_") && !strings.Contains(text, ".") && s.Parse(tag).Ordered() {
		text = strings.ReplaceAll(text, "_", ".")
	}
	return text
}

// sampleTags has a tag of every form that matters to templates: with and without
// the "v", with a pre-release and build metadata, short, and of the maximum length.
var sampleTags = []string{
	"v1.2.3", "1.2.3", "v0.10.0-rc.1+build.5", "2",
	"9.0.0-" + strings.Repeat("x", checker.MaxVersion-len("9.0.0-")),
}

// checkFileTemplate returns an error unless template expands to a file name for at least
// one platform.
func checkFileTemplate(template string) error {
	if err := printable.Check(template); err != nil {
		return fmt.Errorf("template: %w", err)
	}
	failed, expands := error(nil), false
	for _, p := range append(checker.Platforms(), checker.Other) {
		name, err := expand(template, "v1.2.3", "1.2.3", p)
		if expands = expands || name != "" && err == nil; err != nil && p != checker.Other {
			failed = err
		}
		if strings.ContainsAny(name, "/{}") {
			return fmt.Errorf("%q is not a file name", name)
		}
	}
	switch {
	case failed != nil:
		return failed
	case !expands:
		return fmt.Errorf("template %q gives no platform a file name", template)
	}
	return nil
}

// CheckTemplate returns an error unless template expands to a link for at least one
// platform, and all its links pass check, which is [printable.CheckLink] or
// [printable.CheckDownload]. The error names the platform and the link.
func CheckTemplate(template string, check func(string) error) error {
	if err := printable.Check(template); err != nil {
		return fmt.Errorf("template: %w", err)
	}
	expands := false
	for _, p := range platforms() {
		for _, tag := range sampleTags {
			link, err := expand(template, url.PathEscape(tag), url.PathEscape(strings.TrimPrefix(tag, "v")), p)
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
			expands = true
		}
	}
	if !expands {
		return fmt.Errorf("template %q gives no platform a URL", template)
	}
	return nil
}

func expand(template, tag, version string, p checker.Platform) (string, error) {
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
			b.WriteString(tag)
			continue
		case name == "version":
			b.WriteString(version)
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
