package checker

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path"
	"strings"
)

// The name, title and service URL of OPA, as in its privacy document.
const (
	opa        = "opa"
	opaTitle   = "Open Policy Agent"
	opaService = "https://telemetry.openpolicyagent.org"
)

// disabledBy returns the name of the field or environment variable that disables the
// client, or "".
func (c *Client) disabledBy() string {
	if c.Disabled {
		return "Disabled"
	}
	for _, name := range []string{"DO_NOT_TRACK", c.envName("DISABLE_TELEMETRY")} {
		switch strings.ToLower(os.Getenv(name)) {
		case "", "0", "false":
		default:
			return name
		}
	}
	return ""
}

// envName returns the name of the product's environment variable with the suffix:
// OPEN_TOFU_X for the product open-tofu.
func (c *Client) envName(suffix string) string {
	underscored := strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToUpper(c.Product))
	return underscored + "_" + suffix
}

// endpoint returns the URL for reports.
func (c *Client) endpoint() (*url.URL, error) {
	if c.Product == "" {
		return nil, errors.New("no product: set Product")
	}
	if err := checkName("product", c.Product); err != nil {
		return nil, err
	}
	name := c.Product
	if c.Channel != "" {
		if err := checkName("channel", c.Channel); err != nil {
			return nil, err
		}
		name += "@" + c.Channel
	}
	base, source := c.baseURL()
	if base == "" {
		return nil, fmt.Errorf("%w: set URL or %s", ErrNoURL, source)
	}
	u, err := url.Parse(base)
	if err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" {
		// The URL is not shown, because it may contain a password.
		return nil, fmt.Errorf("invalid URL of the release service in %s: not an http or https URL, such as https://releases.example.com", source)
	}
	u.RawQuery, u.ForceQuery = "", false
	u.Fragment, u.RawFragment = "", ""
	if strings.HasSuffix(strings.TrimRight(u.Path, "/"), "/v1/version") {
		u = u.JoinPath("..", "..")
	}
	segments := strings.Split(path.Clean("/"+u.EscapedPath()), "/")
	i := productSegment(segments)
	switch {
	case i == 0 && name != opa:
		u = u.JoinPath("p", name)
	case i > 0 && c.Channel != "":
		product, channel, named := strings.Cut(segments[i], "@")
		if named && channel != c.Channel {
			return nil, fmt.Errorf("the URL of the release service in %s names channel %q, not %q", source, channel, c.Channel)
		}
		segments[i] = product + "@" + c.Channel
		u = u.JoinPath(strings.Repeat("../", len(segments)-1), path.Join(segments...))
	}
	return u.JoinPath("v1", "version"), nil
}

// baseURL returns the base URL of the service and the name of the field or environment
// variable that contains it. If there is none, it returns the variable that could.
func (c *Client) baseURL() (base, source string) {
	variable := c.envName("TELEMETRY_SERVICE_URL")
	for _, candidate := range [][2]string{{c.URL, "URL"}, {os.Getenv(variable), variable}, {c.DefaultURL, "DefaultURL"}} {
		if candidate[0] != "" {
			return candidate[0], candidate[1]
		}
	}
	if c.Product == opa {
		return opaService, "DefaultURL"
	}
	return "", variable
}

// productSegment returns the index of NAME in the segments of a path that ends in /p/NAME,
// /p/NAME/as/VERSION, or either of them and /OS-ARCH. It returns 0 for other paths.
func productSegment(segments []string) int {
	n := len(segments)
	if n > 3 {
		last := segments[n-1]
		i := strings.LastIndexByte(last, '-')
		if (Platform{last[:max(i, 0)], last[i+1:]}).Known() {
			n--
		}
	}
	if n > 4 && segments[n-4] == "p" && segments[n-2] == "as" {
		n -= 2
	}
	if n > 2 && segments[n-2] == "p" {
		return n - 1
	}
	return 0
}

// checkName returns an error if the name of a product or channel cannot be a part of a
// URL's path.
func checkName(kind, name string) error {
	if !ValidVersion(name) || strings.Trim(name, ".") == "" {
		return fmt.Errorf("%s %q: use letters, digits and . + _ -, at most %d characters", kind, name, MaxVersion)
	}
	return nil
}
