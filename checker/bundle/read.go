package bundle

import (
	"archive/tar"
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"iter"
	"os"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/mod/sumdb/note"

	"relcheck/checker/catalog"
)

// Reader reads a bundle.
type Reader struct {
	Header
	ID   string   // identifies the bundle
	Keys []string // trusted keys that have signed it, as NAME+HASH

	compressed *zstd.Decoder
	archive    *tar.Reader
	index      *os.File // temporary
	contents   func() (Content, error, bool)
	stop       func()
}

// NewReader verifies the note and the index of a bundle. It keeps the index in a temporary
// file. If no trusted key has signed the note, it returns an [UntrustedError] and reads
// nothing else. If the bundle is not valid, the error wraps [ErrInvalid].
func NewReader(r io.Reader, trusted note.Verifiers) (_ *Reader, err error) {
	const maxWindow = 64 << 20 // bounds the memory
	d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, err
	}
	b := &Reader{compressed: d, archive: tar.NewReader(d)}
	defer func() {
		if err != nil {
			b.Close()
		}
	}()
	if err := b.readNote(trusted); err != nil {
		return nil, err
	}
	if err := b.readIndex(); err != nil {
		return nil, err
	}
	if err := b.checkIndex(); err != nil {
		return nil, err
	}
	b.contents, b.stop = iter.Pull2(b.Contents())
	return b, nil
}

// Close removes the temporary file.
func (b *Reader) Close() {
	b.compressed.Close()
	if b.stop != nil {
		b.stop()
	}
	if b.index != nil {
		b.index.Close()
		os.Remove(b.index.Name())
	}
}

// next begins the next part of the archive, which must have a name.
func (b *Reader) next(name string) (size int64, err error) {
	h, err := b.archive.Next()
	switch {
	case err == io.EOF:
		return 0, invalid("it ends before %s", name)
	case err != nil:
		return 0, invalid("read %s: %w", name, err)
	case h.Name != name || h.Typeflag != tar.TypeReg:
		return 0, invalid("it contains %.100q instead of %s", h.Name, name)
	}
	return h.Size, nil
}

func (b *Reader) readNote(trusted note.Verifiers) error {
	size, err := b.next(noteName)
	if err != nil {
		return err
	}
	if size > maxNote {
		return invalid("its note has %d bytes, more than %d", size, maxNote)
	}
	signed, err := io.ReadAll(b.archive)
	if err != nil {
		return invalid("read the note: %w", err)
	}
	n, err := openNote(signed, trusted)
	if err != nil {
		return err
	}
	h, err := parseHeader(n.Text)
	if err != nil {
		return invalid("%w", err)
	}
	b.Header, b.ID = *h, idOf(n.Text)
	for _, sig := range n.Sigs {
		b.Keys = append(b.Keys, keyID(sig.Name, sig.Hash))
	}
	return nil
}

func (b *Reader) readIndex() error {
	size, err := b.next(indexName)
	if err != nil {
		return err
	}
	if size != b.indexSize {
		return invalid("its index has %d bytes, want %d", size, b.indexSize)
	}
	if b.index, err = os.CreateTemp("", "relcheck-bundle-"); err != nil {
		return err
	}
	hash := sha256.New()
	if err := copyPart(io.MultiWriter(b.index, hash), b.archive); err != nil {
		return err
	}
	if sum := hex.EncodeToString(hash.Sum(nil)); sum != b.indexSum {
		return invalid("its index has SHA-256 %s, want %s", sum, b.indexSum)
	}
	return nil
}

