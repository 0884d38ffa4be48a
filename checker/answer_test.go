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
		{"1.0.0+build5", "v1.0.0+build6", nil, false},
		// Builds of vendors are as recent as the release.
		{"0.21.0-istio", "v0.21.0", nil, false},
		{"0.21.0-istio-3", "v0.21.1", nil, true},
		{"1.2.4-fips", "v1.2.4", nil, false},
		{"1.2.4-ubi9", "v1.2.4", nil, false},
		{"1.2.4-14-gabcdef", "v1.2.4", nil, false},
		{"1.2.4-1ubuntu1", "v1.2.4", nil, false},
		{"1.2.4-b7fa3c1", "v1.2.4", nil, false},
		{"1.2.4-developer", "v1.2.4", nil, false},
		{"1.2.4-0", "v1.2.4", nil, false},
		{"1.2.3-rc.1", "v1.2.3-istio", nil, true},
		// Pre-releases are older than their release and newer than the one before.
		{"1.2.4-rc.2", "v1.2.4", nil, true},
		{"1.2.4-rc.2", "v1.2.3", nil, false},
		{"1.2.4-beta.3", "v1.2.4", nil, true},
		{"1.2.4-dev", "v1.2.4", nil, true},
		{"1.2.4-dev", "v1.2.3", nil, false},
		{"1.2.4-dev", "v1.2.5", nil, true},
		{"1.2.4-SNAPSHOT", "v1.2.4", nil, true},
		{"1.2.4-nightly.20260101", "v1.2.4", nil, true},
		{"1.2.0-rc.1-istio", "v1.2.4", nil, true},
		{"1.2.4-rc.1-istio", "v1.2.4", nil, true},
		{"1.2.4-RC1", "v1.2.4", nil, true},
		{"1.2.4-rc9", "v1.2.4-rc10", nil, false},
		{"1.2.4-rc10", "v1.2.4-rc9", nil, false},
		{"1.0.0", "v1.0.0-rc.2", nil, false},
		{"1.0.0", "v1.1.0-rc.1", nil, true},
		// Go pseudo-versions.
		{"v1.2.4-0.20260201120000-abcdefabcdef+dirty", "v1.2.4", nil, true},
		{"v1.2.4-0.20260201120000-abcdefabcdef+dirty", "v1.2.3", nil, false},
		{"v1.2.4-0.20260201120000-abcdefabcdef", "v1.2.5", nil, true},
		{"v1.2.4-rc.1.0.20260201120000-abcdefabcdef", "v1.2.4", nil, true},
		{"v1.2.4-x.0.20260201120000-abcdefabcdef", "v1.2.4", nil, true},
		{"v0.0.0-20240101000000-abcdefabcdef", "v0.0.0", nil, true},
		{"0.0.0-20240101000000-abcdefabcdef", "v0.1.0", nil, true},
		{"v1.2.4-1.20260201120000-abcdefabcdef", "v1.2.4", nil, false},
		{"v1.2.4-0.2026020112000-abcdefabcdef", "v1.2.4", nil, false},
		{"v1.2.4-0.20260201120000-abcdefabcdeg", "v1.2.4", nil, false},
		{"v1.2.4+dirty", "v1.2.4", nil, false},
		// The verdict decides, whatever the versions look like.
		{"0.70.0", "v0.71.0", &no, true},
		{"0.70.0", "v0.71.0", &yes, false},
		{"0.21.0-istio", "v0.21.0", &yes, false},
		{"1.0.0-rc.1", "v1.0.0-rc.2", &no, true},
		{"1.2.4-rc9", "v1.2.4-rc10", &no, true},
		{"v1.30.0+k3s1", "v1.30.0+k3s2", &no, true},
		{"2021.01.24", "2021.01.24-1", &no, true},
		{"2024.1.0", "1.5.0", &no, true},
		{"1.2.3.4", "1.2.3.5", &no, true},
		{"1.2.3.5", "1.2.3.4", &yes, false},
		{"unknown", "v0.71.0", &yes, false},
		// The release that runs is never announced.
		{"0.70.0", "v0.70.0", &no, false},
		// Versions that cannot be compared.
		{"unknown", "v0.71.0", nil, false},
		{"", "v0.71.0", nil, false},
		{"1.2.3.4", "v2.0.0", nil, false},
		{"2026.05.01", "2026.06.01", nil, false},
		{"1.2.0rc1", "1.2.0", nil, false},
		{"0.70.0", "newest", nil, false},
		{"0.70.0", "cli/v1.0.0", nil, false},
		{"0.70.0", "", &no, false},
		{"0.70.0", "", nil, false},
	} {
		latest := Latest{LatestRelease: test.latest, UpToDate: test.upToDate}
		if got := latest.Outdated(test.version); got != test.want {
			t.Errorf("%+v: got %v", test, got)
		}
	}
}

