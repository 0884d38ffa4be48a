package command

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"

	"relcheck/checker/bundle"
)

func keyVerify(streams IO) *cobra.Command {
	var keyFile string
	c := &cobra.Command{
		Use:   "verify FILE",
		Short: "Verify signed checksums and the files beside them.",
		Long: `Verify the signature of a file of checksums, such as SHA256SUMS.note of a release of relcheck,
and the files beside it that are listed there. Files that are not there are skipped.`,
		Example: `  relcheck key verify SHA256SUMS.note --key release.key.pub`,
		RunE: func(_ *cobra.Command, args []string) error {
			if keyFile == "" {
				return usageError("--key is missing: name the file of the public key")
			}
			_, v, err := readPublicKey(keyFile)
			if err != nil {
				return err
			}
			text, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			signed, err := note.Open(text, note.VerifierList(v))
			if err != nil {
				return fmt.Errorf("%s has no valid signature of key %s: do not use its files", args[0], bundle.KeyID(v))
			}
			listed, verified, err := verifyChecksums(filepath.Dir(args[0]), signed.Text)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(streams.Err, "%s is signed by key %s; verified %d of its %s\n", args[0], bundle.KeyID(v), verified, count(int64(listed), "file"))
			return err
		},
	}
	c.Flags().StringVar(&keyFile, "key", "", "`file` of the public key")
	return c
}

// verifyChecksums compares the files in a folder with a list of SHA-256 checksums, in the
// format of sha256sum.
func verifyChecksums(folder, list string) (listed, verified int, err error) {
	for line := range strings.Lines(list) {
		sum, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		if !ok || !filepath.IsLocal(name) {
			return 0, 0, fmt.Errorf("%q is not a line of checksums: give a file that make dist has written", line)
		}
		listed++
		got, err := checksumOf(filepath.Join(folder, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, 0, err
		}
		if got != sum {
			return 0, 0, fmt.Errorf("%s has SHA-256 %s, and its signed checksum is %s: do not use it", name, got, sum)
		}
		verified++
	}
	return listed, verified, nil
}

func checksumOf(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return fmt.Sprintf("%x", h.Sum(nil)), err
}
