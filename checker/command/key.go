package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"

	"relcheck/checker/bundle"
	"relcheck/db"
)

func keyCommand(streams IO) *cobra.Command {
	return group("key", "Manage the keys that sign bundles, and verify checksums.", `
  relcheck key generate release.key              where bundles are created
  relcheck key trust release.key.pub             where bundles are applied
  relcheck key list`,
		keyGenerate(streams), keyTrust(streams), keyList(streams), keyRevoke(streams), keyVerify(streams))
}

// publicSuffix is appended to the file name of a secret key to name the file of its public
// key.
const publicSuffix = ".pub"

func keyGenerate(streams IO) *cobra.Command {
	var name string
	c := &cobra.Command{
		Use:   "generate FILE",
		Short: "Generate a key that signs bundles.",
		Long: `Generate an Ed25519 key that signs bundles. FILE is the secret key. Only its owner can read
it. Keep it where bundles are created. ` + "FILE" + publicSuffix + ` is the public key. Copy it to the
stores that apply the bundles, and trust it there with relcheck key trust. Existing files are
not replaced.`,
		Example: `  relcheck key generate release.key
  relcheck key generate release.key --name releases.example.com`,
		RunE: func(cmd *cobra.Command, args []string) error {
			file := args[0]
			if name == "" {
				name = strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
			}
			secret, public, err := bundle.GenerateKey(name)
			if err != nil {
				return usageError("--name: %w", err)
			}
			if err := writeKeys(file, secret, public); err != nil {
				return err
			}
			v, err := bundle.ParsePublicKey(public)
			if err == nil {
				fmt.Fprintf(streams.Err, "generated key %s: keep %s secret, and trust %s in the stores that apply the bundles\n", bundle.KeyID(v), file, file+publicSuffix)
			}
			return err
		},
	}
	c.Flags().StringVar(&name, "name", "", "`name` of the key in bundles and lists (default: the name of FILE)")
	return c
}

func keyTrust(streams IO) *cobra.Command {
	var path string
	var products []string
	var counts, force bool
	c := &cobra.Command{
		Use:   "trust FILE",
		Short: "Trust a key, whose bundles can then be applied.",
		Long: `Trust a public key, so that its bundles can be applied to this store. With --product, the key
is trusted for these products only, and its bundles with other products are refused. The
products need not exist yet. Repeat the command to change the products.

With --counts, the key is trusted for the counts of a site instead of releases, see relcheck
bundle counts.`,
		Example: `  relcheck key trust release.key.pub
  relcheck key trust factory.key.pub --counts
  relcheck key trust release.key.pub --product opa --product myapp`,
		RunE: func(cmd *cobra.Command, args []string) error {
			key, v, err := readPublicKey(args[0])
			if err != nil {
				return err
			}
			return withStore(cmd.Context(), path, streams, func(s *db.Store) error {
				known, err := s.TrustedKeys(cmd.Context())
				if err != nil {
					return err
				}
				if err := bundle.CheckNotRevoked(known, key); err != nil && !force {
					return fmt.Errorf("%w, or add --force to trust it again", err)
				}
				trust := s.TrustKey
				if counts {
					trust = s.TrustCountsKey
				}
				err = flagError(trust(cmd.Context(), key, products, time.Now()))
				return streams.done(err, "key %s is trusted for %s", bundle.KeyID(v), db.TrustedKey{Products: products, Counts: counts}.Scope())
			})
		},
	}
	dbFlag(c, &path)
	c.Flags().StringArrayVar(&products, "product", nil, "`name` of a product that its bundles may contain (default: all); can be repeated")
	c.Flags().BoolVar(&counts, "counts", false, "trust the key for the counts of a site instead of releases")
	c.Flags().BoolVar(&force, "force", false, "trust the key even if it was revoked")
	return c
}

// listedKey is a key in JSON.
type listedKey struct {
	Key      string   `json:"key"`      // NAME+HASH
	Counts   bool     `json:"counts"`   // it is trusted for counts instead of releases
	Products []string `json:"products"` // empty for all
	Added    *string  `json:"added"`
	Revoked  *string  `json:"revoked"` // or null
}

