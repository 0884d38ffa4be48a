package checker

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"

	"relcheck/checker/printable"
)

func TestOutdated(t *testing.T) {
	yes, no := true, false
	for _, test := range []struct {
		version, latest string
		upToDate        *bool
		want            bool
	}{
		// Without a verdict.
		{"0.70.0", "v0.71.0", nil, true},
		{"v0.70.0", "0.70.1", nil, true},
		{"0.70.0", "v0.70.0", nil, false},
		{"0.71.0", "v0.70.0", nil, false},
		{"0.9.0", "0.10.0", nil, true},
		{"0.21.0-istio", "v0.21.0", nil, false},
		{"0.21.0-istio-3", "v0.21.1", nil, true},
		{"0.71.0-dev", "v0.70.0", nil, false},
		{"0.71.0-dev", "v0.71.0", nil, false},
		{"0.71.0-dev", "v0.72.0", nil, true},
		{"1.0.0-rc.1", "v1.0.0", nil, false},
		{"1.0.0-rc.1", "v1.0.0-rc.2", nil, false},
		{"1.0.0", "v1.0.0-rc.2", nil, false},
		{"1.0.0", "v1.1.0-rc.1", nil, true},
		{"1.0.0+build5", "v1.0.0+build6", nil, false},
		{"0.0.0-20240101000000-abcdefabcdef", "v0.1.0", nil, true},
		// With a verdict.
		{"0.70.0", "v0.71.0", &no, true},
		{"0.70.0", "v0.71.0", &yes, false},
		{"0.21.0-istio", "v0.21.0", &yes, false},
		{"1.0.0-rc.1", "v1.0.0", &no, true},
		{"1.0.0-rc.1", "v1.0.0-rc.2", &no, true},
		// With a verdict that contradicts the order of versions.
		{"0.70.0", "v0.69.0", &no, false},
		{"0.70.0", "v0.70.0", &no, false},
		{"0.70.0", "v0.70.0-rc.1", &no, false},
		// Versions that cannot be compared.
		{"unknown", "v0.71.0", nil, false},
		{"unknown", "v0.71.0", &no, false},
		{"", "v0.71.0", &no, false},
		{"1.2.3.4", "v2.0.0", &no, false},
		{"0.70.0", "newest", &no, false},
		{"0.70.0", "", &no, false},
		{"0.70.0", "", nil, false},
	} {
		latest := Latest{LatestRelease: test.latest, UpToDate: test.upToDate}
		if got := latest.Outdated(test.version); got != test.want {
			t.Errorf("%+v: got %v", test, got)
		}
	}
}

func TestLink(t *testing.T) {
	const prefix = "https://example.com/"
	for _, good := range []string{
		"https://example.com/opa_linux_amd64?x=1#y", "http://[::1]:80/", prefix + "Ä",
		prefix + strings.Repeat("a", printable.MaxLinkBytes-len(prefix)),
	} {
		if printableLink(good) != good {
			t.Errorf("%q is refused", good)
		}
	}
	for _, bad := range []string{
		"", "example.com/opa", "ftp://example.com/", "javascript:alert(1)", "file:///etc/passwd", "https:///x",
		prefix + "\x1b[2J", prefix + "\r\nx", prefix + "\x00", prefix + "\x7f", prefix + "\u009b2J", prefix + "\u202egnp",
		"https://me:secret@example.com/", "https://github.com@example.com/", "https://@example.com/", "https://:443/", "https://h%2ex/",
		prefix + "a b", prefix + "\u200b", prefix + "\u2028", prefix + "\xff", prefix + strings.Repeat("a", printable.MaxLinkBytes),
	} {
		if printableLink(bad) != "" {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestExchangeError(t *testing.T) {
	inner := errors.New("bad\x1b[2J line\r\n" + strings.Repeat("ä", 1000))
	err := error(&exchangeError{url.URL{Scheme: "http", Host: "h", User: url.UserPassword("user", "secret"), Path: "/v1/version"}, inner})
	text := err.Error()
	if !strings.HasPrefix(text, "check http://h/v1/version: bad?[2J line??") || len(text) > 400 {
		t.Errorf("error is %q", text)
	}
	if printable.Check(text) != nil {
		t.Errorf("error cannot be printed: %q", text)
	}
	if !errors.Is(err, inner) {
		t.Error("the cause is lost")
	}
}

// FuzzDecodeAnswer tests that no accepted answer contains unprintable text, or a verdict that
// contradicts the order of versions.
func FuzzDecodeAnswer(f *testing.F) {
	f.Add([]byte(newer), "0.70.0")
	f.Add([]byte(`{"latest":{"latest_release":"v0.1.0","opa_up_to_date":false}}`), "0.70.0")
	f.Add([]byte(`{"latest":{"latest_release":"v9.0.0","download":"https://h/\u001b[2J"}}`), "0.70.0-dev")
	f.Add([]byte(`{"latest":null}`), "")
	f.Fuzz(func(t *testing.T, body []byte, version string) {
		answer, err := decodeAnswer(body, version)
		latest := answer.Latest
		if err != nil && answer != (Answer{}) {
			t.Errorf("an answer comes with the error %v", err)
		}
		for _, s := range []string{latest.Download, latest.ReleaseNotes, latest.LatestRelease} {
			if len(s) > printable.MaxLinkBytes || printable.Check(s) != nil {
				t.Errorf("accepted the link %q", s)
			}
		}
		if latest.Outdated(version) && Compare(latest.LatestRelease, version) <= 0 {
			t.Errorf("%q is offered to %q", latest.LatestRelease, version)
		}
		if err == nil && !json.Valid(body) {
			t.Errorf("accepted %q", body)
		}
	})
}
