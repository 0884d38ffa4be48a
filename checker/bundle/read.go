package bundle

import (
	"archive/tar"
	"bufio"
	"bytes"
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
	ID       string     // identifies the bundle
	Keys     []string   // trusted keys that have signed it, as NAME+HASH
	Products []*Product // in the order of the index
	Size     Size

	compressed  *zstd.Decoder
	archive     *tar.Reader
	buffer      []byte
	index       *os.File // temporary
	contentsAt  int64    // offset of the contents in the index
	nextContent func() (Content, error, bool)
	stop        func()
}

// Size counts the contents of a bundle.
type Size struct {
	Files   int64
	Omitted int64 // because the base contains them
	Bytes   int64 // of the contents in the bundle
}

// Add counts a content.
func (n *Size) Add(c Content) {
	if n.Files++; c.InBase {
		n.Omitted++
	} else {
		n.Bytes += c.Size
	}
}

// maxWindow is the size of the window of the compression, in bytes. It bounds the memory that
// an unsigned file takes.
const maxWindow = 8 << 20

// bufferSize is the size of buffers for contents, in bytes.
const bufferSize = 256 << 10

// NewReader verifies the note and the index of a bundle. It keeps the index in a temporary
// file. If no trusted key has signed the note, it returns an [UntrustedError] and reads
// nothing else. If the bundle is not valid, the error wraps [ErrInvalid].
func NewReader(r io.Reader, trusted note.Verifiers) (_ *Reader, err error) {
	d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(2), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, err
	}
	b := &Reader{compressed: d, archive: tar.NewReader(d), buffer: make([]byte, bufferSize)}
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
	b.nextContent, b.stop = iter.Pull2(b.Contents())
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
	_, err = io.Copy(b.index, b.part(indexName, b.indexSum))
	return err
}

// checkIndex checks each line of the index and the order of the lines.
func (b *Reader) checkIndex() error {
	x := indexCheck{hasBase: b.Base != "", products: map[string]bool{}}
	b.contentsAt = b.indexSize
	for l, err := range b.lines(0) {
		switch {
		case err != nil:
			return err
		case l.Product != nil:
			l.Product.releases = l.end
			b.Products = append(b.Products, l.Product)
			err = x.product(l.Product)
		case l.Release != nil:
			err = x.release(l.Release)
		case l.Content != nil:
			if x.last == "" {
				b.contentsAt = l.offset
				x.files.sort()
			}
			b.Size.Add(*l.Content)
			err = x.content(l.Content)
		}
		if err != nil {
			return err
		}
	}
	if len(x.files) > 0 {
		return x.notListed()
	}
	return nil
}

// indexCheck checks the lines of an index one by one.
type indexCheck struct {
	hasBase        bool
	products, tags map[string]bool // tags belong to the last product; nil before the first
	files          contentSet      // files whose contents are not listed yet
	last           string          // SHA-256 of the last content
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
		if f.Name <= name || !x.files.add(f.SHA256, f.Size) || len(r.Files) > catalog.MaxFiles {
			return invalid("release %.100q: file %.100q is not valid or not in order", r.Tag, f.Name)
		}
		if err := (&catalog.HostedFile{Name: f.Name, URL: f.URL, SHA256: f.SHA256, SHA512: f.SHA512, Size: f.Size}).Check(); err != nil {
			return invalid("release %.100q: file %.100q: %w", r.Tag, f.Name, err)
		}
		name = f.Name
	}
	return nil
}

func (x *indexCheck) content(c *Content) error {
	var one contentSet
	if c.SHA256 <= x.last || !one.add(c.SHA256, c.Size) || c.Size < 0 || c.InBase && !x.hasBase {
		return invalid("content %.100q is not valid or not in order", c.SHA256)
	}
	x.last = c.SHA256
	if len(x.files) > 0 {
		switch order := bytes.Compare(x.files[0].sum[:], one[0].sum[:]); {
		case order < 0:
			return x.notListed()
		case order == 0 && x.files[0] != one[0]:
			return invalid("content %s has %d bytes, and its file %d", c.SHA256, c.Size, x.files[0].size)
		case order == 0:
			x.files = x.files[1:]
		}
	}
	return nil
}

