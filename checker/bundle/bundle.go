// Package bundle writes and reads bundles: signed archives that carry releases and their
// files into a closed network, or counts out of it.
//
// A bundle is a tar archive, compressed with Zstandard, of
//
//   - note, a signed note (golang.org/x/mod/sumdb/note) of at most 4 KB, which contains
//     the length and the SHA-256 of the index;
//   - index, JSON values, one a line: each product, followed by its releases, and then the
//     contents of files with their SHA-256 and length, sorted by SHA-256;
//   - sha256/SUM, the contents, in the order of the index.
//
// The reader verifies the note before it reads the rest, and it verifies each later byte
// before it uses it. The index contains all releases of its products. Contents may be left
// out if an earlier bundle, the base, contains them.
//
// The note of a bundle of counts names a site. Its index has the counts of each product by
// period and build instead of releases, and it has no contents.
package bundle

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"relcheck/checker/catalog"
	"relcheck/checker/stats/rollup"
)

// The names of the parts of an archive.
const (
	noteName    = "note"
	indexName   = "index"
	contentName = "sha256/"
)

// Limits of a bundle, in bytes.
const (
	maxNote  = 4 << 10
	maxIndex = 4 << 30
	maxLine  = 8 << 20 // a release with a thousand files takes about 1 MB
)

// ErrInvalid is wrapped by the errors about bundles that are damaged or that this package
// did not write.
var ErrInvalid = errors.New("not a valid bundle")

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrInvalid, fmt.Errorf(format, args...))
}

// Header describes a bundle. It is the text of its note.
type Header struct {
	Store   string    // ID of the store that has created it
	Created time.Time // with a resolution of seconds
	Expires time.Time // zero if it never expires
	Base    string    // ID of the bundle that has the omitted contents, or empty
	Site    *Site     // nil if the bundle contains releases instead of counts

	indexSize int64
	indexSum  string
}

const firstLine = "relcheck bundle 1"

func (h *Header) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\nstore %s\ncreated %s\n", firstLine, h.Store, h.Created.UTC().Format(time.RFC3339))
	if !h.Expires.IsZero() {
		fmt.Fprintf(&b, "expires %s\n", h.Expires.UTC().Format(time.RFC3339))
	}
	if h.Base != "" {
		fmt.Fprintf(&b, "base %s\n", h.Base)
	}
	if h.Site != nil {
		fmt.Fprintf(&b, "site %s\nthreshold %d\nthrough %s\n", h.Site.Name, h.Site.Threshold, h.Site.Through)
	}
	fmt.Fprintf(&b, "index %d %s\n", h.indexSize, h.indexSum)
	return b.String()
}

