package access

import "time"

// AuditEntry is one recorded change. As JSON, it is a line of relcheck audit --json.
type AuditEntry struct {
	ID      int64     `json:"-"`                 // increases with each change
	At      time.Time `json:"at"`                // UTC, to the second
	Actor   string    `json:"who"`               // a token ID, "command line" or "server"
	Action  string    `json:"action"`            // release.added
	Product string    `json:"product,omitempty"` // its name, or empty if no product was changed
	Detail  string    `json:"detail,omitempty"`  // which release or token, and what has changed
}
