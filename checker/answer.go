package checker

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"relcheck/checker/printable"
)

// maxErrorText is the maximum length of an error's text that may contain text from
// the service, in bytes.
const maxErrorText = 256

// maxTag is the maximum length of a release's tag, in bytes.
const maxTag = 200

// Outdated reports whether a client that runs a version of the same product should change
// to the release l. It follows the verdict of the service, which knows the order of the
// product's versions and which releases were withdrawn.
//
// Without a verdict, it compares semantic versions: a pre-release (1.2.4-rc.1) and a Go
// pseudo-version (1.2.4-0.20260201120000-abcdefabcdef) are outdated by 1.2.4, but a
// vendor's build (1.2.4-istio) is not. Other versions are not outdated.
func (l Latest) Outdated(version string) bool {
	switch {
	case l.LatestRelease == "":
		return false
	case l.Withdrawn:
		return true
	case strings.TrimPrefix(l.LatestRelease, "v") == strings.TrimPrefix(version, "v"):
		return false
	case l.UpToDate != nil:
		return !*l.UpToDate
	}
	core, latest := Core(version), Core(l.LatestRelease)
	if core == "" || latest == "" {
		return false
	}
	c := Compare(latest, core)
	return c > 0 || c == 0 && isPrerelease(version) && !isPrerelease(l.LatestRelease)
}

// decodeAnswer decodes the answer to a report. It removes links that are not printable, and
// a day that is not a date: answers end up on terminals and in logs, and the service may
// not be trustworthy.
func decodeAnswer(body []byte) (Answer, error) {
	var answer Answer
	if err := json.Unmarshal(body, &answer); err != nil {
		return Answer{}, fmt.Errorf("invalid answer of the release service: %w", err)
	}
	if _, err := ParseLast(answer.Day); err != nil {
		answer.Day = ""
	}
	latest := answer.Latest
	if latest.LatestRelease == "" {
		answer.Latest = Latest{Withdrawn: latest.Withdrawn}
		return answer, nil
	}
	if tag := latest.LatestRelease; len(tag) > maxTag || printable.Check(tag) != nil || strings.Contains(tag, " ") {
		return Answer{}, errors.New("invalid latest release in the answer")
	}
	latest.Download = printableLink(latest.Download)
	latest.ReleaseNotes = printableLink(latest.ReleaseNotes)
	answer.Latest = latest
	return answer, nil
}

// printableLink returns s if it can be shown to users, else "".
func printableLink(s string) string {
	if printable.CheckLink(s) != nil {
		return ""
	}
	return s
}

// exchangeError is the error of a report to the service at url.
type exchangeError struct {
	url url.URL
	err error
}

// Error returns one printable line. The text of err is masked because net/http's errors
// may contain bytes that the server sent.
func (e *exchangeError) Error() string {
	shown := e.url
	shown.User = nil
	text := printable.Mask(e.err.Error(), '?')
	if len(text) > maxErrorText {
		text = strings.ToValidUTF8(text[:maxErrorText], "") + "..."
	}
	return "check " + shown.String() + ": " + text
}

func (e *exchangeError) Unwrap() error { return e.err }
