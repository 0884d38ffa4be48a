package bundle

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"

	"relcheck/checker/bundle/bundletest"
	"relcheck/checker/catalog"
)

// key is a pair of keys.
type key struct {
	note.Signer
	note.Verifier
}

func (k key) Name() string    { return k.Signer.Name() }
func (k key) KeyHash() uint32 { return k.Signer.KeyHash() }

func newKey(t testing.TB, name string) key {
	t.Helper()
	secret, public, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := note.NewSigner(secret)
	v, err2 := note.NewVerifier(public)
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	return key{s, v}
}

// files are contents by SHA-256.
type files map[string]string

func newFiles(texts ...string) files {
	f := files{}
	for _, text := range texts {
		sum := sha256.Sum256([]byte(text))
		f[hex.EncodeToString(sum[:])] = text
	}
	return f
}

func (f files) contents() (all []Content) {
	for sum, text := range f {
		all = append(all, Content{SHA256: sum, Size: int64(len(text))})
	}
	return all
}

func (f files) open(sum string) (io.ReadCloser, error) {
	text, ok := f[sum]
	if !ok {
		return nil, os.ErrNotExist
	}
	return io.NopCloser(strings.NewReader(text)), nil
}

// product is a product with its releases.
type product struct {
	Product
	Releases []Release
}

var created = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func newProduct(name string, tags ...string) product {
	p := product{Product: Product{Name: name, Sequence: 1, Fields: catalog.ProductPatch{"title": strings.ToUpper(name), "repo": "me/" + name}}}
	for _, tag := range tags {
		published := created
		p.Releases = append(p.Releases, Release{Tag: tag, Layer: catalog.Layer{Notes: new("https://example.com/" + tag), Published: &published,
			Files: []catalog.File{{Name: "app-linux-amd64.tar.gz", URL: "https://example.com/" + tag + "/app", Size: 5, SHA256: strings.Repeat("ab", 32)}}}})
	}
	return p
}

// write writes a bundle with a key.
func write(t testing.TB, k note.Signer, h Header, products []product, f files) (text []byte, id string) {
	t.Helper()
	var b bytes.Buffer
	id, err := tryWrite(&b, h, k, products, f.contents(), f.open)
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), id
}

func tryWrite(out io.Writer, h Header, k note.Signer, products []product, contents []Content, open func(string) (io.ReadCloser, error)) (id string, err error) {
	w, err := NewWriter()
	if err != nil {
		return "", err
	}
	defer w.Close()
	for _, p := range products {
		err := w.Product(&p.Product)
		for _, r := range p.Releases {
			err = errors.Join(err, w.Release(&r))
		}
		if err != nil {
			return "", err
		}
	}
	slices.SortFunc(contents, func(a, b Content) int { return strings.Compare(a.SHA256, b.SHA256) })
	return w.Write(out, h, k, contents, open)
}

// readAll reads a bundle to its end.
func readAll(text io.Reader, trusted ...note.Verifier) (r *Reader, products []product, f files, err error) {
	r, err = NewReader(text, note.VerifierList(trusted...))
	if err != nil {
		return nil, nil, nil, err
	}
	defer r.Close()
	for _, p := range r.Products {
		one := product{Product: *p}
		one.releases = 0
		for release, err := range r.Releases(p) {
			if err != nil {
				return r, nil, nil, err
			}
			again, err := r.Release(release.Offset)
			if release.Offset = 0; err != nil || !cmp.Equal(again, release) {
				return r, nil, nil, fmt.Errorf("read again: got %v (error %v), want %v", again, err, release)
			}
			one.Releases = append(one.Releases, *release)
		}
		products = append(products, one)
	}
	f = files{}
	for {
		c, content, err := r.NextContent()
		if err == io.EOF {
			return r, products, f, nil
		}
		if err != nil {
			return r, nil, nil, err
		}
		text, err := io.ReadAll(content)
		if err != nil {
			return r, nil, nil, err
		}
		f[c.SHA256] = string(text)
	}
}

