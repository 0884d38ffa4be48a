// Package access is about the tokens by which people and programs are let in:
// what one looks like, and what is kept of it.
package access

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"relcheck/checker/printable"
)

// Scope is what a token lets do.
type Scope string

// The scopes. Who may publish releases need not see figures: a pipeline is a
// place from which tokens get lost.
const (
	Read    Scope = "read"    // see the figures
	Release Scope = "release" // list, publish and withdraw releases
	Admin   Scope = "admin"   // all of that, and change products
)

// Scopes are all of them.
var Scopes = []Scope{Read, Release, Admin}

// Token is what is kept of a token: all but the token itself.
type Token struct {
	ID      string // the part of it that may be shown
	Name    string // what it is for, in the words of who made it
	Scope   Scope
	Hash    Hash // of the whole token
	Created time.Time
	Used    time.Time // when it was last used, to the hour; zero if never
	Revoked time.Time // zero while it is valid
}

// maxName is the length of the longest name, in characters.
const maxName = 100

const (
	prefix      = "rcr_"
	idBytes     = 5  // 8 characters
	secretBytes = 32 // 52 characters
)

// pattern is what a token looks like: rcr_, its id, and 256 random bits. Its
// alphabet has no capitals, so that one in the wrong case can be put right, and
// no character at which a double click would stop.
var pattern = regexp.MustCompile(`^` + prefix + `([a-z2-7]{8})_[a-z2-7]{52}$`)

var encoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// New makes a token. The text of it is what its owner presents; it is kept
// nowhere else.
func New(name string, scope Scope, now time.Time) (t Token, text string) {
	t = Token{ID: random(idBytes), Name: name, Scope: scope, Created: now.UTC().Truncate(time.Second)}
	text = prefix + t.ID + "_" + random(secretBytes)
	t.Hash = sha256.Sum256([]byte(text))
	return t, text
}

func random(bytes int) string {
	b := make([]byte, bytes)
	rand.Read(b) // never fails
	return strings.ToLower(encoding.EncodeToString(b))
}

// Clean puts right what happens to a token on its way by mail and clipboard:
// spaces and line breaks anywhere, capitals.
func Clean(text string) string {
	return strings.ToLower(strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, text))
}

// ID returns the id of a token, or "" for what is none.
func ID(text string) string {
	if m := pattern.FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return ""
}

// Is tells whether t is kept of the token that text is. How long it takes tells
// nothing of the token.
func (t *Token) Is(text string) bool {
	hash := sha256.Sum256([]byte(text))
	return subtle.ConstantTimeCompare(hash[:], t.Hash[:]) == 1
}

// Valid tells whether the token was not taken back.
func (t *Token) Valid() bool { return t.Revoked.IsZero() }

// Allows tells whether the token lets do what the scope is about. A scope that
// this code does not know allows nothing.
func (t *Token) Allows(s Scope) bool {
	return t.Valid() && (t.Scope == s || t.Scope == Admin) && slices.Contains(Scopes, s)
}

// CheckName returns an error unless a token can have this name.
func CheckName(name string) error { return printable.CheckLabel(name, maxName) }
