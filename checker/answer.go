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

// Outdated reports whether l is newer than a version of the same product. It follows
// the verdict of the service unless that contradicts the order of versions. Without a
// verdict, it compares the version's core: a vendor's 0.21.0-istio is not outdated by
// 0.21.0. A version that is not semantic is never outdated.
func (l Latest) Outdated(version string) bool {
	switch {
	case Canonical(version) == "" || Canonical(l.LatestRelease) == "":
		return false
	case l.UpToDate == nil:
		return Compare(l.LatestRelease, Core(version)) > 0
	}
	return !*l.UpToDate && Compare(l.LatestRelease, version) > 0
}

// decodeAnswer decodes the answer to a report of a version and removes links that are
// not printable: answers end up on terminals and in logs, and the service may not be
// trustworthy.
func decodeAnswer(body []byte, version string) (Answer, error) {
	var answer Answer
	if err := json.Unmarshal(body, &answer); err != nil {
		return Answer{}, fmt.Errorf("invalid answer of the release service: %w", err)
	}
	latest := answer.Latest
	if latest.LatestRelease == "" {
		return Answer{}, nil
	}
	if !ValidVersion(latest.LatestRelease) {
		return Answer{}, errors.New("invalid latest release in the answer")
	}
	latest.Download = printableLink(latest.Download)
	latest.ReleaseNotes = printableLink(latest.ReleaseNotes)
	if latest.UpToDate != nil && !*latest.UpToDate && notNewer(latest.LatestRelease, version) {
		*latest.UpToDate = true
	}
	return Answer{latest}, nil
}

// notNewer reports whether both are semantic versions and latest is not newer.
func notNewer(latest, version string) bool {
	return Canonical(latest) != "" && Canonical(version) != "" && Compare(latest, version) <= 0
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
