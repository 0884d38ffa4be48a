package checker

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
)

func TestEndpoint(t *testing.T) {
	for _, test := range []struct {
		product, url, env, byDefault string
		channel                      string
		want                         string
	}{
		// Precedence of the sources.
		{product: "opa", want: "https://telemetry.openpolicyagent.org/v1/version"},
		{product: "opa", byDefault: "http://d", want: "http://d/v1/version"},
		{product: "opa", env: "http://e", byDefault: "http://d", want: "http://e/v1/version"},
		{product: "opa", url: "http://u", env: "http://e", byDefault: "http://d", want: "http://u/v1/version"},
		{product: "foo", byDefault: "http://d", want: "http://d/p/foo/v1/version"},
		{product: "foo", env: "http://e", byDefault: "http://d", want: "http://e/p/foo/v1/version"},
		{product: "foo", url: "http://u", env: "http://e", want: "http://u/p/foo/v1/version"},
		// Paths.
		{product: "opa", url: "http://h:8080/", want: "http://h:8080/v1/version"},
		{product: "opa", url: "http://h/base//", want: "http://h/base/v1/version"},
		{product: "opa", url: "http://h/p/opa", want: "http://h/p/opa/v1/version"},
		{product: "opa", url: "http://h/p/other", want: "http://h/p/other/v1/version"},
		{product: "opa", url: "http://h/a%2Fb", want: "http://h/a%2Fb/v1/version"},
		{product: "foo", url: "http://h/base/", want: "http://h/base/p/foo/v1/version"},
		{product: "foo", url: "http://h/p/foo/", want: "http://h/p/foo/v1/version"},
		{product: "foo", url: "http://h/base/p/bar", want: "http://h/base/p/bar/v1/version"},
		{product: "foo", url: "http://h/p", want: "http://h/p/p/foo/v1/version"},
		{product: "foo", url: "http://h/p/", want: "http://h/p/p/foo/v1/version"},
		{product: "foo", url: "http://h/up/x", want: "http://h/up/x/p/foo/v1/version"},
		{product: "foo", url: "http://h/p/x/y", want: "http://h/p/x/y/p/foo/v1/version"},
		{product: "opa", url: "http://h/v1/version", want: "http://h/v1/version"},
		{product: "foo", url: "http://h/v1/version/", want: "http://h/p/foo/v1/version"},
		{product: "foo", url: "http://h/base/p/foo/v1/version", want: "http://h/base/p/foo/v1/version"},
		{product: "foo", url: "http://h/v1", want: "http://h/v1/p/foo/v1/version"},
		{product: "foo", url: "http://h/av1/version", want: "http://h/av1/version/p/foo/v1/version"},
		// Channels.
		{product: "opa", channel: "lts", want: "https://telemetry.openpolicyagent.org/p/opa@lts/v1/version"},
		{product: "foo", channel: "1.x", url: "http://h/base/", want: "http://h/base/p/foo@1.x/v1/version"},
		{product: "foo", channel: "lts", url: "http://h/p/foo", want: "http://h/p/foo@lts/v1/version"},
		{product: "foo", channel: "lts", url: "http://h/base/p/b%20r//", want: "http://h/base/p/b%20r@lts/v1/version"},
		{product: "foo", channel: "lts", url: "http://h/p/foo@lts", want: "http://h/p/foo@lts/v1/version"},
		{product: "foo", channel: "lts", url: "http://h/p/foo/v1/version", want: "http://h/p/foo@lts/v1/version"},
		{product: "foo", channel: "lts", url: "http://h/v1/version/", want: "http://h/p/foo@lts/v1/version"},
		{product: "foo", url: "http://h/p/foo@lts", want: "http://h/p/foo@lts/v1/version"},
		{product: "opa", url: "http://h/p/opa@lts/v1/version", want: "http://h/p/opa@lts/v1/version"},
		// What the service is told about the client.
		{product: "opa", url: "http://h/p/opa/as/1.22.2", want: "http://h/p/opa/as/1.22.2/v1/version"},
		{product: "foo", url: "http://h/base/p/foo/as/1.22.2/linux-amd64/", want: "http://h/base/p/foo/as/1.22.2/linux-amd64/v1/version"},
		{product: "foo", url: "http://h/p/foo/linux-amd64/v1/version", want: "http://h/p/foo/linux-amd64/v1/version"},
		{product: "foo", channel: "lts", url: "http://h/b/p/b%20r/as/1.2.3/linux-amd64", want: "http://h/b/p/b%20r@lts/as/1.2.3/linux-amd64/v1/version"},
		{product: "foo", channel: "lts", url: "http://h/p/foo@lts/as/1.2.3", want: "http://h/p/foo@lts/as/1.2.3/v1/version"},
		{product: "foo", url: "http://h/p/linux-amd64", want: "http://h/p/linux-amd64/v1/version"},
		{product: "foo", url: "http://h/as/1.2.3", want: "http://h/as/1.2.3/p/foo/v1/version"},
		{product: "foo", url: "http://h/p/x/as/1.2.3/amiga-m68k", want: "http://h/p/x/as/1.2.3/amiga-m68k/p/foo/v1/version"},
		// Other parts of a URL.
		{product: "opa", url: "HTTPS://[::1]:443/x?q=1#f", want: "https://[::1]:443/x/v1/version"},
		{product: "opa", url: "http://h?", want: "http://h/v1/version"},
		{product: "opa", url: "http://user:secret@h/", want: "http://user:secret@h/v1/version"},
	} {
		c := &Client{Product: test.product, URL: test.url, DefaultURL: test.byDefault, Channel: test.channel}
		t.Setenv("OPA_TELEMETRY_SERVICE_URL", test.env)
		t.Setenv("FOO_TELEMETRY_SERVICE_URL", test.env)
		u, err := c.endpoint()
		if err != nil {
			t.Errorf("%+v: %v", test, err)
		} else if u.String() != test.want {
			t.Errorf("%+v: got %s", test, u)
		}
	}
}

