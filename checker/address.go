package checker

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path"
	"strings"
)

// opa's name, title and service are those of its privacy document.
const (
	opa        = "opa"
	opaTitle   = "Open Policy Agent"
	opaService = "https://telemetry.openpolicyagent.org"
)

// off tells what switches the client off: a field, an environment variable, or
// nothing.
func (c *Client) off() string {
	if c.Disabled {
		return "Disabled"
	}
	for _, name := range []string{"DO_NOT_TRACK", c.env("DISABLE_TELEMETRY")} {
		switch strings.ToLower(os.Getenv(name)) {
		case "", "0", "false":
		default:
			return name
		}
	}
	return ""
}

// env names the product's environment variable of that suffix: OPEN_TOFU_X for
// the product open-tofu.
func (c *Client) env(suffix string) string {
	underscored := strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToUpper(c.Product))
	return underscored + "_" + suffix
}

// endpoint returns the URL that reports go to.
func (c *Client) endpoint() (*url.URL, error) {
	if err := checkProduct(c.Product); err != nil {
		return nil, err
	}
	base, from := c.address()
	if base == "" {
		return nil, fmt.Errorf("%w: set URL or %s", ErrNoURL, from)
	}
	u, err := url.Parse(base)
	if err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" {
		// The address is not shown: there may be a password in it.
		return nil, fmt.Errorf("address of the release service in %s: not an http or https URL; write it as https://releases.example.com", from)
	}
	u.RawQuery, u.ForceQuery = "", false
	u.Fragment, u.RawFragment = "", ""
	if c.Product != opa && !ofProduct(u.Path) {
		u = u.JoinPath("p", c.Product)
	}
	return u.JoinPath("v1", "version"), nil
}

// address returns the service's base address and where it was found; without
// one, the variable that could have told.
func (c *Client) address() (base, from string) {
	variable := c.env("TELEMETRY_SERVICE_URL")
	switch fromEnv := os.Getenv(variable); {
	case c.URL != "":
		return c.URL, "URL"
	case fromEnv != "":
		return fromEnv, variable
	case c.DefaultURL != "":
		return c.DefaultURL, "DefaultURL"
	case c.Product == opa:
		return opaService, "DefaultURL"
	}
	return "", variable
}

// ofProduct reports whether a path ends in /p/{name}. Such an address says for
// itself whose reports it takes.
func ofProduct(p string) bool {
	dir, name := path.Split(path.Clean("/" + p))
	return name != "" && path.Base(dir) == "p"
}

// checkProduct refuses what could not stand in a path or would leave it.
func checkProduct(name string) error {
	if name == "" {
		return errors.New("no product to report: set Product")
	}
	if !ValidVersion(name) || strings.Trim(name, ".") == "" {
		return fmt.Errorf("product %q: use letters, digits and . + _ -, at most %d of them", name, MaxVersion)
	}
	return nil
}
