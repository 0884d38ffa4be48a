package bundle

import (
	"archive/tar"
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"os"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/mod/sumdb/note"
)

// Writer writes a bundle. It keeps the index in a temporary file.
type Writer struct {
	index *os.File // temporary
	lines *bufio.Writer
	hash  hash.Hash
	size  int64
	files contentSet
}

// NewWriter begins a bundle. The caller adds the products, each followed by its releases,
// and then calls [Writer.Write]. It must close the writer.
func NewWriter() (*Writer, error) {
	index, err := os.CreateTemp("", "relcheck-bundle-")
	if err != nil {
		return nil, err
	}
	w := &Writer{index: index, hash: sha256.New()}
	w.lines = bufio.NewWriter(io.MultiWriter(index, w.hash))
	return w, nil
}

// Close removes the temporary file.
func (w *Writer) Close() {
	w.index.Close()
	os.Remove(w.index.Name())
}

// Product adds a product.
func (w *Writer) Product(p *Product) error { return w.add(line{Product: p}) }

// Release adds a release of the last product.
func (w *Writer) Release(r *Release) error {
	for _, f := range r.Files {
		if !w.files.add(f.SHA256, f.Size) {
			return fmt.Errorf("release %s: file %s has no SHA-256", r.Tag, f.Name)
		}
	}
	return w.add(line{Release: r})
}

func (w *Writer) add(l line) error {
	text, err := json.Marshal(l, json.Deterministic(true))
	if err != nil {
		return err
	}
	text = append(text, '\n')
	w.size += int64(len(text))
	_, err = w.lines.Write(text)
	return err
}

// Contents returns the contents of the files of all releases, sorted by SHA-256.
func (w *Writer) Contents() []Content {
	w.files.sort()
	contents := make([]Content, len(w.files))
	for i, c := range w.files {
		contents[i] = c.content()
	}
	return contents
}

// Omit sets InBase of the contents that the base lists. Both must be sorted by SHA-256.
func Omit(contents []Content, base iter.Seq2[Content, error]) error {
	for c, err := range base {
		if err != nil {
			return err
		}
		i, found := slices.BinarySearchFunc(contents, c, func(a, b Content) int { return strings.Compare(a.SHA256, b.SHA256) })
		if found {
			contents[i].InBase = true
		}
	}
	return nil
}

// Write writes the bundle and returns its ID. See [Writer.Contents] for its contents.
// open opens a content, which must have the listed size.
func (w *Writer) Write(out io.Writer, h Header, key note.Signer, contents []Content, open func(sum string) (io.ReadCloser, error)) (id string, err error) {
	for i := range contents {
		if err := w.add(line{Content: &contents[i]}); err != nil {
			return "", err
		}
	}
	if err := w.lines.Flush(); err != nil {
		return "", err
	}
	if _, err := w.index.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	h.indexSize, h.indexSum = w.size, hex.EncodeToString(w.hash.Sum(nil))
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
	compressed, err := zstd.NewWriter(out, zstd.WithWindowSize(maxWindow))
	if err != nil {
		return "", err
	}
	a := archiveWriter{tar.NewWriter(compressed), make([]byte, bufferSize)}
	err = errors.Join(a.add(noteName, int64(len(signed)), strings.NewReader(string(signed))), a.add(indexName, h.indexSize, w.index))
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

type archiveWriter struct {
	*tar.Writer
	buffer []byte
}

func (a archiveWriter) add(name string, size int64, r io.Reader) error {
	if err := a.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: size}); err != nil {
		return err
	}
	n, err := io.CopyBuffer(onlyWriter{a}, onlyReader{r}, a.buffer)
	if err == nil && n < size {
		err = fmt.Errorf("%s has %d bytes, want %d", name, n, size)
	}
	return err
}

// onlyReader and onlyWriter hide methods that would copy with a small buffer.
type (
	onlyReader struct{ io.Reader }
	onlyWriter struct{ io.Writer }
)

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
