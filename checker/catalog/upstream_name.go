package catalog

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"golang.org/x/mod/module"

	"relcheck/checker/printable"
)

// UpstreamKind is the kind of an upstream.
type UpstreamKind string

// The kinds of upstreams.
const (
	GitHubUpstream   UpstreamKind = "github"   // an API in GitHub's form
	GoUpstream       UpstreamKind = "go"       // a Go module, from a Go proxy
	RelcheckUpstream UpstreamKind = "relcheck" // a product of another relcheck
	FileUpstream     UpstreamKind = "file"     // a file in GitHub's form, or a folder of such files
)

// UpstreamName is the parsed name of an upstream.
type UpstreamName struct {
	Kind UpstreamKind

	API  string // of an API in GitHub's form: its address, without a slash at the end, or empty for GitHub's own
	Repo string // of an API in GitHub's form: owner/name

	Module string // path of a Go module

	URL string // of a product of another relcheck; ends in /p/NAME

	Path string // of a file or folder, absolute
}

const upstreamForms = "give one of github:OWNER/REPO, github:https://HOST/api/v3/repos/OWNER/REPO, go:MODULE, relcheck:https://HOST/p/NAME, or file:PATH"

var (
	apiPattern     = regexp.MustCompile(`^(.*)/repos/([^/]+/[^/]+)$`)
	productPattern = regexp.MustCompile(`/p/[a-z0-9][a-z0-9._-]{0,63}$`)
	drivePattern   = regexp.MustCompile(`^[A-Za-z]:[/\\]`)
)

// ParseUpstream parses the name of an upstream:
//
//	github:OWNER/REPO
//	github:https://HOST/api/v3/repos/OWNER/REPO
//	go:MODULE
//	relcheck:https://HOST/p/NAME
//	file:PATH
//
// The second form is for GitHub Enterprise Server; Gitea and Forgejo have /api/v1. A space
// in a path is written %20, and a percent sign %25.
func ParseUpstream(text string) (s UpstreamName, err error) {
	kind, rest, _ := strings.Cut(text, ":")
	s.Kind = UpstreamKind(kind)
	switch {
	case printable.Check(text) != nil || strings.Contains(text, " "):
		err = errors.New("it contains a space or an unprintable character")
	case s.Kind == GitHubUpstream:
		err = s.parseGitHub(rest)
	case s.Kind == GoUpstream:
		s.Module, err = rest, module.CheckPath(rest)
	case s.Kind == RelcheckUpstream:
		if s.URL, err = parseUpstreamURL(rest); err == nil && !productPattern.MatchString(s.URL) {
			err = errors.New("the URL does not end in /p/NAME")
		}
	case s.Kind == FileUpstream:
		s.Path, err = parseUpstreamPath(rest)
	default:
		err = errors.New(upstreamForms)
	}
	if err != nil {
		return UpstreamName{}, fmt.Errorf("%.200q is not an upstream: %w", text, err)
	}
	return s, nil
}

func (s *UpstreamName) parseGitHub(rest string) error {
	s.Repo = rest
	if strings.Contains(rest, "://") {
		address, err := parseUpstreamURL(rest)
		if err != nil {
			return err
		}
		m := apiPattern.FindStringSubmatch(address)
		if m == nil {
			return errors.New("the URL does not end in /repos/OWNER/REPO")
		}
		if s.API, s.Repo = m[1], m[2]; s.API == "https://api.github.com" {
			s.API = ""
		}
	}
	owner, name, _ := strings.Cut(s.Repo, "/")
	if !repoPattern.MatchString(s.Repo) || strings.Trim(owner, ".") == "" || strings.Trim(name, ".") == "" {
		return fmt.Errorf("%.200q is not of the form OWNER/REPO", s.Repo)
	}
	return nil
}

// parseUpstreamURL returns an http or https URL in its canonical form.
func parseUpstreamURL(text string) (string, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return "", errors.New("the URL is invalid")
	case u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.Hostname() == "":
		return "", errors.New("the URL does not begin with https:// or http:// and a host")
	case u.User != nil:
		return "", errors.New("the URL contains a user name: give a token with --token-file")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(text, "#"):
		return "", errors.New("the URL has a query or a fragment")
	}
	u.Host = strings.ToLower(u.Host)
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), strings.TrimRight(u.RawPath, "/")
	return u.String(), nil
}

// parseUpstreamPath returns an absolute path.
func parseUpstreamPath(text string) (string, error) {
	path, err := url.PathUnescape(text)
	switch {
	case err != nil:
		return "", errors.New("a percent sign in a path is written %25")
	case !strings.HasPrefix(path, "/") && !strings.HasPrefix(path, `\\`) && !drivePattern.MatchString(path):
		return "", errors.New("the path is not absolute")
	}
	return path, printable.Check(path)
}

var pathEscaper = strings.NewReplacer("%", "%25", " ", "%20")

// String returns the name of the upstream, which [ParseUpstream] parses.
func (s UpstreamName) String() string {
	rest := ""
	switch s.Kind {
	case GitHubUpstream:
		if rest = s.Repo; s.API != "" {
			rest = s.API + "/repos/" + s.Repo
		}
	case GoUpstream:
		rest = s.Module
	case RelcheckUpstream:
		rest = s.URL
	case FileUpstream:
		rest = pathEscaper.Replace(s.Path)
	}
	return string(s.Kind) + ":" + rest
}
