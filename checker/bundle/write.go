package bundle

import (
	"archive/tar"
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/mod/sumdb/note"
)

// Write writes a bundle and returns its ID. It keeps the index in a temporary file, and at
// most one product in memory. open opens a content, which must have the listed size.
func Write(w io.Writer, h Header, key note.Signer, products iter.Seq2[*Product, error], contents []Content,
	open func(sum string) (io.ReadCloser, error)) (id string, err error) {
	index, err := os.CreateTemp("", "relcheck-bundle-")
	if err != nil {
		return "", err
	}
	defer os.Remove(index.Name())
	defer index.Close()
	contents = slices.SortedFunc(slices.Values(contents), func(a, b Content) int { return strings.Compare(a.SHA256, b.SHA256) })
	contents = slices.CompactFunc(contents, func(a, b Content) bool { return a.SHA256 == b.SHA256 })
	if h.indexSize, h.indexSum, err = writeIndex(index, products, contents); err != nil {
		return "", err
	}
	if _, err := index.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	text := h.text()
	if _, err := parseHeader(text); err != nil {
		return "", err
	}
	signed, err := note.Sign(&note.Note{Text: text}, key)
	if err != nil {
		return "", err
	}
	if len(signed) > maxNote {
		return "", fmt.Errorf("the signed note has %d bytes, more than %d", len(signed), maxNote)
	}
	compressed, err := zstd.NewWriter(w)
	if err != nil {
		return "", err
	}
	a := archiveWriter{tar.NewWriter(compressed)}
	err = errors.Join(a.add(noteName, int64(len(signed)), strings.NewReader(string(signed))), a.add(indexName, h.indexSize, index))
	for _, c := range contents {
		if err == nil && !c.InBase {
			err = a.addContent(c, open)
		}
	}
	if err == nil {
		err = a.Close()
	}
	return idOf(text), errors.Join(err, compressed.Close())
}

// writeIndex writes the index and returns its size and SHA-256.
func writeIndex(w io.Writer, products iter.Seq2[*Product, error], contents []Content) (size int64, sum string, err error) {
	hash, counted := sha256.New(), new(counter)
	b := bufio.NewWriter(io.MultiWriter(w, hash, counted))
	add := func(l line) {
		if err == nil {
			err = json.MarshalWrite(b, l, json.Deterministic(true))
		}
		b.WriteByte('\n')
	}
	for p, err := range products {
		if err != nil {
			return 0, "", err
		}
		add(line{Product: p})
		for i := range p.Releases {
			add(line{Release: &p.Releases[i]})
		}
	}
	for i := range contents {
		add(line{Content: &contents[i]})
	}
	err = errors.Join(err, b.Flush())
	return counted.n, hex.EncodeToString(hash.Sum(nil)), err
}

type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}

type archiveWriter struct{ *tar.Writer }

func (a archiveWriter) add(name string, size int64, r io.Reader) error {
	if err := a.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: size}); err != nil {
		return err
	}
	n, err := io.Copy(a, r)
	if err == nil && n < size {
		err = fmt.Errorf("%s has %d bytes, want %d", name, n, size)
	}
	return err
}

// addContent adds a content and verifies it. A bundle with damaged content would be refused
// inside the closed network, where it cannot be repaired.
func (a archiveWriter) addContent(c Content, open func(sum string) (io.ReadCloser, error)) error {
	r, err := open(c.SHA256)
	if err != nil {
		return err
	}
	defer r.Close()
	hash := sha256.New()
	if err := a.add(contentName+c.SHA256, c.Size, io.TeeReader(r, hash)); err != nil {
		return err
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != c.SHA256 {
		return fmt.Errorf("file with SHA-256 %s is damaged: it has %s now", c.SHA256, got)
	}
	return nil
}