// notListed returns an error about a file whose content is not listed.
func (x *indexCheck) notListed() error {
	return invalid("a release has a file with SHA-256 %x, which is not listed as a content", x.files[0].sum)
}

// indexLine is a line at an offset in the index.
type indexLine struct {
	line
	offset, end int64
}

// lines iterates over the index, from an offset on.
func (b *Reader) lines(offset int64) iter.Seq2[indexLine, error] {
	return func(yield func(indexLine, error) bool) {
		s := bufio.NewScanner(io.NewSectionReader(b.index, offset, b.indexSize-offset))
		s.Buffer(make([]byte, 0, bufferSize), maxLine)
		s.Split(splitLines)
		for s.Scan() {
			l := indexLine{offset: offset, end: offset + int64(len(s.Bytes())) + 1}
			offset = l.end
			err := json.Unmarshal(s.Bytes(), &l.line)
			if err != nil {
				err = invalid("the index at byte %d: %w", l.offset, err)
			} else if l.line == (line{}) {
				err = invalid("the index at byte %d is of an unknown kind: use a newer relcheck", l.offset)
			}
			if !yield(l, err) || err != nil {
				return
			}
		}
		if err := s.Err(); err != nil {
			yield(indexLine{}, invalid("read the index: %w", err))
		}
	}
}

// splitLines is like [bufio.ScanLines], but it removes no carriage return, so that the lengths
// of the lines are right.
func splitLines(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

// Releases iterates over the releases of a product.
func (b *Reader) Releases(p *Product) iter.Seq2[*Release, error] {
	return func(yield func(*Release, error) bool) {
		for l, err := range b.lines(p.releases) {
			if err == nil && l.Release == nil {
				return
			}
			if l.Release != nil {
				l.Release.Offset = l.offset
			}
			if !yield(l.Release, err) {
				return
			}
		}
	}
}

// Release reads a release again, by its offset.
func (b *Reader) Release(offset int64) (*Release, error) {
	for l, err := range b.lines(offset) {
		return l.Release, err
	}
	return nil, io.ErrUnexpectedEOF
}

// Contents iterates over the contents of files that the index lists.
func (b *Reader) Contents() iter.Seq2[Content, error] {
	return func(yield func(Content, error) bool) {
		for l, err := range b.lines(b.contentsAt) {
			if err != nil {
				yield(Content{}, err)
				return
			}
			if !yield(*l.Content, nil) {
				return
			}
		}
	}
}

// NextContent returns the next content of the archive. The content is verified only when it
// has been read to its end. After the last content, the error is io.EOF if nothing follows.
func (b *Reader) NextContent() (Content, io.Reader, error) {
	for {
		c, err, more := b.nextContent()
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
		return c, b.part(contentName+c.SHA256, c.SHA256), err
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

// part returns a reader of the current part, which must have a SHA-256.
func (b *Reader) part(name, sum string) io.Reader {
	return &partReader{b.archive, sha256.New(), name, sum, b.buffer}
}

// partReader reads a part of the archive. At its end, it returns an error instead of io.EOF
// if the part does not have the expected SHA-256.
type partReader struct {
	io.Reader
	hash       hash.Hash
	name, want string
	buffer     []byte
}

func (r *partReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.hash.Write(p[:n])
	if err == nil {
		return n, nil
	}
	if err != io.EOF {
		return n, invalid("read %s: %w", r.name, err)
	}
	if sum := hex.EncodeToString(r.hash.Sum(nil)); sum != r.want {
		return n, invalid("%s has SHA-256 %s, want %s", r.name, sum, r.want)
	}
	return n, io.EOF
}

// WriteTo implements [io.WriterTo], so that [io.Copy] uses a large buffer.
func (r *partReader) WriteTo(w io.Writer) (int64, error) {
	return io.CopyBuffer(onlyWriter{w}, onlyReader{r}, r.buffer)
}

// Expired reports whether the bundle has expired.
func (h *Header) Expired(now time.Time) bool { return !h.Expires.IsZero() && now.After(h.Expires) }
