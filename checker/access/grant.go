package access

import (
	"crypto/sha256"
	"regexp"
	"strings"
	"time"
)

const (
	// LinkLifetime is how long a sign-in link is valid.
	LinkLifetime = time.Hour
	// SessionLifetime is how long a browser stays signed in.
	SessionLifetime = 30 * 24 * time.Hour
)

// Hash is the SHA-256 of a secret. It needs no salt, because a secret has 256 random bits.
type Hash [sha256.Size]byte

// HashOf returns the hash of a secret.
func HashOf(secret string) Hash { return sha256.Sum256([]byte(secret)) }

// Grant is what a store keeps of a sign-in link or a session. Both give a browser the
// access of a token.
type Grant struct {
	Hash    Hash   // hash of the secret
	TokenID string // ID of the token
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

// NewLink generates a sign-in link for a token, and returns it with its secret.
func NewLink(tokenID string, now time.Time) (g Grant, secret string) {
	return newGrant(linkPrefix, tokenID, now.Add(LinkLifetime))
}

// NewSession generates a session for a token, and returns it with its secret.
func NewSession(tokenID string, now time.Time) (g Grant, secret string) {
	return newGrant(sessionPrefix, tokenID, now.Add(SessionLifetime))
}

// SignInURL returns the URL of a sign-in link with a secret.
func SignInURL(base, secret string) string {
	return strings.TrimRight(base, "/") + "/sign-in?link=" + secret
}

func newGrant(prefix, tokenID string, expires time.Time) (g Grant, secret string) {
	secret = prefix + randomText(secretBytes)
	return Grant{Hash: HashOf(secret), TokenID: tokenID, Expires: expires.UTC().Truncate(time.Second)}, secret
}

// IsLink reports whether text has the form of the secret of a sign-in link.
func IsLink(text string) bool { return linkPattern.MatchString(text) }

// IsSession reports whether text has the form of the secret of a session.
func IsSession(text string) bool { return sessionPattern.MatchString(text) }
