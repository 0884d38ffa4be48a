package access

import (
	"strings"
	"time"
)

// AuditEntry is one recorded change. As JSON, it is a line of relcheck audit --json.
type AuditEntry struct {
	ID      int64     `json:"-"`                 // increases with each change
	At      time.Time `json:"at"`                // UTC, to the second
	Actor   string    `json:"who"`               // a token ID, "command line" or "server"
	Action  string    `json:"action"`            // release.added
	Product string    `json:"product,omitempty"` // its name, or empty if no product was changed
	Detail  string    `json:"detail,omitempty"`  // which release or token, and what has changed
}

// Actions of the audit log.
const (
	ProductAdded     = "product.added"
	ProductChanged   = "product.changed"
	ProductRemoved   = "product.removed"
	ReleaseAdded     = "release.added"
	ReleaseChanged   = "release.changed"
	ReleaseWithdrawn = "release.withdrawn"
	ReleaseRestored  = "release.restored"
	ReleaseReset     = "release.reset"
	ReleasesImported = "releases.imported"
	ReleasesSynced   = "releases.synced"
	TokenAdded       = "token.added"
	TokenRevoked     = "token.revoked"
	LinkAdded        = "link.added"
	FileHosted       = "file.hosted"
	FileRemoved      = "file.removed"
	BundleApplied    = "bundle.applied"
	KeyTrusted       = "key.trusted"
	KeyRevoked       = "key.revoked"
	SiteRenamed      = "site.renamed"
	SiteRemoved      = "site.removed"
)

// phrases begin the sentences about changes. The detail follows.
var phrases = map[string]string{
	ProductAdded:     "Added the product",
	ProductChanged:   "Changed the settings of the product",
	ProductRemoved:   "Removed the product",
	ReleaseAdded:     "Added release",
	ReleaseChanged:   "Changed release",
	ReleaseWithdrawn: "Withdrew release",
	ReleaseRestored:  "Restored release",
	ReleaseReset:     "Undid the changes of release",
	ReleasesImported: "Imported",
	ReleasesSynced:   "Synced",
	TokenAdded:       "Added token",
	TokenRevoked:     "Revoked token",
	LinkAdded:        "Created a sign-in link for token",
	FileHosted:       "Stored a file of release",
	FileRemoved:      "Removed a file of release",
	BundleApplied:    "Applied a bundle",
	KeyTrusted:       "Trusted key",
	KeyRevoked:       "Revoked key",
	SiteRenamed:      "Renamed site",
	SiteRemoved:      "Removed site",
}

// Sentence describes the change, but for its product: "Changed release v1.0.0: title."
func (a AuditEntry) Sentence() string {
	text := phrases[a.Action]
	switch {
	case text == "": // a newer relcheck has recorded it
		text = strings.TrimSpace(a.Action + " " + a.Detail)
	case a.Detail != "" && (a.Action == ProductChanged || a.Action == BundleApplied):
		text += ": " + a.Detail
	case a.Detail != "":
		text += " " + a.Detail
	}
	return text + "."
}
