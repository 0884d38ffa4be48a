package systemtest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"relcheck/checker/bundle"
	"relcheck/checker/bundle/bundletest"
	"relcheck/checker/command"
)

// signer returns the key in a file.
func (n closedNetwork) signer(file string) note.Signer {
	n.Helper()
	text, err := os.ReadFile(n.path(file))
	if err != nil {
		n.Fatal(err)
	}
	s, _, err := bundle.ParseSecretKey(string(text))
	if err != nil {
		n.Fatal(err)
	}
	return s
}

// bundleOf returns a bundle, by default of a store "s", with a release of a product and a file.
func (n closedNetwork) bundleOf(key string, h bundle.Header, product string, sequence int64) []byte {
	n.Helper()
	content := "file of sequence " + h.Base
	sum := sha256.Sum256([]byte(content))
	hash := hex.EncodeToString(sum[:])
	if h.Store = cmp.Or(h.Store, "s"); h.Created.IsZero() {
		h.Created = time.Now().Add(-time.Hour)
	}
	w, err := bundle.NewWriter()
	if err != nil {
		n.Fatal(err)
	}
	defer w.Close()
	var b bytes.Buffer
	err = errors.Join(w.Product(&bundle.Product{Name: product, Sequence: sequence}),
		w.Release(&bundle.Release{Tag: "v1.0.0", Files: []bundle.File{{Name: "app", SHA256: hash, Size: int64(len(content))}}}))
	if err == nil {
		_, err = w.Write(&b, h, n.signer(key), []bundle.Content{{SHA256: hash, Size: int64(len(content)), InBase: h.Base != ""}},
			func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(content)), nil })
	}
	if err != nil {
		n.Fatal(err)
	}
	return b.Bytes()
}

// run runs a command in this process, and returns its exit status and standard error.
func run(args ...string) (status int, stderr string) {
	var errs bytes.Buffer
	status = command.Run(context.Background(), args, command.IO{Schema: readSchema(), In: strings.NewReader(""), Out: io.Discard, Err: &errs})
	return status, errs.String()
}

// Bundles that must not be applied are refused with the reason, and change nothing.
func TestHostileBundles(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) {
		n := closedNetwork{t, t.TempDir()}
		testHostileBundles(t, n, n.path("inside.db"), true)
	})
	t.Run("PostgreSQL", func(t *testing.T) { testHostileBundles(t, closedNetwork{t, t.TempDir()}, database(t), false) })
}

// testHostileBundles applies bundles to a store. It sets all for damaged bundles, which are
// refused before the store is read.
func testHostileBundles(t *testing.T, n closedNetwork, store string, all bool) {
	for _, key := range []string{"key", "foreign", "other", "revoked"} {
		n.relcheck("key", "generate", "@"+key)
	}
	n.relcheck("key", "trust", "@key.pub", "--db", store)
	n.relcheck("key", "trust", "@other.pub", "--product", "other", "--db", store)
	n.relcheck("key", "trust", "@revoked.pub", "--db", store)
	n.relcheck("key", "revoke", "revoked", "--db", store)
	first := n.bundleOf("key", bundle.Header{}, "app", 5)
	n.write("bundle", first)
	apply := n.args([]string{"bundle", "apply", "@bundle", "--db", store, "--files", "@files"})
	if status, errs := run(apply...); status != 0 {
		t.Fatalf("a valid bundle: got status %d, %s", status, errs)
	}
	before := n.state(store, n.path("files"))

	hostile, reasons := map[string][]byte{}, map[string]string{}
	if all {
		_, hostile = bundletest.Hostile(t, n.signer("key"), n.signer("foreign"))
	}
	for name := range hostile {
		reasons[name] = "not a valid bundle: "
	}
	reasons[bundletest.Foreign] = "not signed by a trusted key, but by foreign+"
	add := func(name, reason string, text []byte) { hostile[name], reasons[name] = text, reason }
	add("an older sequence", "a newer bundle was applied before: product app has sequence number 4 in this bundle, and 5 was applied", n.bundleOf("key", bundle.Header{}, "app", 4))
	add("another bundle of the same sequence", "a newer bundle was applied before", n.bundleOf("key", bundle.Header{Expires: time.Now().Add(time.Hour)}, "app", 5))
	add("a bundle of the future", "the bundle was created at 2", n.bundleOf("key", bundle.Header{Created: time.Now().Add(25 * time.Hour)}, "app", 6))
	add("an expired bundle", "the bundle has expired at ", n.bundleOf("key", bundle.Header{Expires: time.Now().Add(-time.Minute)}, "app", 6))
	add("a wrong key", "not signed by a trusted key, but by foreign+", n.bundleOf("foreign", bundle.Header{}, "app", 6))
	add("a key of another product", "is not trusted for product app of the bundle", n.bundleOf("other", bundle.Header{}, "app", 6))
	add("a revoked key", ", which was revoked on ", n.bundleOf("revoked", bundle.Header{}, "app", 6))
	add("without its base", "1 file of its base, bundle 000000000000, are missing in the folder", n.bundleOf("key", bundle.Header{Base: strings.Repeat("0", 64)}, "app", 6))

	t.Setenv("TMPDIR", t.TempDir())
	for name := range maps.Keys(hostile) {
		n.write("bundle", hostile[name])
		status, errs := run(apply...)
		if status != 1 || !strings.Contains(errs, reasons[name]) {
			t.Errorf("%s: got status %d and %q, want status 1 and %q", name, status, errs, reasons[name])
		}
		if got := n.state(store, n.path("files")); got != before {
			t.Errorf("%s: got a changed store or folder:\n%s\nwant\n%s", name, got, before)
		}
		if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
			t.Errorf("%s: got temporary files %v (error %v), want none", name, left, err)
		}
	}
	n.write("bundle", first)
	if status, errs := run(apply...); status != 0 || !strings.Contains(errs, "nothing has changed") {
		t.Errorf("the same bundle again: got status %d and %q, want that nothing has changed", status, errs)
	}
	n.write("bundle", n.bundleOf("other", bundle.Header{}, "other", 1))
	if status, errs := run(apply...); status != 0 {
		t.Errorf("a bundle of another product by its key: got status %d and %q, want 0", status, errs)
	}
	n.write("bundle", n.bundleOf("key", bundle.Header{Store: "t"}, "app", 3))
	if status, errs := run(apply...); status != 0 || !strings.Contains(errs, "warning: product app: a newer bundle of another store, s, was applied at ") {
		t.Errorf("an older bundle of another store: got status %d and %q, want a warning", status, errs)
	}
}
