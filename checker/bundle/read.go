package bundle

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"iter"
	"os"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/mod/sumdb/note"
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
