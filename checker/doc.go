// Package checker reports a program's version to a release service and returns
// the latest release.
//
// It implements the protocol that Open Policy Agent documents for its anonymous
// version reports (https://www.openpolicyagent.org/docs/privacy): the client sends
// a JSON object with a random instance ID, the version and the heap in use to
// POST /v1/version. The answer has the latest release, the download for the client's
// platform and the release notes.
//
// A program needs three lines to report in the background and to announce new
// releases to its users:
//
//	client := &checker.Client{Product: "myapp", Version: version, URL: "https://releases.example.com"}
//	client.OnOutdated = func(latest checker.Latest) { slog.Warn("a newer release is available", "latest", latest.LatestRelease) }
//	client.Start(ctx)
//
// With a state file, a service counts installations instead of processes, and needs no
// identifier for it:
//
//	client.StateFile = "/var/lib/myapp/last-report"
//	client.Anonymous = true
//
// The answer has the service's date. The client stores it, and sends it with its next
// report. Whether an installation is counted for a day, a week or four weeks follows from
// that date alone.
//
// Users turn reports off with the environment variable DO_NOT_TRACK=1, or with
// {PRODUCT}_DISABLE_TELEMETRY=1 for one product, and programs with Client.Disabled.
// {PRODUCT}_TELEMETRY_SERVICE_URL replaces DefaultURL. In these names, the name of the
// product is in upper case, and each character except letters and digits is an underscore.
//
// The package links only the standard library, google/uuid, x/mod/semver and
// checker/printable; in particular, no database.
package checker
