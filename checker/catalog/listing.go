package catalog

import (
	"time"

	"relcheck/checker"
)

// Product is a program that has releases: Open Policy Agent, for example.
type Product struct {
	// Name identifies the product in URLs and on the command line: "opa".
	Name string
	// Title is the name for people: "Open Policy Agent".
	Title string
	// Repo is its "owner/name" in GitHub's API, or empty.
	Repo string
	// Module is the path of the Go module whose releases can be synced, or empty.
	Module string
	// Download and Notes are URL templates for releases that have no URLs of their
	// own, or empty. See [Expand].
	Download string
	Notes    string
	// Origins lists the origins of web pages whose reports and checks are recorded,
	// separated by spaces. Each is an origin ("https://app.example.com"), "null", or a
	// scheme ("app:"), which stands for all origins of that scheme.
	Origins string
}

// Release is one published version of a product.
type Release struct {
	// Version is the release's tag as upstream spells it: "v0.19.2" or "0.19.2".
	Version string
	// Notes is the URL of the release notes. If it is empty, the product's template applies.
	Notes string
	// Date is the time of publication, or zero if it is not known.
	Date time.Time
	// Prerelease marks a release that is offered only to clients that run a
	// pre-release.
	Prerelease bool
	// Withdrawn marks a release that is never offered.
	Withdrawn bool
	// Retracted is the reason why upstream retracted the release, or empty. A
	// retracted release is withdrawn unless an operator has restored it.
	Retracted string
	// Assets maps platforms to the URLs of their files.
	Assets map[checker.Platform]string
}