func TestOutdatedWithdrawn(t *testing.T) {
	yes, no := true, false
	for _, upToDate := range []*bool{nil, &yes, &no} {
		for _, version := range []string{"v1.3.0", "1.2.0", "nightly"} {
			if latest := (Latest{LatestRelease: "v1.2.9", Withdrawn: true, UpToDate: upToDate}); !latest.Outdated(version) {
				t.Errorf("%s was withdrawn, but is not outdated", version)
			}
		}
		if (Latest{Withdrawn: true, UpToDate: upToDate}).Outdated("v1.3.0") {
			t.Error("outdated without a release")
		}
	}
}

// TestDecodeTags tests the tags of releases that an answer can have.
func TestDecodeTags(t *testing.T) {
	for tag, want := range map[string]bool{
		"v1.2.3": true, "cli/v1.2.3": true, "pkg@1.2.3": true, "release-1.2": true, "v1.30.0+k3s1": true, "4.2.Final": true, "é": true, strings.Repeat("1", 200): true,
		"1 2": false, "1\t2": false, "1\u202e2": false, "\u200b": false, strings.Repeat("1", 201): false,
	} {
		body, err := json.Marshal(Answer{Latest: Latest{LatestRelease: tag}})
		if err != nil {
			t.Fatal(err)
		}
		if answer, err := decodeAnswer(body); (err == nil) != want || want && answer.Latest.LatestRelease != tag {
			t.Errorf("%q: got %+v, %v, want it accepted: %v", tag, answer, err, want)
		}
	}
	if answer, err := decodeAnswer([]byte(`{"latest":{"withdrawn":true,"download":"https://h/"}}`)); err != nil || answer != (Answer{Latest: Latest{Withdrawn: true}}) {
		t.Errorf("without a release: got %+v, %v", answer, err)
	}
}

// TestDecodeDays tests the days that an answer can have. Others are removed.
func TestDecodeDays(t *testing.T) {
	for _, latest := range []Latest{{}, {LatestRelease: "v1.0.0"}} {
		for day, want := range map[string]string{
			"2026-11-28": "2026-11-28", "1970-01-02": "1970-01-02", "1970-01-01": "", "1969-12-30": "", "2026-02-30": "",
			"2026-11-28T00:00:00Z": "", "today": "", "\x1b[2J": "", "": "",
		} {
			body, err := json.Marshal(Answer{latest, day})
			if err != nil {
				t.Fatal(err)
			}
			if answer, err := decodeAnswer(body); err != nil || answer.Day != want {
				t.Errorf("%q: got %q (error %v), want %q", day, answer.Day, err, want)
			}
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

// FuzzDecodeAnswer tests that no accepted answer contains unprintable text, and that without
// a verdict no older release is announced.
func FuzzDecodeAnswer(f *testing.F) {
	f.Add([]byte(newer), "0.70.0")
	f.Add([]byte(`{"latest":{"latest_release":"v0.1.0","opa_up_to_date":false}}`), "0.70.0")
	f.Add([]byte(`{"latest":{"latest_release":"v9.0.0","download":"https://h/\u001b[2J"}}`), "0.70.0-dev")
	f.Add([]byte(`{"latest":null}`), "")
	f.Add([]byte(`{"latest":{},"day":"2026-11-28"}`), "1.0.0")
	f.Fuzz(func(t *testing.T, body []byte, version string) {
		answer, err := decodeAnswer(body)
		latest := answer.Latest
		if err != nil && answer != (Answer{}) {
			t.Errorf("an answer comes with the error %v", err)
		}
		for _, s := range []string{latest.Download, latest.ReleaseNotes, latest.LatestRelease, answer.Day} {
			if len(s) > printable.MaxLinkBytes || printable.Check(s) != nil {
				t.Errorf("accepted the link %q", s)
			}
		}
		if latest.UpToDate == nil && !latest.Withdrawn && latest.Outdated(version) && Compare(latest.LatestRelease, version) <= 0 {
			t.Errorf("%q is offered to %q", latest.LatestRelease, version)
		}
		if err == nil && !json.Valid(body) {
			t.Errorf("accepted %q", body)
		}
	})
}
