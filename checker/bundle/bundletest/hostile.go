// Package bundletest makes bundles that must be refused.
package bundletest

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/mod/sumdb/note"
)

// Foreign is the name of the bundle that a foreign key has signed. All other hostile
// bundles are invalid.
const Foreign = "a foreign key"

// The format of a bundle.
const (
	firstLine   = "relcheck bundle 1"
	created     = "2026-11-28T12:00:00Z"
	noteName    = "note"
	indexName   = "index"
	contentName = "sha256/"
	maxLine     = 8 << 20
)

func sumOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
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
	text := fmt.Sprintf("%s\nstore s\ncreated %s\nindex %d %s\n", firstLine, created, len(index), sumOf(index))
	if change != nil {
		text = change(text)
	}
	n, err := note.Sign(&note.Note{Text: text}, k)
	if err != nil {
		t.Fatal(err)
	}
	return named(noteName, string(n))
}

// Lines of an index.
func content(sum string, size int) string {
	return fmt.Sprintf(`{"content":{"sha256":%q,"size":%d}}`, sum, size) + "\n"
}

func product(name string) string {
	return fmt.Sprintf(`{"product":{"name":%q,"sequence":1}}`, name) + "\n"
}

func release(tag, layer string) string {
	return fmt.Sprintf(`{"release":{"tag":%q,"layer":%s}}`, tag, layer) + "\n"
}

func file(name, sum string, size int) string {
	return product("opa") + fmt.Sprintf(`{"release":{"tag":"v1.0.0","layer":{},"files":[{"name":%q,"sha256":%q,"size":%d}]}}`, name, sum, size) + "\n"
}

// bomb returns the start of a bundle whose part with the name has 4 GB of zeros.
func bomb(t testing.TB, key note.Signer, index, name string) []byte {
	var b bytes.Buffer
	z, _ := zstd.NewWriter(&b)
	w := tar.NewWriter(z)
	n := signed(t, key, index, nil)
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

// hostileNotes returns bundles whose archive or note is hostile.
func hostileNotes(t testing.TB, key, foreign note.Signer) map[string][]byte {
	noteOnly := func(change func(string) string) []byte {
		return pack(t, signed(t, key, "", change), named(indexName, ""))
	}
	replace := func(old, new string) []byte {
		return noteOnly(func(text string) string { return strings.Replace(text, old, new, 1) })
	}
	return map[string][]byte{
		"empty":                     nil,
		"not zstd":                  []byte("PK\x03\x04 a zip file, for example"),
		"empty archive":             pack(t),
		"no note":                   pack(t, named(indexName, "")),
		"only a note":               pack(t, signed(t, key, "", nil)),
		"a note of 5 KB":            pack(t, named(noteName, strings.Repeat("n", 5<<10)), named(indexName, "")),
		"a note that is not signed": pack(t, named(noteName, firstLine+"\n"), named(indexName, "")),
		Foreign:                     pack(t, signed(t, foreign, "", nil), named(indexName, "")),
		"a changed note":            pack(t, named(noteName, strings.Replace(signed(t, key, "", nil).text, "store s", "store t", 1)), named(indexName, "")),
		"a note as a link":          pack(t, part{tar.Header{Name: noteName, Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}, ""}),
		"another version":           replace("bundle 1", "bundle 2"),
		"no store":                  replace("store s\n", ""),
		"no time":                   replace("created "+created+"\n", ""),
		"a wrong time":              replace("2026-11-28T", "2026-13-28T"),
		"a time in another form":    replace("2026-11-28T12:00:00Z", "2026-11-28T13:00:00+01:00"),
		"no index in the note":      noteOnly(func(text string) string { return text[:strings.Index(text, "index")] }),
		"an unknown line":           noteOnly(func(text string) string { return text + "extra 1\n" }),
		"a line twice":              noteOnly(func(text string) string { return text + "store s\n" }),
		"a negative index":          replace("index 0", "index -1"),
		"a gigantic index":          replace("index 0", "index 99999999999999"),
		"a base that is no ID":      replace("index", "base x\nindex"),
		"index of another length":   pack(t, signed(t, key, "", nil), named(indexName, "x")),
		"another index":             pack(t, signed(t, key, product("opa"), nil), named(indexName, product("abc"))),
		"an index as a folder":      pack(t, signed(t, key, "", nil), part{tar.Header{Name: indexName, Typeflag: tar.TypeDir}, ""}),
	}
}

// Hostile returns a valid bundle, and hostile bundles by their names, which describe the
// fault.
func Hostile(t testing.TB, key, foreign note.Signer) (good []byte, hostile map[string][]byte) {
	t.Helper()
	one, two := sumOf("one"), sumOf("two")
	files := map[string]string{one: "one", two: "two"}
	if one > two {
		one, two = two, one
	}
	body := func(sum string) part { return named(contentName+sum, files[sum]) }
	with := func(index string, parts ...part) []byte {
		if strings.HasPrefix(index, `{"content"`) {
			index = product("opa") + index
		}
		return pack(t, append([]part{signed(t, key, index, nil), named(indexName, index)}, parts...)...)
	}
	good = with(file("app", one, 3)+content(one, 3)+content(two, 3), body(one), body(two))
	hostile = hostileNotes(t, key, foreign)
	maps.Copy(hostile, map[string][]byte{
		"not JSON":                     with("x\n"),
		"an unknown kind":              with(`{"template":{}}` + "\n"),
		"a key twice":                  with(`{"product":{"name":"opa","name":"app","sequence":1}}` + "\n"),
		"a release without a product":  with(release("v1.0.0", "{}")),
		"a release twice":              with(product("opa") + release("v1.0.0", "{}") + release("v1.0.0", "{}")),
		"a product twice":              with(product("opa") + product("opa")),
		"a product without sequence":   with(`{"product":{"name":"opa"}}` + "\n"),
		"a template":                   with(`{"product":{"name":"opa","sequence":1,"fields":{"download":"https://example.com/{tag}"}}}` + "\n"),
		"a policy of the operator":     with(`{"product":{"name":"opa","sequence":1,"fields":{"min_age":"1h"}}}` + "\n"),
		"a field of a wrong value":     with(`{"product":{"name":"opa","sequence":1,"fields":{"match":"<<"}}}` + "\n"),
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
		"a bomb as the note":           bomb(t, key, "", noteName),
		"a bomb as the index":          bomb(t, key, "", indexName),
		"a bomb as a content":          bomb(t, key, product("opa")+content(one, 3), contentName+one),
	})
	return good, hostile
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
