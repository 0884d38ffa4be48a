package bundle

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"iter"
	"slices"

	"github.com/go-json-experiment/json"

	"relcheck/checker/catalog"
	"relcheck/checker/stats/rollup"
)

// checkIndex checks each line of the index and the order of the lines.
func (b *Reader) checkIndex() error {
	x := indexCheck{site: b.Site, hasBase: b.Base != "", products: map[string]bool{}}
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
		case l.Cell != nil:
			err = x.cell(l.Cell)
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
	site           *Site // nil if the bundle contains releases
	hasBase        bool
	products, tags map[string]bool // tags belong to the last product; nil before the first
	files          contentSet      // files whose contents are not listed yet
	last           string          // SHA-256 of the last content
	cells          cellCheck       // of the last product
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
	if x.site != nil && (len(p.Fields) > 0 || p.Base != 0) {
		return invalid("product %s has settings or a base, which a bundle of counts cannot contain", p.Name)
	}
	if _, err := p.Fields.Apply(catalog.Product{Name: p.Name}); err != nil {
		return invalid("product %s: %w", p.Name, err)
	}
	x.products[p.Name], x.tags, x.cells = true, map[string]bool{}, cellCheck{builds: map[rollup.Build]bool{}}
	return nil
}

func (x *indexCheck) cell(c *cell) error {
	if x.site == nil || x.cells.builds == nil {
		return invalid("it has counts without a site or a product")
	}
	if err := x.cells.cell(c, x.site); err != nil {
		return invalid("counts of %.100q from %.20q: %w", c.Version, c.From, err)
	}
	return nil
}

func (x *indexCheck) release(r *Release) error {
	if x.site != nil {
		return invalid("it has releases beside counts")
	}
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
		if err := f.Check(); err != nil {
			return invalid("release %.100q: file %.100q: %w", r.Tag, f.Name, err)
		}
		name = f.Name
	}
	return nil
}

func (x *indexCheck) content(c *Content) error {
	var one contentSet
	if x.site != nil {
		return invalid("it has files beside counts")
	}
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