func TestRoundTrip(t *testing.T) {
	k, k2 := newKey(t, "example.com"), newKey(t, "other")
	h := Header{Store: "store-1", Created: created, Expires: created.Add(time.Hour)}
	products := []product{newProduct("opa", "v1.0.0", "v1.1.0"), newProduct("empty"), newProduct("relcheck", "v0.1.0")}
	f := newFiles("a", "", strings.Repeat("large ", 100_000))
	text, id := write(t, k.Signer, h, products, f)
	r, got, contents, err := readAll(bytes.NewReader(text), k2.Verifier, k.Verifier)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(products, got, cmp.AllowUnexported(Product{})); diff != "" {
		t.Errorf("products differ: %s", diff)
	}
	if !maps.Equal(f, contents) {
		t.Errorf("got %d contents, want %d equal ones", len(contents), len(f))
	}
	if r.ID != id || r.Store != h.Store || !r.Created.Equal(h.Created) || !r.Expires.Equal(h.Expires) || r.Base != "" || len(r.Keys) != 1 || !strings.HasPrefix(r.Keys[0], "example.com+") {
		t.Errorf("got header %+v with ID %s and keys %v, want %+v with ID %s", r.Header, r.ID, r.Keys, h, id)
	}
	if r.Expired(created.Add(time.Hour)) || !r.Expired(created.Add(time.Hour+1)) {
		t.Error("got a wrong answer to whether the bundle has expired")
	}
	again, _ := write(t, k.Signer, h, products, f)
	if !bytes.Equal(text, again) {
		t.Error("the same bundle has other bytes")
	}
}

// A bundle with a base lists all contents, and omits the contents of the base.
func TestIncremental(t *testing.T) {
	k := newKey(t, "example.com")
	f := newFiles("old", "new")
	contents := f.contents()
	slices.SortFunc(contents, func(a, b Content) int { return strings.Compare(a.SHA256, b.SHA256) })
	if err := Omit(contents, func(yield func(Content, error) bool) { yield(newFiles("old").contents()[0], nil) }); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	_, err := tryWrite(&b, Header{Store: "s", Created: created, Base: strings.Repeat("0", 64)}, k.Signer, nil, contents, f.open)
	if err != nil {
		t.Fatal(err)
	}
	r, _, got, err := readAll(bytes.NewReader(b.Bytes()), k.Verifier)
	if err != nil || !maps.Equal(got, newFiles("new")) || r.Base != strings.Repeat("0", 64) {
		t.Errorf("got contents %v (error %v), want the new one", got, err)
	}
}

func TestKeys(t *testing.T) {
	secret, public, err := GenerateKey("example.com")
	if err != nil {
		t.Fatal(err)
	}
	signer, verifier, err := ParseSecretKey(secret + "\n")
	if err != nil {
		t.Fatal(err)
	}
	if v, err := ParsePublicKey(public + "\n"); err != nil || KeyID(v) != KeyID(verifier) {
		t.Errorf("got public key %v (error %v), want %s", v, err, KeyID(verifier))
	}
	text, _ := write(t, signer, Header{Store: "s", Created: created}, nil, nil)
	if _, _, _, err := readAll(bytes.NewReader(text), verifier); err != nil {
		t.Errorf("read a bundle with the public key of the secret one: %v", err)
	}
	for name, test := range map[string]struct {
		err  error
		want string
	}{
		"public key as secret one": {second(ParseSecretKey(public)), "it is a public key"},
		"secret key as public one": {first(ParsePublicKey(secret)), "it is a secret key"},
		"no secret key":            {second(ParseSecretKey("x")), "not a secret key"},
		"no public key":            {first(ParsePublicKey("")), "not a public key"},
		"name with a space":        {second(GenerateKey("a b")), "cannot be the name"},
		"name with a plus":         {second(GenerateKey("a+b")), "cannot be the name"},
		"long name":                {second(GenerateKey(strings.Repeat("a", 101))), "at most 100"},
		"no name":                  {second(GenerateKey("")), "cannot be the name"},
	} {
		if test.err == nil || !strings.Contains(test.err.Error(), test.want) {
			t.Errorf("%s: got error %v, want one with %q", name, test.err, test.want)
		}
	}
}

func first[A any](_ A, err error) error          { return err }
func second[A, B any](_ A, _ B, err error) error { return err }

