package mirror

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
)

// sums computes the checksums of the bytes written to it.
type sums struct {
	io.Writer
	hash256, hash512 hash.Hash
}

// newSums returns sums of the SHA-256, and of the SHA-512 if it is expected.
func newSums(want Digests) *sums {
	s := &sums{hash256: sha256.New(), hash512: sha512.New()}
	s.Writer = s.hash256
	if want.SHA512 != "" {
		s.Writer = io.MultiWriter(s.hash256, s.hash512)
	}
	return s
}

func (s *sums) sha256() string { return hex.EncodeToString(s.hash256.Sum(nil)) }

// check returns the SHA-256, and an error if the checksums are not the expected ones.
func (s *sums) check(want Digests) (string, error) {
	sum := s.sha256()
	if want.SHA256 != "" && want.SHA256 != sum {
		return "", fmt.Errorf("%w: got SHA-256 %s, want %s", ErrMismatch, sum, want.SHA256)
	}
	if want.SHA512 != "" {
		if got := hex.EncodeToString(s.hash512.Sum(nil)); got != want.SHA512 {
			return "", fmt.Errorf("%w: got SHA-512 %s, want %s", ErrMismatch, got, want.SHA512)
		}
	}
	return sum, nil
}