func TestEndpointErrors(t *testing.T) {
	for _, test := range []struct{ product, url, want string }{
		{"", "http://h", "set Product"},
		{"..", "http://h", `product ".."`},
		{"a/b", "http://h", `product "a/b"`},
		{"a\nb", "http://h", `product "a\nb"`},
		{strings.Repeat("a", 81), "http://h", "at most 80"},
		{"foo", "", "set URL or FOO_TELEMETRY_SERVICE_URL"},
		{"foo", "releases.example.com", "in URL: not an http or https URL"},
		{"foo", "releases.example.com:8080", "not an http"},
		{"foo", "/v1", "not an http"},
		{"foo", "http://", "not an http"},
		{"foo", "http://:80", "not an http"},
		{"foo", "ftp://user:secret@h", "not an http"},
		{"foo", "http:h", "not an http"},
		{"foo", "http://user:secret", "not an http"},
		{"foo", "http://user:secret@h h/", "not an http"},
		{"foo", "http://user:sec\nret@h/", "not an http"},
	} {
		_, err := (&Client{Product: test.product, URL: test.url}).Check(t.Context())
		switch {
		case err == nil:
			t.Errorf("%+v: no error", test)
		case !strings.Contains(err.Error(), test.want):
			t.Errorf("%+v: %v", test, err)
		case strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "\n"):
			t.Errorf("%+v: the error contains a secret: %v", test, err)
		case (test.url == "") != errors.Is(err, ErrNoURL):
			t.Errorf("%+v: %v, is ErrNoURL: %v", test, err, errors.Is(err, ErrNoURL))
		}
	}
	for _, channel := range []string{"..", "a/b", "a@b", "a b", "\x1b", strings.Repeat("a", 81)} {
		c := &Client{Product: "foo", URL: "http://h", Channel: channel}
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), fmt.Sprintf("channel %q: ", channel)) {
			t.Errorf("channel %q: got error %v", channel, err)
		}
	}
	other := &Client{Product: "foo", URL: "http://h/p/foo@preview", Channel: "lts"}
	if err := other.Validate(); err == nil || !strings.Contains(err.Error(), `names channel "preview", not "lts"`) {
		t.Errorf("URL with another channel: got error %v", err)
	}
	t.Setenv("FOO_TELEMETRY_SERVICE_URL", "nowhere")
	if _, err := (&Client{Product: "foo"}).Check(t.Context()); err == nil || !strings.Contains(err.Error(), "in FOO_TELEMETRY_SERVICE_URL:") {
		t.Errorf("error does not name the variable: %v", err)
	}
}

func TestVersionError(t *testing.T) {
	for _, version := range []string{"1.0 beta", "1\n2", "\x1b[2J", strings.Repeat("1", 81)} {
		c := &Client{Product: "foo", Version: version, URL: "http://127.0.0.1:1"}
		if _, err := c.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "cannot be reported") {
			t.Errorf("version %q: %v", version, err)
		}
	}
}

func TestEnv(t *testing.T) {
	for product, want := range map[string]string{
		"opa":       "OPA_X",
		"open-tofu": "OPEN_TOFU_X",
		"my.app+2":  "MY_APP_2_X",
		"ÄPP":       "_PP_X",
		"A9z":       "A9Z_X",
	} {
		if got := (&Client{Product: product}).envName("X"); got != want {
			t.Errorf("variable of %q = %s, want %s", product, got, want)
		}
	}
}

// FuzzEndpoint tests that reports go only to a version path by http or https, and that
// no error contains the URL.
func FuzzEndpoint(f *testing.F) {
	for _, address := range []string{"http://h:8080/base//", "https://user:secret@[::1]/p/x?q#f", "http://h/a%2Fb/../..", "http:h", "//h", "http://h/%zz", "http://secret", "HTTP://h/\x1b"} {
		f.Add("opa", address)
		f.Add("my-app.2", address)
	}
	f.Add("..", "http://h")
	f.Add("a/b", "http://h")
	f.Fuzz(func(t *testing.T, product, address string) {
		for _, channel := range []string{"", "lts", product} {
			u, err := (&Client{Product: product, URL: address, Channel: channel}).endpoint()
			if err != nil {
				if strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' }) || strings.Contains(address, "secret") && strings.Contains(err.Error(), "secret") && !strings.Contains(product, "secret") {
					t.Errorf("%q, %q: %q", product, address, err)
				}
				return
			}
			sent, err := url.Parse(u.String())
			if err != nil || sent.Host != u.Host || sent.Hostname() == "" || sent.RawQuery != "" || sent.Fragment != "" ||
				sent.Scheme != "http" && sent.Scheme != "https" || !strings.HasSuffix(sent.Path, "/v1/version") {
				t.Errorf("%q, %q: %s, %v", product, address, u, err)
			}
		}
	})
}