func TestWriteRefuses(t *testing.T) {
	k, f := newKey(t, "example.com"), newFiles("right")
	damaged := files{}
	for sum := range f {
		damaged[sum] = "wrong"
	}
	for name, test := range map[string]struct {
		h       Header
		content files
	}{
		"no store":                 {Header{Created: created}, f},
		"no time":                  {Header{Store: "s"}, f},
		"two lines":                {Header{Store: "s\ncreated", Created: created}, f},
		"damaged":                  {Header{Store: "s", Created: created}, damaged},
		"missing":                  {Header{Store: "s", Created: created}, files{}},
		"a note that is too large": {Header{Store: strings.Repeat("s", maxNote), Created: created}, f},
	} {
		if _, err := tryWrite(io.Discard, test.h, k.Signer, nil, f.contents(), test.content.open); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
	if err := Omit(nil, func(yield func(Content, error) bool) { yield(Content{}, errors.New("cannot be read")) }); err == nil {
		t.Error("a base that cannot be read: got no error")
	}
	noSum := product{Releases: []Release{{Tag: "v1", Files: []File{{Name: "a"}}}}}
	if _, err := tryWrite(io.Discard, Header{Store: "s", Created: created}, k.Signer, []product{noSum}, nil, f.open); err == nil {
		t.Error("a file without SHA-256: got no error")
	}
}

// A changed byte causes an error or has no effect on what is read. Every truncation causes
// an error.
func TestDamage(t *testing.T) {
	k := newKey(t, "example.com")
	opa, content := newProduct("opa", "v1.0.0"), newFiles("content")
	text, id := write(t, k.Signer, Header{Store: "s", Created: created}, []product{opa}, content)
	for i := range text {
		for _, flip := range []byte{1, 0x80} {
			damaged := bytes.Clone(text)
			damaged[i] ^= flip
			r, products, f, err := readAll(bytes.NewReader(damaged), k.Verifier)
			if err == nil && (r.ID != id || !maps.Equal(f, content) || !cmp.Equal(products, []product{opa}, cmp.AllowUnexported(Product{}))) { // the mode of a file, for example, may change
				t.Errorf("byte %d of %d changed by %#x: got no error, products %v and contents %v", i, len(text), flip, products, f)
			}
		}
		if _, _, _, err := readAll(bytes.NewReader(text[:i]), k.Verifier); err == nil {
			t.Errorf("truncated to %d of %d bytes: got no error", i, len(text))
		}
	}
}

func TestHostile(t *testing.T) {
	k, foreign := newKey(t, "example.com"), newKey(t, "example.com")
	good, hostile := bundletest.Hostile(t, k.Signer, foreign.Signer)
	if _, _, _, err := readAll(bytes.NewReader(good), k.Verifier); err != nil {
		t.Fatalf("a valid bundle: %v", err)
	}
	for name, text := range hostile {
		t.Run(name, func(t *testing.T) {
			temporary := t.TempDir()
			t.Setenv("TMPDIR", temporary)
			before := allocated()
			_, _, _, err := readAll(bytes.NewReader(text), k.Verifier)
			if n := allocated() - before; n > 40<<20 {
				t.Errorf("took %d MB of memory", n>>20)
			}
			if untrusted := errors.As(err, new(*UntrustedError)); untrusted != (name == bundletest.Foreign) || untrusted == errors.Is(err, ErrInvalid) {
				t.Errorf("got error %v, want that the bundle is not valid or not trusted", err)
			}
			if left, _ := os.ReadDir(temporary); len(left) > 0 {
				t.Errorf("got temporary files %v, want none", left)
			}
		})
	}
}

// allocated returns the number of bytes allocated so far.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

func TestReleasesAndContentsCanBeLeftEarly(t *testing.T) {
	k := newKey(t, "example.com")
	text, _ := write(t, k.Signer, Header{Store: "s", Created: created}, []product{newProduct("a", "v1", "v2"), newProduct("b", "v1")}, newFiles("x", "y"))
	r, err := NewReader(bytes.NewReader(text), note.VerifierList(k.Verifier))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for release := range r.Releases(r.Products[0]) {
		if release.Tag != "v1" {
			t.Errorf("got release %s first, want v1", release.Tag)
		}
		break
	}
	if n := len(slices.Collect(maps.Keys(maps.Collect(r.Contents())))); n != 2 || r.Size.Files != 2 {
		t.Errorf("got %d contents and size %+v, want 2", n, r.Size)
	}
}
