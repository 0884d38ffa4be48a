package checker

import "time"

// Product is something that is released: Open Policy Agent, for example.
type Product struct {
	// Name stands in URLs and on the command line: "opa".
	Name string
	// Title is what people call it: "Open Policy Agent".
	Title string
	// Repo is its "owner/name" in the sense of GitHub's API, or empty.
	Repo string
	// Module is its Go module path, where releases can be synced from, or empty.
	Module string
	// Download and Notes are templates of the URLs of a release that brings
	// none of its own, or empty. See [Expand].
	Download string
	Notes    string
	// Origins are the origins of web pages whose reports and checks are recorded,
	// separated by spaces: those of the web platform ("https://app.example.com"),
	// "null", or all of one scheme ("app:").
	Origins string
}

// Release is one published version of a product.
type Release struct {
	// Version is the release's tag, as its product spells it: "v0.19.2" or "0.19.2".
	Version string
	// Notes is the URL of the release notes; empty means the product's template.
	Notes string
	// Date is when it was published; zero when that is not known.
	Date time.Time
	// Prerelease marks a release that is offered only to callers who already
	// run a pre-release.
	Prerelease bool
	// Withdrawn releases are never offered.
	Withdrawn bool
	// Retracted is the reason for which the release's source takes it back, or
	// empty. A retracted release is withdrawn unless it was restored by hand.
	Retracted string
	// Assets holds the URL of the file for each platform that has one.
	Assets map[Platform]string
}
