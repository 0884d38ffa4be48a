package checker

import "github.com/google/uuid"

// Report is the body of POST /v1/version. Open Policy Agent's privacy document defines
// its first three fields and their order. The client sends nothing else.
type Report struct {
	// ID is the instance ID: a random (version 4) UUID, which every process generates. It
	// may be zero if Last is known.
	ID uuid.UUID `json:"id,omitzero"`
	// Version is the running version, with or without a leading "v".
	Version string `json:"version"`
	// HeapUsageBytes is the heap in use, in bytes, encoded as a string. It is nil if
	// the process did not report it.
	HeapUsageBytes *int64 `json:"heap_usage_bytes,string,omitempty"`
	// Last is the day of the last answer that the installation remembers.
	Last Last `json:"last,omitzero"`
}

// Answer is the service's answer to a [Report].
type Answer struct {
	Latest Latest `json:"latest"`
	// Day is the date in UTC under which the service has recorded the report:
	// "2026-01-31". It is empty if the report was not recorded.
	Day string `json:"day,omitempty"`
}

// Latest describes the release that the service offers to a client. It is empty if the
// service has no release of the product.
type Latest struct {
	// Download is the URL of the file for the client's platform, or empty.
	Download string `json:"download,omitempty"`
	// ReleaseNotes is the URL of the release notes, or empty.
	ReleaseNotes string `json:"release_notes,omitempty"`
	// LatestRelease is the release's tag, as upstream spells it: "v0.19.2".
	LatestRelease string `json:"latest_release,omitempty"`
	// UpToDate reports whether the client runs this release or a newer one. It is nil
	// if the service cannot compare the reported version to it. The JSON name is the
	// protocol's for all products.
	UpToDate *bool `json:"opa_up_to_date,omitempty"`
	// Withdrawn reports that the client runs a release that was withdrawn. The latest
	// release may then be older.
	Withdrawn bool `json:"withdrawn,omitempty"`
}