// parseHeader parses the text of a note. Only texts that [Header.text] returns are valid.
func parseHeader(text string) (*Header, error) {
	h := new(Header)
	lines := bufio.NewScanner(strings.NewReader(text))
	if !lines.Scan() || lines.Text() != firstLine {
		return nil, fmt.Errorf("it does not begin with %q: use a newer relcheck", firstLine)
	}
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), " ")
		var err error
		switch key {
		case "store":
			h.Store = value
		case "created":
			h.Created, err = time.Parse(time.RFC3339, value)
		case "expires":
			h.Expires, err = time.Parse(time.RFC3339, value)
		case "base":
			h.Base = value
		case "site":
			h.Site = &Site{Name: value}
		case "threshold":
			if h.Site != nil {
				h.Site.Threshold, err = strconv.ParseInt(value, 10, 64)
			}
		case "through":
			if h.Site != nil {
				h.Site.Through, err = rollup.ParseDay(value)
			}
		case "index":
			size, sum, _ := strings.Cut(value, " ")
			h.indexSum = sum
			h.indexSize, err = strconv.ParseInt(size, 10, 64)
		}
		if err != nil {
			return nil, fmt.Errorf("line %.100q: %w", lines.Text(), err)
		}
	}
	switch {
	case text != h.text():
		return nil, errors.New("the note has unknown lines: use a newer relcheck")
	case h.Store == "", h.Created.IsZero(), !catalog.IsSHA256(h.indexSum), h.Base != "" && !catalog.IsSHA256(h.Base):
		return nil, errors.New("the note is incomplete")
	case h.indexSize < 0 || h.indexSize > maxIndex:
		return nil, fmt.Errorf("an index of %d bytes is too large", h.indexSize)
	case h.Site != nil:
		if err := h.Site.check(h); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// idOf returns the ID of the bundle with a note's text.
func idOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// Product is a product in a bundle.
type Product struct {
	Name string `json:"name"`

	// Sequence is higher than in all earlier bundles of the store with this product.
	Sequence int64 `json:"sequence"`

	// Base is the sequence number of the product in the base, or 0 if the base does not
	// have the product.
	Base int64 `json:"base,omitzero"`

	// Fields are the product's settings, by their names in [catalog.ProductFields]. They
	// are used if a store does not have the product. See [Fields].
	Fields catalog.ProductPatch `json:"fields,omitzero"`

	releases int64 // offset of its releases or counts in the index
}

// Fields are the names of the settings that a bundle may contain: the names of the product,
// what it answers, and the settings that decide which tags are releases. Templates, hosts
// and policies belong to the operator.
var Fields = []string{"title", "repo", "module", "tag_prefixes", "release_suffix", "match", "channels", "aliases", "dialects"}

// Release is a release in a bundle.
type Release struct {
	Tag   string        `json:"tag"`
	Layer catalog.Layer `json:"layer"`

	// Files are the files whose contents are in the bundle, sorted by name.
	Files []catalog.HostedFile `json:"files,omitzero"`

	// Offset is the place of the release in the index. See [Reader.Release].
	Offset int64 `json:"-"`
}

// Content is the content of a file.
type Content struct {
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`              // in bytes
	InBase bool   `json:"in_base,omitempty"` // omitted, because the base contains it
}

// contentSet collects contents in little memory. Bundles can have a million.
type contentSet []packedContent

type packedContent struct {
	sum  [sha256.Size]byte
	size int64
}

func (c packedContent) content() Content {
	return Content{SHA256: hex.EncodeToString(c.sum[:]), Size: c.size}
}

// add adds a content. It reports whether its SHA-256 is one.
func (s *contentSet) add(sum string, size int64) bool {
	if !catalog.IsSHA256(sum) {
		return false
	}
	c := packedContent{size: size}
	hex.Decode(c.sum[:], []byte(sum))
	*s = append(*s, c)
	return true
}

// sort sorts the contents by SHA-256, and removes repeated ones.
func (s *contentSet) sort() {
	slices.SortFunc(*s, func(a, b packedContent) int {
		return cmp.Or(bytes.Compare(a.sum[:], b.sum[:]), cmp.Compare(a.size, b.size))
	})
	*s = slices.Compact(*s)
}

// line is a line of the index. Exactly one field is set.
type line struct {
	Product *Product `json:"product,omitzero"`
	Release *Release `json:"release,omitzero"`
	Content *Content `json:"content,omitzero"`
	Cell    *cell    `json:"cell,omitzero"`
}

// UntrustedError reports that no trusted key has signed a bundle.
type UntrustedError struct {
	Keys []string // keys in the bundle's signatures, as NAME+HASH
}

func (e *UntrustedError) Error() string {
	return "not signed by a trusted key, but by " + strings.Join(e.Keys, ", ")
}

// openNote verifies a signed note.
func openNote(signed []byte, trusted note.Verifiers) (*note.Note, error) {
	n, err := note.Open(signed, trusted)
	unverified, wrong := new(note.UnverifiedNoteError), new(note.InvalidSignatureError)
	switch {
	case errors.As(err, &unverified):
		untrusted := new(UntrustedError)
		for _, sig := range unverified.Note.UnverifiedSigs {
			untrusted.Keys = append(untrusted.Keys, keyID(sig.Name, sig.Hash))
		}
		return nil, untrusted
	case errors.As(err, &wrong):
		return nil, invalid("the signature of %s is wrong: the note was changed", wrong.Name)
	case err != nil:
		return nil, invalid("%w", err)
	}
	return n, nil
}
