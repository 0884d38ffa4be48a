package checker

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"relcheck/checker/printable"
)

// maxErrorText is the length of the longest text of an error that may
// repeat what a service sent, in bytes.
const maxErrorText = 256

// Outdated reports whether l is newer than the given version of the same
// product. The service's judgement counts where it agrees with the order of
// versions. Without one, the version's core is judged: a vendor's 0.21.0-istio
// is not outdated by 0.21.0. What is not a semantic version is never outdated.
func (l Latest) Outdated(version string) bool {
	switch {
	case Canonical(version) == "" || Canonical(l.LatestRelease) == "":
		return false
	case l.UpToDate == nil:
		return Compare(l.LatestRelease, Core(version)) > 0
	}
	return !*l.UpToDate && Compare(l.LatestRelease, version) > 0
}

// accept decodes the answer to a report of that version and takes out what the
// host must not be shown. It ends on terminals and in logs, and the service may
// be anyone's.
func accept(body []byte, version string) (Answer, error) {
	var answer Answer
	if err := json.Unmarshal(body, &answer); err != nil {
		return Answer{}, fmt.Errorf("answer is not that of a release service: %w", err)
	}
	latest := answer.Latest
	if latest.LatestRelease == "" {
		return Answer{}, nil
	}
	if !ValidVersion(latest.LatestRelease) {
		return Answer{}, errors.New("answer names a latest release that cannot be a version")
	}
	latest.Download = linkOrEmpty(latest.Download)
	latest.ReleaseNotes = linkOrEmpty(latest.ReleaseNotes)
	if latest.UpToDate != nil && !*latest.UpToDate && notNewer(latest.LatestRelease, version) {
		*latest.UpToDate = true // whatever the service says
	}
	return Answer{latest}, nil
}

// notNewer reports whether both are semantic versions and latest is no newer.
func notNewer(latest, version string) bool {
	return Canonical(latest) != "" && Canonical(version) != "" && Compare(latest, version) <= 0
}

// linkOrEmpty returns s if it may be shown, else "".
func linkOrEmpty(s string) string {
	if printable.CheckLink(s) != nil {
		return ""
	}
	return s
}

// exchangeError tells which service a report failed at.
type exchangeError struct {
	url url.URL
	err error
}

// Error returns one printable line. Whoever answers can put bytes of his own
// into the texts of net/http's errors.
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
