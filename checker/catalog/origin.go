package catalog

import (
	"net/url"
	"regexp"
	"strings"
)

const (
	// maxOrigins is the number of origins that a product can name.
	maxOrigins = 20
	// maxOrigin is the length of the longest one, in bytes.
	maxOrigin = 200
)

var (
	schemePattern = regexp.MustCompile(`^[a-z][a-z0-9+.-]*:$`)
	hostPattern   = regexp.MustCompile(`^([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?$`)
)

// defaultPorts are the ports that browsers omit from an origin.
var defaultPorts = map[string]string{"http": ":80", "https": ":443"}

// cleanOrigin returns an origin in the form in which browsers send it.
func cleanOrigin(text string) (string, error) {
	if len(text) > maxOrigin {
		return "", fieldErrorf("origins", "an origin has %d bytes; give one of at most %d", len(text), maxOrigin)
	}
	lower := strings.ToLower(text)
	if lower == "null" {
		return lower, nil
	}
	if schemePattern.MatchString(lower) {
		if lower == "http:" || lower == "https:" {
			return "", fieldErrorf("origins", "%q would record the reports of every web page; name the origins, such as https://app.example.com", text)
		}
		return lower, nil
	}
	lower = strings.TrimSuffix(lower, "/")
	u, err := url.Parse(lower)
	if err != nil || u.Scheme == "" || u.Scheme+"://"+u.Host != lower || !hostPattern.MatchString(u.Host) {
		return "", fieldErrorf("origins", "%q is not an origin; give one such as https://app.example.com, null, or a scheme such as app:", text)
	}
	return u.Scheme + "://" + strings.TrimSuffix(u.Host, defaultPorts[u.Scheme]), nil
}
