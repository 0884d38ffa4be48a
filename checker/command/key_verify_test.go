package command

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"relcheck/checker/bundle"
)

// Checksums are valid if the key has signed them and the files beside them match. Files that
// are missing are skipped.
func TestKeyVerify(t *testing.T) {
	for name, test := range map[string]struct {
		content, text string // of file a, and of the checksums before their signature
		other         bool   // the checksums are signed by another key
		status        int
		want          string
	}{
		"valid":         {content: "a", text: "SUM  a\n" + strings.Repeat("0", 64) + "  missing\n", want: "verified 1 of its 2 files\n"},
		"changed file":  {content: "b", text: "SUM  a\n", status: statusFailed, want: "do not use it"},
		"other key":     {content: "a", text: "SUM  a\n", other: true, status: statusFailed, want: "has no valid signature of key release+"},
		"parent folder": {content: "a", text: "SUM  ../a\n", status: statusFailed, want: "is not a line of checksums"},
		"no checksums":  {content: "a", text: "hello\n", status: statusFailed, want: "is not a line of checksums"},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			secret, public, err := bundle.GenerateKey("release")
			if err != nil {
				t.Fatal(err)
			}
			if test.other {
				if secret, _, err = bundle.GenerateKey("release"); err != nil {
					t.Fatal(err)
				}
			}
			signer, _, err := bundle.ParseSecretKey(secret)
			if err != nil {
				t.Fatal(err)
			}
			text := strings.ReplaceAll(test.text, "SUM", fmt.Sprintf("%x", sha256.Sum256([]byte("a"))))
			signed, err := note.Sign(&note.Note{Text: text}, signer)
			if err != nil {
				t.Fatal(err)
			}
			for name, content := range map[string]string{"a": test.content, "sums.note": string(signed), "key.pub": public} {
				if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			var out bytes.Buffer
			args := []string{"key", "verify", filepath.Join(folder, "sums.note"), "--key", filepath.Join(folder, "key.pub")}
			if status := Run(t.Context(), args, IO{Out: &out, Err: &out}); status != test.status || !strings.Contains(out.String(), test.want) {
				t.Errorf("got exit status %d and %q, want %d and %q", status, out.String(), test.status, test.want)
			}
		})
	}
}
