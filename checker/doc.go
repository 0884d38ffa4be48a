// Package checker reports a program's version to a release service and learns
// from it the latest release.
//
// It speaks the protocol that Open Policy Agent documents for its anonymous
// version reports (https://www.openpolicyagent.org/docs/privacy): a JSON body
// with a random id, the version and the heap in use goes to POST /v1/version,
// and the answer names the latest release, its download for the caller's
// platform and its release notes.
//
// A program that wants to tell its users of new releases needs three lines:
//
//	client := &checker.Client{Product: "myapp", Version: version, URL: "https://releases.example.com"}
//	client.OnOutdated = func(latest checker.Latest) { slog.Warn("a newer release is out", "latest", latest.LatestRelease) }
//	client.Start(ctx)
//
// The package links the standard library, google/uuid, x/mod/semver and
// checker/printable, and nothing else: no database comes with it.
package checker
