package server

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"relcheck/checker/printable"
)

// basePath matches the path of a base URL. It needs no escapes in links and cookies.
var basePath = regexp.MustCompile(`^(/[A-Za-z0-9._~-]+)*$`)

// CheckBase returns an error unless links can begin with base. A trailing slash is ignored.
func CheckBase(base string) error {
	if err := printable.CheckLink(base); err != nil {
		return err
	}
	u, err := url.Parse(base)
	if err != nil {
		return err
	}
	path := strings.TrimRight(u.EscapedPath(), "/")
	segments := strings.Split(path, "/")
	switch {
	case strings.ContainsAny(base, "?#"):
		return errors.New("the URL has a query or fragment: remove it")
	case !basePath.MatchString(path), slices.Contains(segments, "."), slices.Contains(segments, ".."):
		return fmt.Errorf("path %q: use letters, digits and . _ ~ - between single slashes", path)
	case len(segments) > 1 && slices.Contains(ownSegments(), segments[1]):
		return fmt.Errorf("path %q begins like a path of the service: use another one, such as /relcheck%[1]s", path)
	}
	return nil
}

// ownSegments returns the first segments of all paths that the server answers itself.
func ownSegments() []string {
	all := []string{"p", "v1", "repos"}
	for _, rt := range new(Server).routes() {
		_, path, _ := strings.Cut(rt.pattern, " /")
		segment, _, _ := strings.Cut(path, "/")
		all = append(all, segment)
	}
	return all
}
