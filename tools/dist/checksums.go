package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// checksumsName is the file of checksums, which sha256sum can check. With noteSuffix, it is
// the same text, signed in the format of relcheck's bundles: a note of package
// golang.org/x/mod/sumdb/note.
const (
	checksumsName = "SHA256SUMS"
	noteSuffix    = ".note"
)

// writeChecksums writes the checksums of all files in a folder, and signs them with the key
// in a file unless its name is empty.
func writeChecksums(folder, keyFile string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	var text strings.Builder
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(folder, e.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&text, "%x  %s\n", sha256.Sum256(data), e.Name())
	}
	name := filepath.Join(folder, checksumsName)
	if err := os.WriteFile(name, []byte(text.String()), 0o644); err != nil {
		return err
	}
	if keyFile == "" {
		fmt.Fprintln(os.Stderr, "the checksums are not signed: give the secret key of relcheck key generate with -key")
		return nil
	}
	key, err := os.ReadFile(keyFile)
	if err != nil {
		return err
	}
	signer, err := note.NewSigner(strings.TrimSpace(string(key)))
	if err != nil {
		return fmt.Errorf("%s is not a secret key of relcheck key generate", keyFile)
	}
	signed, err := note.Sign(&note.Note{Text: text.String()}, signer)
	if err != nil {
		return err
	}
	return os.WriteFile(name+noteSuffix, signed, 0o644)
}