// copyPart copies a part of the archive. Its error wraps [ErrInvalid] if the archive cannot
// be read, but not if w cannot be written.
func copyPart(w io.Writer, part io.Reader) error {
	var readErr error
	_, err := io.Copy(w, readerFunc(func(p []byte) (n int, err error) {
		n, err = part.Read(p)
		if err != io.EOF {
			readErr = err
		}
		return n, err
	}))
	if readErr != nil {
		return invalid("%w", readErr)
	}
	return err
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// checkIndex checks each line of the index and the order of the lines.
func (b *Reader) checkIndex() error {
	x := indexCheck{hasBase: b.Base != "", products: map[string]bool{}, files: map[string]int64{}}
	for l, err := range b.lines() {
		switch {
		case err != nil:
			return err
		case l.Product != nil:
			err = x.product(l.Product)
		case l.Release != nil:
			err = x.release(l.Release)
		case l.Content != nil:
			err = x.content(l.Content)
		}
		if err != nil {
			return err
		}
	}
	for sum := range x.files {
		return invalid("a release has a file with SHA-256 %s, which is not listed as a content", sum)
	}
	return nil
}

// indexCheck checks the lines of an index one by one.
type indexCheck struct {
	hasBase        bool
	products, tags map[string]bool  // tags belong to the last product; nil before the first
	files          map[string]int64 // sizes of files whose contents are not listed yet, by SHA-256
	last           string           // SHA-256 of the last content
}

func (x *indexCheck) product(p *Product) error {
	if x.products[p.Name] || x.last != "" || !catalog.ValidProductName(p.Name) || p.Sequence <= 0 {
		return invalid("product %.100q is listed twice, has no sequence number or is not in order", p.Name)
	}
	for field := range p.Fields {
		if !slices.Contains(Fields, field) {
			return invalid("product %s has the field %.100q, which a bundle cannot contain", p.Name, field)
		}
	}
	if _, err := p.Fields.Apply(catalog.Product{Name: p.Name}); err != nil {
		return invalid("product %s: %w", p.Name, err)
	}
	x.products[p.Name], x.tags = true, map[string]bool{}
	return nil
}

func (x *indexCheck) release(r *Release) error {
	if x.tags[r.Tag] || x.tags == nil || x.last != "" {
		return invalid("release %.100q is listed twice or is not in order", r.Tag)
	}
	x.tags[r.Tag] = true
	if err := errors.Join(catalog.CheckTag(r.Tag), r.Layer.Check()); err != nil {
		return invalid("release %.100q: %w", r.Tag, err)
	}
	name := ""
	for _, f := range r.Files {
		size, known := x.files[f.SHA256]
		if f.Name <= name || !isSum(f.SHA256) || known && size != f.Size || len(r.Files) > catalog.MaxFiles {
			return invalid("release %.100q: file %.100q is not valid or not in order", r.Tag, f.Name)
		}
		if err := (&catalog.HostedFile{Name: f.Name, URL: f.URL, SHA256: f.SHA256, SHA512: f.SHA512, Size: f.Size}).Check(); err != nil {
			return invalid("release %.100q: file %.100q: %w", r.Tag, f.Name, err)
		}
		name, x.files[f.SHA256] = f.Name, f.Size
	}
	return nil
}

func (x *indexCheck) content(c *Content) error {
	size, isFile := x.files[c.SHA256]
	if !isSum(c.SHA256) || c.SHA256 <= x.last || c.Size < 0 || isFile && size != c.Size || c.InBase && !x.hasBase {
		return invalid("content %.100q is not valid or not in order", c.SHA256)
	}
	delete(x.files, c.SHA256)
	x.last = c.SHA256
	return nil
}

// lines iterates over the index.
func (b *Reader) lines() iter.Seq2[line, error] {
	return func(yield func(line, error) bool) {
		s := bufio.NewScanner(io.NewSectionReader(b.index, 0, b.indexSize))
		s.Buffer(nil, maxLine)
		for n := 1; s.Scan(); n++ {
			var l line
			err := json.Unmarshal(s.Bytes(), &l)
			if err != nil {
				err = invalid("line %d of the index: %w", n, err)
			} else if l == (line{}) {
				err = invalid("line %d of the index is of an unknown kind: use a newer relcheck", n)
			}
			if !yield(l, err) || err != nil {
				return
			}
		}
		if err := s.Err(); err != nil {
			yield(line{}, invalid("read the index: %w", err))
		}
	}
}

// Products iterates over the products, each with all its releases.
func (b *Reader) Products() iter.Seq2[*Product, error] {
	return func(yield func(*Product, error) bool) {
		var p *Product
		for l, err := range b.lines() {
			if err != nil {
				yield(nil, err)
				return
			}
			if l.Release != nil {
				p.Releases = append(p.Releases, *l.Release)
				continue
			}
			if p != nil && !yield(p, nil) {
				return
			}
			if p = l.Product; p == nil { // contents follow
				return
			}
		}
		if p != nil {
			yield(p, nil)
		}
	}
}

// Contents iterates over the contents of files that the index lists.
func (b *Reader) Contents() iter.Seq2[Content, error] {
	return func(yield func(Content, error) bool) {
		for l, err := range b.lines() {
			if err != nil {
				yield(Content{}, err)
				return
			}
			if l.Content != nil && !yield(*l.Content, nil) {
				return
			}
		}
	}
}

// NextContent returns the next content of the archive. The content is verified only when it
// has been read to its end. After the last content, the error is io.EOF if nothing follows.
func (b *Reader) NextContent() (Content, io.Reader, error) {
	for {
		c, err, more := b.contents()
		switch {
		case err != nil:
			return c, nil, err
		case !more:
			return c, nil, b.end()
		case c.InBase:
			continue
		}
		size, err := b.next(contentName + c.SHA256)
		if err == nil && size != c.Size {
			err = invalid("%s has %d bytes, want %d", c.SHA256, size, c.Size)
		}
		return c, &verifiedReader{b.archive, sha256.New(), c.SHA256}, err
	}
}

// end returns io.EOF if the archive ends here.
func (b *Reader) end() error {
	if h, err := b.archive.Next(); err == nil {
		return invalid("it contains %.100q, which is not listed", h.Name)
	} else if err != io.EOF {
		return invalid("%w", err)
	}
	if n, err := io.ReadFull(b.compressed, make([]byte, 1)); n > 0 || err != io.EOF {
		return invalid("it contains data after its end")
	}
	return io.EOF
}

// verifiedReader returns an error instead of io.EOF if the content does not have the
// expected SHA-256.
type verifiedReader struct {
	io.Reader
	hash hash.Hash
	want string
}

func (v *verifiedReader) Read(p []byte) (int, error) {
	n, err := v.Reader.Read(p)
	v.hash.Write(p[:n])
	if err == nil {
		return n, nil
	}
	if err != io.EOF {
		return n, invalid("%w", err)
	}
	if sum := hex.EncodeToString(v.hash.Sum(nil)); sum != v.want {
		return n, invalid("content with SHA-256 %s, want %s", sum, v.want)
	}
	return n, io.EOF
}

// Expired reports whether the bundle has expired.
func (h *Header) Expired(now time.Time) bool { return !h.Expires.IsZero() && now.After(h.Expires) }
