package printable

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// MaxLinkBytes is the maximum length of a link, in bytes.
const MaxLinkBytes = 2000

// CheckURL returns an error unless s is an absolute http or https URL.
func CheckURL(s string) error {
	if _, err := parseURL(s); err != nil {
		return fmt.Errorf("%q: %w", s, err)
	}
	return nil
}

// CheckLink returns an error unless s can be a link for every client: a printable http or
// https URL of at most [MaxLinkBytes] bytes, with a host and without a user name or
// password. The error does not contain the password.
func CheckLink(s string) error {
	if err := checkLink(s); err != nil {
		return fmt.Errorf("%s: %w", QuoteURL(s), err)
	}
	return nil
}

// CheckDownload returns an error unless s can be a download link for every client. Such a
// link satisfies [CheckLink] and has no fragment.
func CheckDownload(s string) error {
	if strings.Contains(s, "#") {
		return fmt.Errorf("%s: URL has a fragment (#), which downloads ignore: remove it", QuoteURL(s))
	}
	return CheckLink(s)
}

func checkLink(s string) error {
	if len(s) > MaxLinkBytes {
		return fmt.Errorf("URL has %d bytes: use at most %d", len(s), MaxLinkBytes)
	}
	if err := Check(s); err != nil {
		return err
	}
	if strings.Contains(s, " ") {
		return errors.New("URL contains a space: write %20")
	}
	u, err := parseURL(s)
	switch {
	case err != nil:
		return err
	case u.User != nil:
		return errors.New("URL contains a user name or password, which every client would see: remove it")
	case strings.Contains(authority(s), "%"):
		return errors.New("URL has an escape (%) in its host: write the characters unescaped")
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

// authority returns the part of a URL between its scheme and its path.
func authority(s string) string {
	if _, rest, found := strings.Cut(s, "//"); found {
		s = rest
	}
	if end := strings.IndexAny(s, "/?#"); end >= 0 {
		s = s[:end]
	}
	return s
}

// QuoteURL quotes the first 200 bytes of a URL, with its user name and password replaced
// by an ellipsis.
func QuoteURL(s string) string {
	host := authority(s)
	if at := strings.LastIndexByte(host, '@'); at >= 0 {
		s = strings.Replace(s, host[:at], "…", 1)
	}
	return Mask(fmt.Sprintf("%.200q", s), '?')
}
