// Package access defines the credentials of people and programs: tokens, and the sign-in
// links and sessions that give a browser the access of a token. It defines their format
// and what a store keeps of them. A store never keeps a secret, only its hash.
package access

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"relcheck/checker/printable"
)

// Scope is what a token permits.
type Scope string

// The scopes. Release does not include Read: a build pipeline needs no statistics, and
// tokens leak from pipelines.
const (
	Read    Scope = "read"    // read statistics
	Release Scope = "release" // list, publish and withdraw releases
	Admin   Scope = "admin"   // all of that, and change products
)

// Scopes lists all scopes.
var Scopes = []Scope{Read, Release, Admin}

// ParseScope returns the scope of a name.
func ParseScope(name string) (Scope, error) {
	if s := Scope(name); slices.Contains(Scopes, s) {
		return s, nil
	}
	return "", fmt.Errorf("unknown scope %q: enter read, release or admin", name)
}

// Token is what a store keeps of a token.
type Token struct {
	ID       string // the part of the token that may be shown
	Name     string // what the token is for
	Scope    Scope
	Hash     Hash // hash of the whole token
	Created  time.Time
	LastUsed time.Time // rounded down to the hour; zero if the token was never used
	Revoked  time.Time // zero while the token is valid
}

const maxNameChars = 100

const (
	tokenPrefix = "rcr_"
	idBytes     = 5  // 8 characters
	secretBytes = 32 // 52 characters
)

// tokenPattern matches a token: rcr_, its ID, and 256 random bits. The alphabet has no
// capital letters, so that [Normalize] can correct the case, and only characters that a
// double click selects as one word.
var tokenPattern = regexp.MustCompile(`^` + tokenPrefix + `([a-z2-7]{8})_[a-z2-7]{52}$`)

// idPattern matches the ID of a token.
var idPattern = regexp.MustCompile(`^[a-z2-7]{8}$`)

var encoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// NewToken generates a token. The text is the token that its owner presents; it is not
// part of t.
func NewToken(name string, scope Scope, now time.Time) (t Token, text string) {
	t = Token{ID: randomText(idBytes), Name: name, Scope: scope, Created: now.UTC().Truncate(time.Second)}
	text = tokenPrefix + t.ID + "_" + randomText(secretBytes)
	t.Hash = HashOf(text)
	return t, text
}

func randomText(bytes int) string {
	b := make([]byte, bytes)
	rand.Read(b) // never fails
	return strings.ToLower(encoding.EncodeToString(b))
}

// Normalize undoes what mail programs and clipboards do to a secret: it removes white
// space and changes capital letters to lower case.
func Normalize(text string) string {
	return strings.ToLower(strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, text))
}

// TokenID returns the ID of a token, or "" if text is not a token.
func TokenID(text string) string {
	if m := tokenPattern.FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return ""
}

// IsTokenID reports whether text has the form of a token's ID.
func IsTokenID(text string) bool { return idPattern.MatchString(text) }

// Matches reports whether text is the token t. The time it takes does not depend on how
// much of the text is right.
func (t *Token) Matches(text string) bool {
	hash := HashOf(text)
	return subtle.ConstantTimeCompare(hash[:], t.Hash[:]) == 1
}

// Named returns the newest valid token with a name or ID, or nil. The tokens are in the order
// of their creation.
func Named(all []Token, name string) *Token {
	for i := range slices.Backward(all) {
		if t := &all[i]; t.Valid() && (t.Name == name || t.ID == name) {
			return t
		}
	}
	return nil
}

// Valid reports whether the token has not been revoked.
func (t *Token) Valid() bool { return t.Revoked.IsZero() }

// Allows reports whether the token is valid and permits what the scope s covers. An
// unknown scope permits nothing.
func (t *Token) Allows(s Scope) bool {
	return t.Valid() && (t.Scope == s || t.Scope == Admin) && slices.Contains(Scopes, s)
}

// CheckName returns an error unless name can be the name of a token.
func CheckName(name string) error { return printable.CheckLabel(name, maxNameChars) }
