package bundle

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// secretMark begins the text of a secret key.
const secretMark = "PRIVATE+KEY+"

// maxKeyName is the maximum length of a key's name, in bytes. Names are short because notes
// are small.
const maxKeyName = 100

// GenerateKey generates an Ed25519 key and returns the texts of its secret and its public
// key. People see the name in lists.
func GenerateKey(name string) (secret, public string, err error) {
	if len(name) > maxKeyName {
		return "", "", fmt.Errorf("the name has %d bytes; give at most %d", len(name), maxKeyName)
	}
	if secret, public, err = note.GenerateKey(rand.Reader, name); err == nil {
		_, err = note.NewVerifier(public)
	}
	if err != nil {
		return "", "", fmt.Errorf("%q cannot be the name of a key: use letters, digits and punctuation other than +", name)
	}
	return secret, public, nil
}

// ParsePublicKey parses the text of a public key.
func ParsePublicKey(text string) (note.Verifier, error) {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, secretMark) {
		return nil, errors.New("it is a secret key: give the public key, whose file ends in .pub, and do not copy the secret key")
	}
	v, err := note.NewVerifier(text)
	if err != nil || len(v.Name()) > maxKeyName {
		return nil, errors.New("it is not a public key of relcheck key generate")
	}
	return v, nil
}

// ParseSecretKey parses the text of a secret key. It also returns its public key.
func ParseSecretKey(text string) (note.Signer, note.Verifier, error) {
	text = strings.TrimSpace(text)
	if _, err := ParsePublicKey(text); err == nil {
		return nil, nil, errors.New("it is a public key: give the secret key, whose file does not end in .pub")
	}
	invalid := errors.New("it is not a secret key of relcheck key generate")
	s, err := note.NewSigner(text)
	if err != nil {
		return nil, nil, invalid
	}
	_, encoded, _ := strings.Cut(strings.TrimPrefix(text, secretMark+s.Name()+"+"), "+")
	key, err := base64.StdEncoding.DecodeString(encoded) // the kind of key, and the seed
	if err != nil || len(key) != 1+ed25519.SeedSize {
		return nil, nil, invalid
	}
	public, err := note.NewEd25519VerifierKey(s.Name(), ed25519.NewKeyFromSeed(key[1:]).Public().(ed25519.PublicKey))
	if err != nil {
		return nil, nil, invalid
	}
	v, err := note.NewVerifier(public)
	return s, v, err
}

// KeyID returns the ID of a key: NAME+HASH.
func KeyID(v note.Verifier) string { return keyID(v.Name(), v.KeyHash()) }

func keyID(name string, hash uint32) string { return fmt.Sprintf("%s+%08x", name, hash) }
