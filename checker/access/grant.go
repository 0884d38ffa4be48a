package access

import (
	"crypto/sha256"
	"regexp"
	"time"
)

const (
	// LinkLifetime is how long a sign-in link can be used.
	LinkLifetime = time.Hour
	// SessionLifetime is how long a browser stays signed in.
	SessionLifetime = 30 * 24 * time.Hour
)

// Hash is the SHA-256 of the text of a secret with 256 random bits.
type Hash [sha256.Size]byte

// HashOf returns the hash of a secret.
func HashOf(text string) Hash { return sha256.Sum256([]byte(text)) }

// Grant is what the store keeps of a sign-in link or of a session: everything but
// its secret. Either gives a browser the read access of a token.
type Grant struct {
	Hash    Hash
	Token   string // Token.ID
	Expires time.Time
}

const (
	linkPrefix    = "rcl_"
	sessionPrefix = "rcs_"
)

var (
	linkPattern    = regexp.MustCompile(`^` + linkPrefix + `[a-z2-7]{52}$`)
	sessionPattern = regexp.MustCompile(`^` + sessionPrefix + `[a-z2-7]{52}$`)
)

// NewLink makes a sign-in link for the token with an ID, and returns its secret.
func NewLink(token string, now time.Time) (Grant, string) {
	return newGrant(linkPrefix, token, now.Add(LinkLifetime))
}

// NewSession makes a session for the token with an ID, and returns its secret.
func NewSession(token string, now time.Time) (Grant, string) {
	return newGrant(sessionPrefix, token, now.Add(SessionLifetime))
}

func newGrant(prefix, token string, expires time.Time) (Grant, string) {
	text := prefix + random(secretBytes)
	return Grant{Hash: HashOf(text), Token: token, Expires: expires.UTC().Truncate(time.Second)}, text
}

// IsLink reports whether text has the form of a sign-in link's secret.
func IsLink(text string) bool { return linkPattern.MatchString(text) }

// IsSession reports whether text has the form of a session's secret.
func IsSession(text string) bool { return sessionPattern.MatchString(text) }
