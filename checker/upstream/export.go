package upstream

import (
	"bufio"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"relcheck/checker/catalog"
	"relcheck/checker/printable"
)

// WriteExport writes releases of a product, one a line, so that [ReadReleases] reads them
// without loss: what upstream says, and what the operator decided. It also writes the
// name and the fields of the product, which become [catalog.List.Settings].
func WriteExport(w io.Writer, p catalog.Product, entries iter.Seq2[catalog.Entry, error]) error {
	product := map[string]string{"name": p.Name}
	for _, name := range catalog.ExportFields {
		product[name] = p.Field(name)
	}
	header, err := json.Marshal(product, json.Deterministic(true), lenient)
	if err != nil {
		return err
	}
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "{\"relcheck_export\":1,\"product\":%s,\"releases\":[", header)
	separator := "\n"
	for e, err := range entries {
		if err != nil {
			return err
		}
		b.WriteString(separator)
		separator = ",\n"
		if err := json.MarshalWrite(b, e, lenient); err != nil {
			return fmt.Errorf("release %s: %w", e.Tag, err)
		}
	}
	b.WriteString("\n]}\n")
	return b.Flush()
}

// exportedLayer is a layer whose files are not parsed yet, so that an invalid file does
// not invalidate the layer.
type exportedLayer struct {
	catalog.Layer
	Files []jsontext.Value `json:"files"`
}

// parseExported parses an entry that [WriteExport] wrote.
func parseExported(raw jsontext.Value) (catalog.Entry, []string, error) {
	var e struct {
		catalog.Entry
		Upstream exportedLayer  `json:"upstream"`
		Operator *exportedLayer `json:"operator"`
	}
	if err := decode(raw, &e); err != nil {
		return catalog.Entry{}, nil, err
	}
	skipped, err := e.Upstream.clean()
	if err != nil {
		return e.Entry, nil, fmt.Errorf("upstream: %w", err)
	}
	e.Entry.Upstream = e.Upstream.Layer
	if e.Operator != nil {
		more, err := e.Operator.clean()
		if err != nil {
			return e.Entry, nil, fmt.Errorf("operator: %w", err)
		}
		e.Entry.Operator, skipped = &e.Operator.Layer, append(skipped, more...)
	}
	return e.Entry, skipped, nil
}

// clean removes what is invalid, and sets the valid files. It changes nothing that a
// store can contain.
func (e *exportedLayer) clean() (skippedFiles []string, err error) {
	l := &e.Layer
	if err := printable.Check(l.List); err != nil {
		return nil, fmt.Errorf("list: %w", err)
	}
	if l.Text != nil {
		l.Text = new(cleanText(*l.Text))
	}
	if l.Reason != nil {
		l.Reason = new(cleanLine(*l.Reason, maxReason))
	}
	for _, date := range []**time.Time{&l.Created, &l.Published} {
		if *date != nil {
			*date = storedTime(**date)
		}
	}
	if e.Files != nil {
		files := newFileSet()
		for _, raw := range e.Files {
			files.add(parseFile(raw))
		}
		l.Files, skippedFiles = files.files, files.skipped
	}
	return skippedFiles, l.Check()
}
