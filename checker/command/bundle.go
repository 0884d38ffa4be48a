package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"

	"relcheck/checker/bundle"
	"relcheck/checker/stats"
	"relcheck/db"
)

func bundleCommand(streams IO) *cobra.Command {
	return group("bundle", "Carry releases and files into a closed network.", `
  relcheck bundle create opa.bundle --product opa --latest 2 --files /srv/relcheck --key release.key
  relcheck bundle inspect opa.bundle
  relcheck bundle apply opa.bundle --files /srv/relcheck`,
		bundleCreate(streams), bundleInspect(streams), bundleApply(streams))
}

// shortID returns the beginning of the ID of a bundle, which people can compare.
func shortID(id string) string { return id[:min(len(id), 12)] }

// storeID returns the ID of a store as it is written in bundles and names of backups.
func storeID(ctx context.Context, s *db.Store) (string, error) {
	id, err := s.ID(ctx)
	return fmt.Sprintf("%016x", id), err
}

// trustedKeys are the keys that a store trusts, and its revoked keys.
type trustedKeys struct {
	verifiers []note.Verifier
	scopes    map[string][]string  // of the trusted keys, by ID; empty for all products
	revoked   map[string]time.Time // by ID
}

func readTrustedKeys(ctx context.Context, s *db.Store) (t trustedKeys, err error) {
	t.scopes, t.revoked = map[string][]string{}, map[string]time.Time{}
	all, err := s.TrustedKeys(ctx)
	for _, k := range all {
		v, err := bundle.ParsePublicKey(k.Key)
		switch {
		case err != nil: // the key is from a newer relcheck
		case k.Revoked.IsZero():
			t.verifiers = append(t.verifiers, v)
			t.scopes[bundle.KeyID(v)] = k.Products
		default:
			t.revoked[bundle.KeyID(v)] = k.Revoked
		}
	}
	return t, err
}

// allow returns an error if none of the keys of a bundle may sign a product.
func (t trustedKeys) allow(keys []string, product string) error {
	for _, key := range keys {
		if scope := t.scopes[key]; len(scope) == 0 || slices.Contains(scope, product) {
			return nil
		}
	}
	key := strings.Join(keys, ", ")
	return fmt.Errorf("key %s is not trusted for product %s of the bundle: trust it with relcheck key trust, or create a bundle without the product", key, product)
}

// explain adds advice to an error about the signature of a bundle.
func (t trustedKeys) explain(err error) error {
	untrusted := new(bundle.UntrustedError)
	if !errors.As(err, &untrusted) {
		return err
	}
	for _, key := range untrusted.Keys {
		if at, ok := t.revoked[key]; ok {
			return fmt.Errorf("%w, which was revoked on %s", err, at.Format(time.DateOnly))
		}
	}
	if len(t.verifiers) == 0 {
		return fmt.Errorf("%w, and this store trusts no key: trust one with relcheck key trust", err)
	}
	return fmt.Errorf("%w: if you know the key, trust it with relcheck key trust", err)
}

// openBundle opens a bundle. The caller must close it.
func openBundle(r io.Reader, t trustedKeys) (*bundle.Reader, error) {
	b, err := bundle.NewReader(r, note.VerifierList(t.verifiers...))
	return b, t.explain(err)
}

// bundleSize counts the contents of a bundle.
type bundleSize struct {
	files, left int64 // number of contents, and of omitted contents
	size        int64 // of the contents in the bundle
}

func (n bundleSize) String() string {
	text := fmt.Sprintf("%s, %s", count(n.files-n.left, "file"), stats.ShowBytes(float64(n.size)))
	if n.left > 0 {
		text += fmt.Sprintf(", without %d of its base", n.left)
	}
	return text
}

func (n *bundleSize) add(c bundle.Content) {
	if n.files++; c.InBase {
		n.left++
	} else {
		n.size += c.Size
	}
}

func sizeOfBundle(b *bundle.Reader) (n bundleSize, err error) {
	for c, err := range b.Contents() {
		if err != nil {
			return n, err
		}
		n.add(c)
	}
	return n, nil
}

// verifyContents reads the contents of a bundle to its end.
func verifyContents(ctx context.Context, b *bundle.Reader) error {
	buffer := make([]byte, 256<<10)
	for {
		_, r, err := b.NextContent()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			_, err = io.CopyBuffer(io.Discard, onlyReader{contextReader{ctx, r}}, buffer)
		}
		if err != nil {
			return err
		}
	}
}

// onlyReader hides the other methods of a reader.
type onlyReader struct{ io.Reader }

// contextReader is a reader that fails when its context is done.
type contextReader struct {
	ctx context.Context
	io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.Reader.Read(p)
}
