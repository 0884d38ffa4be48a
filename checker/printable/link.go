package printable

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// MaxLink is the length of the longest link in an answer, in bytes.
const MaxLink = 2000

// CheckURL returns an error unless s is an absolute http or https URL.
func CheckURL(s string) error {
	if _, err := parseURL(s); err != nil {
		return fmt.Errorf("%q: %w", s, err)
	}
	return nil
}

// CheckLink returns an error unless s can be shown to every client: a printable
// http or https URL of at most [MaxLink] bytes, with a host and without a user
// name or a password. The error's text shows no password.
func CheckLink(s string) error {
	if err := checkLink(s); err != nil {
		return fmt.Errorf("%s: %w", QuoteURL(s), err)
	}
	return nil
}

// CheckDownload returns an error unless s can be shown to every client as the
// link to a file: see [CheckLink]. Such a link has no fragment.
func CheckDownload(s string) error {
	if err := checkDownload(s); err != nil {
		return fmt.Errorf("%s: %w", QuoteURL(s), err)
	}
	return nil
}

func checkDownload(s string) error {
	if strings.Contains(s, "#") {
		return errors.New("a fragment (#) means nothing to a download: leave it out")
	}
	return checkLink(s)
}

func checkLink(s string) error {
	if len(s) > MaxLink {
		return fmt.Errorf("the URL has %d bytes: give one of at most %d", len(s), MaxLink)
	}
	if err := Check(s); err != nil {
		return err
	}
	if strings.Contains(s, " ") {
		return errors.New("the URL has a space in it: write %20")
	}
	u, err := parseURL(s)
	switch {
	case err != nil:
		return err
	case u.User != nil:
		return errors.New("the URL has a user name or a password in it, which every client would see: leave it out")
	case strings.Contains(authority(s), "%"):
		return errors.New("the URL has an escape (%) in its host: write the host's characters as they are")
	}
	return nil
}

func parseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, errors.New("not an http or https URL, such as https://example.com")
	}
	return u, nil
}

// authority returns what stands between the scheme and the path of a URL.
func authority(s string) string {
	if _, rest, found := strings.Cut(s, "//"); found {
		s = rest
	}
	if end := strings.IndexAny(s, "/?#"); end >= 0 {
		s = s[:end]
	}
	return s
}

// QuoteURL quotes the start of a URL, without its user name and password.
func QuoteURL(s string) string {
	host := authority(s)
	if at := strings.LastIndexByte(host, '@'); at >= 0 {
		s = strings.Replace(s, host[:at], "…", 1)
	}
	return Mask(fmt.Sprintf("%.200q", s), '?')
}
