package catalog

import (
	"net/url"
	"regexp"
	"slices"
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

// cleanOrigins returns a list of origins, which are separated by space, in the form in
// which browsers send them, each once.
func cleanOrigins(list string) (string, error) {
	var all []string
	for _, text := range strings.Fields(list) {
		origin, err := cleanOrigin(text)
		if err != nil {
			return "", err
		}
		if !slices.Contains(all, origin) {
			all = append(all, origin)
		}
	}
	if len(all) > maxOrigins {
		return "", fieldErrorf("origins", "there are %d; give at most %d", len(all), maxOrigins)
	}
	return strings.Join(all, " "), nil
}

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