func keyList(streams IO) *cobra.Command {
	return showCommand(streams, &cobra.Command{
		Use:     "list",
		Short:   "List trusted and revoked keys.",
		Example: `  relcheck key list`,
	}, func(ctx context.Context, s *db.Store, _ []string, o *output) error {
		keys, err := s.TrustedKeys(ctx)
		l := &list{name: "keys", heads: []string{"key", "products", "added", "state"}}
		for _, k := range keys {
			state := "trusted"
			if !k.Revoked.IsZero() {
				state = "revoked " + k.Revoked.Format(time.DateOnly)
			}
			l.item(listedKey{k.ID(), k.Counts, append([]string{}, k.Products...), jsonTime(k.Added), jsonTime(k.Revoked)})
			l.row(k.ID(), k.Scope(), k.Added.Format(time.DateOnly), state)
		}
		o.add(l)
		return err
	})
}

func keyRevoke(streams IO) *cobra.Command {
	return existingStoreCommand(&cobra.Command{
		Use:   "revoke KEY",
		Short: "Stop trusting a key.",
		Long: `Stop trusting a key. Its bundles are refused from now on. Releases and files from earlier
bundles stay. KEY is the key as relcheck key list shows it, its name if no other key has the
same name, or the file of the public key.`,
		Example: `  relcheck key revoke release+1a2b3c4d`,
	}, func(ctx context.Context, s *db.Store, args []string) error {
		keys, err := s.TrustedKeys(ctx)
		if err != nil {
			return err
		}
		k, err := findKey(keys, args[0])
		if err != nil {
			return err
		}
		return streams.done(s.RevokeKey(ctx, k.Key, time.Now()), "revoked key %s", k.ID())
	})
}

// findKey returns the key with an ID, a name, or a file.
func findKey(keys []db.TrustedKey, text string) (db.TrustedKey, error) {
	var found []db.TrustedKey
	fromFile, _, _ := readPublicKey(text)
	for _, k := range keys {
		id := k.ID()
		if id == text || k.Key == text || k.Key == fromFile {
			return k, nil
		}
		if name, _, _ := strings.Cut(id, "+"); name == text {
			found = append(found, k)
		}
	}
	switch len(found) {
	case 0:
		return db.TrustedKey{}, fmt.Errorf("key %s: %w; list the keys with relcheck key list", text, db.ErrNotFound)
	case 1:
		return found[0], nil
	}
	return db.TrustedKey{}, fmt.Errorf("%d keys have the name %s: give the key as relcheck key list shows it", len(found), text)
}

// writeKeys writes a key and its public key to new files. It writes the public key first,
// because a secret key is useless without it.
func writeKeys(file, secret, public string) error {
	if err := writeNew(file+publicSuffix, public+"\n", 0o644); err != nil {
		return err
	}
	err := writeNew(file, secret+"\n", 0o600)
	if err != nil {
		os.Remove(file + publicSuffix)
	}
	return err
}

// writeNew writes a new file, completely or not at all.
func writeNew(name, text string, mode fs.FileMode) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("write %s: the file already exists and was not changed: choose another name", name)
	}
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		os.Remove(name)
	}
	return err
}

// readKey reads the text of a key from a file.
func readKey(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 4<<10))
	return string(text), err
}

func readPublicKey(file string) (string, note.Verifier, error) {
	text, err := readKey(file)
	if err != nil {
		return "", nil, err
	}
	v, err := bundle.ParsePublicKey(text)
	if err != nil {
		return "", nil, fmt.Errorf("%s: %w", file, err)
	}
	return strings.TrimSpace(text), v, nil
}

// readSecretKey reads a key that signs bundles. It warns if other users can read the file.
func readSecretKey(file string, w io.Writer) (note.Signer, note.Verifier, error) {
	text, err := readKey(file)
	if err != nil {
		return nil, nil, err
	}
	s, v, err := bundle.ParseSecretKey(text)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", file, err)
	}
	if info, err := os.Stat(file); err == nil && info.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows" {
		fmt.Fprintf(w, "other users can read the secret key: change that with chmod 600 %s\n", file)
	}
	return s, v, nil
}
