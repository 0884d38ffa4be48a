package bundle

import (
	"archive/tar"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/mod/sumdb/note"

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

func all(products ...*Product) iter.Seq2[*Product, error] {
	return func(yield func(*Product, error) bool) {
		for _, p := range products {
			if !yield(p, nil) {
				return
			}
		}
	}
}

var created = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func newProduct(name string, tags ...string) *Product {
	p := &Product{Name: name, Sequence: 1, Fields: catalog.ProductPatch{"title": strings.ToUpper(name), "repo": "me/" + name}}
	for _, tag := range tags {
		published := created
		p.Releases = append(p.Releases, Release{Tag: tag, Layer: catalog.Layer{Notes: new("https://example.com/" + tag), Published: &published,
			Files: []catalog.File{{Name: "app-linux-amd64.tar.gz", URL: "https://example.com/" + tag + "/app", Size: 5, SHA256: strings.Repeat("ab", 32)}}}})
	}
	return p
}

// write writes a bundle with a key.
func write(t testing.TB, k note.Signer, h Header, products iter.Seq2[*Product, error], f files) (text []byte, id string) {
	t.Helper()
	var b bytes.Buffer
	id, err := Write(&b, h, k, products, f.contents(), f.open)
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), id
}

// readAll reads a bundle to its end.
func readAll(text io.Reader, trusted ...note.Verifier) (r *Reader, products []*Product, f files, err error) {
	r, err = NewReader(text, note.VerifierList(trusted...))
	if err != nil {
		return nil, nil, nil, err
	}
	defer r.Close()
	for p, err := range r.Products() {
		if err != nil {
			return r, nil, nil, err
		}
		products = append(products, p)
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
	products := []*Product{newProduct("opa", "v1.0.0", "v1.1.0"), newProduct("empty"), newProduct("relcheck", "v0.1.0")}
	f := newFiles("a", "", strings.Repeat("large ", 100_000))
	text, id := write(t, k.Signer, h, all(products...), f)
	r, got, contents, err := readAll(bytes.NewReader(text), k2.Verifier, k.Verifier)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(products, got); diff != "" {
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
	again, _ := write(t, k.Signer, h, all(products...), f)
	if !bytes.Equal(text, again) {
		t.Error("the same bundle has other bytes")
	}
}

// A bundle with a base lists all contents and leaves out those of the base.
func TestIncremental(t *testing.T) {
	k := newKey(t, "example.com")
	f := newFiles("old", "new")
	contents := f.contents()
	old := newFiles("old")
	for i, c := range contents {
		_, contents[i].InBase = old[c.SHA256]
	}
	var b bytes.Buffer
	_, err := Write(&b, Header{Store: "s", Created: created, Base: strings.Repeat("0", 64)}, k.Signer, all(), contents, f.open)
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
	text, _ := write(t, signer, Header{Store: "s", Created: created}, all(), nil)
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
		if _, err := Write(io.Discard, test.h, k.Signer, all(), f.contents(), test.content.open); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
	broken := func(yield func(*Product, error) bool) { yield(nil, errors.New("cannot be read")) }
	if _, err := Write(io.Discard, Header{Store: "s", Created: created}, k.Signer, broken, nil, f.open); err == nil {
		t.Error("products that cannot be read: got no error")
	}
}

// A changed byte is noticed before the end, or changes nothing that is read. Each truncation
// is noticed.
func TestDamage(t *testing.T) {
	k := newKey(t, "example.com")
	product, content := newProduct("opa", "v1.0.0"), newFiles("content")
	text, id := write(t, k.Signer, Header{Store: "s", Created: created}, all(product), content)
	for i := range text {
		for _, flip := range []byte{1, 0x80} {
			damaged := bytes.Clone(text)
			damaged[i] ^= flip
			r, products, f, err := readAll(bytes.NewReader(damaged), k.Verifier)
			if err == nil && (r.ID != id || !maps.Equal(f, content) || !cmp.Equal(products, []*Product{product})) { // the mode of a file, for example, may change
				t.Errorf("byte %d of %d changed by %#x: got no error, products %v and contents %v", i, len(text), flip, products, f)
			}
		}
		if _, _, _, err := readAll(bytes.NewReader(text[:i]), k.Verifier); err == nil {
			t.Errorf("truncated to %d of %d bytes: got no error", i, len(text))
		}
	}
}

// part is a part of a hostile archive.
type part struct {
	tar.Header
	text string
}

func pack(t testing.TB, parts ...part) []byte {
	t.Helper()
	var b bytes.Buffer
	z, err := zstd.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(z)
	for _, p := range parts {
		h := p.Header
		if h.Size == 0 {
			h.Size = int64(len(p.text))
		}
		if h.Typeflag == tar.TypeSymlink || h.Typeflag == tar.TypeLink || h.Typeflag == tar.TypeDir {
			h.Size = 0
		}
		h.Mode = 0o644
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := io.WriteString(w, p.text); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.Close() // an error means that a part is shorter than its size
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func named(name, text string) part { return part{tar.Header{Name: name}, text} }

// signed returns a note about an index.
func signed(t testing.TB, k note.Signer, index string, change func(text string) string) part {
	t.Helper()
	sum := sha256.Sum256([]byte(index))
	h := Header{Store: "s", Created: created, indexSize: int64(len(index)), indexSum: hex.EncodeToString(sum[:])}
	text := h.text()
	if change != nil {
		text = change(text)
	}
	n, err := note.Sign(&note.Note{Text: text}, k)
	if err != nil {
		t.Fatal(err)
	}
	return named(noteName, string(n))
}

func TestHostile(t *testing.T) {
	k, foreign := newKey(t, "example.com"), newKey(t, "example.com")
	one := newFiles("one").contents()[0].SHA256
	two := newFiles("two").contents()[0].SHA256
	if one > two {
		one, two = two, one
	}
	content := func(sum string, size int) string {
		return fmt.Sprintf(`{"content":{"sha256":%q,"size":%d}}`, sum, size) + "\n"
	}
	product := func(name string) string { return fmt.Sprintf(`{"product":{"name":%q,"sequence":1}}`, name) + "\n" }
	release := func(tag, layer string) string {
		return fmt.Sprintf(`{"release":{"tag":%q,"layer":%s}}`, tag, layer) + "\n"
	}
	file := func(name, sum string, size int) string {
		return product("opa") + fmt.Sprintf(`{"release":{"tag":"v1.0.0","layer":{},"files":[{"name":%q,"sha256":%q,"size":%d}]}}`, name, sum, size) + "\n"
	}
	files := newFiles("one", "two")
	body := func(sum string) part { return named(contentName+sum, files[sum]) }
	with := func(index string, parts ...part) []byte {
		return pack(t, append([]part{signed(t, k.Signer, index, nil), named(indexName, index)}, parts...)...)
	}
	noteOnly := func(change func(string) string) []byte {
		return pack(t, signed(t, k.Signer, "", change), named(indexName, ""))
	}
	replace := func(old, new string) []byte {
		return noteOnly(func(text string) string { return strings.Replace(text, old, new, 1) })
	}
	good := with(file("app", one, 3)+content(one, 3)+content(two, 3), body(one), body(two))
	if _, _, _, err := readAll(bytes.NewReader(good), k.Verifier); err != nil {
		t.Fatalf("a valid bundle: %v", err)
	}
	bomb := func(index string, name string) []byte { // 4 GB of zeros as one part
		var b bytes.Buffer
		z, _ := zstd.NewWriter(&b)
		w := tar.NewWriter(z)
		n := signed(t, k.Signer, index, nil)
		for _, p := range []part{n, named(indexName, index)} {
			if p.Name == name {
				break
			}
			w.WriteHeader(&tar.Header{Name: p.Name, Mode: 0o644, Size: int64(len(p.text))})
			io.WriteString(w, p.text)
		}
		w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: 4 << 30})
		io.CopyN(w, zeros{}, 64<<20)
		z.Close()
		return b.Bytes()
	}
	for name, text := range map[string][]byte{
		"empty":                        nil,
		"not zstd":                     []byte("PK\x03\x04 a zip file, for example"),
		"empty archive":                pack(t),
		"no note":                      pack(t, named(indexName, "")),
		"only a note":                  pack(t, signed(t, k.Signer, "", nil)),
		"a note of 5 KB":               pack(t, named(noteName, strings.Repeat("n", 5<<10)), named(indexName, "")),
		"a note that is not signed":    pack(t, named(noteName, firstLine+"\n"), named(indexName, "")),
		"a foreign key":                pack(t, signed(t, foreign.Signer, "", nil), named(indexName, "")),
		"a changed note":               pack(t, named(noteName, strings.Replace(signed(t, k.Signer, "", nil).text, "store s", "store t", 1)), named(indexName, "")),
		"a note as a link":             pack(t, part{tar.Header{Name: noteName, Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}, ""}),
		"another version":              replace("bundle 1", "bundle 2"),
		"no store":                     replace("store s\n", ""),
		"no time":                      replace("created "+created.Format(time.RFC3339)+"\n", ""),
		"a wrong time":                 replace("2026-11-28T", "2026-13-28T"),
		"a time in another form":       replace("2026-11-28T12:00:00Z", "2026-11-28T13:00:00+01:00"),
		"no index in the note":         noteOnly(func(text string) string { return text[:strings.Index(text, "index")] }),
		"an unknown line":              noteOnly(func(text string) string { return text + "extra 1\n" }),
		"a line twice":                 noteOnly(func(text string) string { return text + "store s\n" }),
		"a negative index":             replace("index 0", "index -1"),
		"a gigantic index":             replace("index 0", "index 99999999999999"),
		"a base that is no ID":         replace("index", "base x\nindex"),
		"index of another length":      pack(t, signed(t, k.Signer, "", nil), named(indexName, "x")),
		"another index":                pack(t, signed(t, k.Signer, product("opa"), nil), named(indexName, product("abc"))),
		"an index as a folder":         pack(t, signed(t, k.Signer, "", nil), part{tar.Header{Name: indexName, Typeflag: tar.TypeDir}, ""}),
		"not JSON":                     with("x\n"),
		"an unknown kind":              with(`{"template":{}}` + "\n"),
		"a key twice":                  with(`{"product":{"name":"opa","name":"app","sequence":1}}` + "\n"),
		"a release without a product":  with(release("v1.0.0", "{}")),
		"a release twice":              with(product("opa") + release("v1.0.0", "{}") + release("v1.0.0", "{}")),
		"a product twice":              with(product("opa") + product("opa")),
		"a product without sequence":   with(`{"product":{"name":"opa"}}` + "\n"),
		"a wrong product":              with(product("../opa")),
		"a wrong tag":                  with(product("opa") + release("v1\n0", "{}")),
		"a wrong link":                 with(product("opa") + release("v1.0.0", `{"notes":"javascript:alert(1)"}`)),
		"a file with a path":           with(product("opa") + release("v1.0.0", `{"files":[{"name":"../../etc/passwd","url":"https://example.com/"}]}`)),
		"a wrong file URL":             with(product("opa") + release("v1.0.0", `{"files":[{"name":"a","url":"file:///etc/passwd"}]}`)),
		"a hosted file with a path":    with(file("../app", one, 3)+content(one, 3), body(one)),
		"a hosted file of no size":     with(file("app", one, -1)+content(one, -1), body(one)),
		"a hosted file of no content":  with(file("app", one, 3)),
		"a file of another size":       with(file("app", one, 4)+content(one, 3), body(one)),
		"a file without a hash":        with(file("app", "", 3)+content(one, 3), body(one)),
		"a hosted file twice":          with(strings.Replace(file("app", one, 3), "files\":[", "files\":[{\"name\":\"app\",\"sha256\":\""+one+"\",\"size\":3},", 1)+content(one, 3), body(one)),
		"a product after contents":     with(content(one, 3)+product("opa"), body(one)),
		"contents not in order":        with(content(two, 3)+content(one, 3), body(two), body(one)),
		"a content twice":              with(content(one, 3)+content(one, 3), body(one), body(one)),
		"a content with a path":        with(content("../../../../etc/passwd", 3), named(contentName+"../../../../etc/passwd", "one")),
		"a negative size":              with(content(one, -1), body(one)),
		"in a base, without one":       with(`{"content":{"sha256":"` + one + `","size":3,"in_base":true}}` + "\n"),
		"a content is missing":         with(content(one, 3)+content(two, 3), body(one)),
		"another content":              with(content(one, 3), named(contentName+one, "xxx")),
		"a content of another size":    with(content(one, 4), body(one)),
		"a content under a path":       with(content(one, 3), named("/"+contentName+one, files[one])),
		"a content as a link":          with(content(one, 3), part{tar.Header{Name: contentName + one, Typeflag: tar.TypeLink, Linkname: "note"}, ""}),
		"parts in another order":       with(content(one, 3)+content(two, 3), body(two), body(one)),
		"a content that is not listed": with(content(one, 3), body(one), body(two)),
		"something after the end":      append(bytes.Clone(good), pack(t, named("more", "more"))...),
		"a line that is too long":      with(`{"product":"` + strings.Repeat("x", maxLine) + `"}` + "\n"),
		"a gigantic name":              gigantic(t, 'L'),
		"gigantic attributes":          gigantic(t, 'x'),
		"a bomb as the note":           bomb("", noteName),
		"a bomb as the index":          bomb("", indexName),
		"a bomb as a content":          bomb(content(one, 3), contentName+one),
	} {
		t.Run(name, func(t *testing.T) {
			temporary := t.TempDir()
			t.Setenv("TMPDIR", temporary)
			before := allocated()
			_, _, _, err := readAll(bytes.NewReader(text), k.Verifier)
			if n := allocated() - before; n > 40<<20 {
				t.Errorf("took %d MB of memory", n>>20)
			}
			if untrusted := errors.As(err, new(*UntrustedError)); untrusted != (name == "a foreign key") || untrusted == errors.Is(err, ErrInvalid) {
				t.Errorf("got error %v, want that the bundle is not valid or not trusted", err)
			}
			if left, _ := os.ReadDir(temporary); len(left) > 0 {
				t.Errorf("got temporary files %v, want none", left)
			}
		})
	}
}

// gigantic returns an archive with an extended header of 64 MB.
func gigantic(t testing.TB, kind byte) []byte {
	t.Helper()
	const size = 64 << 20
	var header bytes.Buffer
	if err := tar.NewWriter(&header).WriteHeader(&tar.Header{Name: "x", Mode: 0o644, Size: size, Format: tar.FormatUSTAR}); err != nil {
		t.Fatal(err)
	}
	block := header.Bytes()
	block[156] = kind
	copy(block[148:156], "        ") // the checksum is computed with spaces in its place
	sum := 0
	for _, b := range block {
		sum += int(b)
	}
	copy(block[148:156], fmt.Sprintf("%06o\x00 ", sum))
	var b bytes.Buffer
	z, err := zstd.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	z.Write(block)
	io.CopyN(z, zeros{}, size)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// zeros is an endless file of zeros.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// allocated returns the number of bytes that were allocated so far.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

func TestProductsAndContentsCanBeLeftEarly(t *testing.T) {
	k := newKey(t, "example.com")
	text, _ := write(t, k.Signer, Header{Store: "s", Created: created}, all(newProduct("a", "v1"), newProduct("b", "v1")), newFiles("x", "y"))
	r, err := NewReader(bytes.NewReader(text), note.VerifierList(k.Verifier))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for p := range r.Products() {
		if p.Name != "a" {
			t.Errorf("got product %s first, want a", p.Name)
		}
		break
	}
	if n := len(slices.Collect(maps.Keys(maps.Collect(r.Contents())))); n != 2 {
		t.Errorf("got %d contents, want 2", n)
	}
}
