package bundle

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

// TrustedKey is a public key that a store verifies bundles with.
type TrustedKey struct {
	Key      string   // in the form of [golang.org/x/mod/sumdb/note]: NAME+HASH+KEY
	Products []string // sorted names of the products that its bundles may contain; empty for all
	Added    time.Time
	Revoked  time.Time // zero if it is trusted
	Counts   bool      // its bundles contain the counts of a site instead of releases
}

// ID returns the ID of the key, or its text if this relcheck cannot read it.
func (k TrustedKey) ID() string {
	v, err := ParsePublicKey(k.Key)
	if err != nil {
		return k.Key
	}
	return KeyID(v)
}

// Scope describes what the key is trusted for.
func (k TrustedKey) Scope() string {
	text := cmp.Or(strings.Join(k.Products, ", "), "all products")
	if k.Counts {
		text = "counts of " + text
	}
	return text
}

// CheckNotRevoked returns an error if a key is among known ones and was revoked.
func CheckNotRevoked(known []TrustedKey, key string) error {
	for _, k := range known {
		if k.Key == key && !k.Revoked.IsZero() {
			return fmt.Errorf("key %s was revoked on %s: generate a new key", k.ID(), k.Revoked.Format(time.DateOnly))
		}
	}
	return nil
}
