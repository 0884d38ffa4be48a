package checker

import "github.com/google/uuid"

// Report is what one process says of itself: the body of POST /v1/version.
// Its fields, and their order on the wire, are those of Open Policy Agent's
// privacy document; nothing else is ever sent.
type Report struct {
	// ID is a version 4 random UUID, drawn anew by every process.
	ID uuid.UUID `json:"id"`
	// Version is the running version, with or without a leading "v".
	Version string `json:"version"`
	// HeapUsageBytes is the heap in use, in bytes, written as a decimal number
	// inside a string. Nil means that the process did not tell.
	HeapUsageBytes *int64 `json:"heap_usage_bytes,string,omitempty"`
}

// Answer is what the service replies to a [Report].
type Answer struct {
	Latest Latest `json:"latest"`
}

// Latest describes the release that the service offers to one caller. All of
// it is empty when the service knows no release of the product.
type Latest struct {
	// Download is the URL of the file for the caller's platform, or empty.
	Download string `json:"download,omitempty"`
	// ReleaseNotes is the URL of the release notes, or empty.
	ReleaseNotes string `json:"release_notes,omitempty"`
	// LatestRelease is the release's tag, as its product spells it: "v0.19.2".
	LatestRelease string `json:"latest_release,omitempty"`
	// UpToDate tells whether the caller runs this release or a newer one. It is
	// nil when the service could not judge the version that was reported. The
	// name on the wire is the protocol's, whatever the product is.
	UpToDate *bool `json:"opa_up_to_date,omitempty"`
}
