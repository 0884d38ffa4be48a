package checker

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Expand fills in a URL template for a release and a platform:
//
//	{tag}       the release as its product spells it: v0.19.2
//	{version}   the same without a leading v: 0.19.2
//	{os}        the platform's operating system: darwin
//	{arch}      the platform's architecture: amd64
//	{NAME:TEXT} TEXT where the operating system or the architecture is NAME,
//	            and nothing otherwise: {windows:.exe}
//
// A template that speaks of the platform gives nothing for [Other], for no
// file is known to run there.
func Expand(template, tag string, p Platform) string {
	s, err := expand(template, tag, p)
	if err != nil {
		return ""
	}
	return s
}

// CheckTemplate returns an error that tells what is wrong with a template.
func CheckTemplate(template string) error {
	s, err := expand(template, "v1.2.3", Platform{"linux", "amd64"})
	if err != nil {
		return err
	}
	return CheckLink(s)
}

// CheckLink returns an error unless s is an http or https URL that may be shown
// to everybody.
func CheckLink(s string) error {
	if err := CheckURL(s); err != nil {
		return err
	}
	if u, _ := url.Parse(s); u.User != nil {
		return errors.New("the URL has a user name or a password in it, which every caller would see")
	}
	return nil
}

// CheckURL returns an error unless s is an absolute http or https URL.
func CheckURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return fmt.Errorf("%q is not an http or https URL, such as https://example.com", s)
	}
	return nil
}

func expand(template, tag string, p Platform) (string, error) {
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
		case p == Other || p == Platform{}:
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

// knownName reports whether some platform's operating system or architecture
// has the name.
func knownName(name string) bool {
	for p := range known {
		if name == p.OS || name == p.Arch {
			return true
		}
	}
	return false
}
