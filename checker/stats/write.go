package stats

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"relcheck/checker/printable"
	"relcheck/checker/stats/rollup"
)

// Document is a table with its product and query, as the API and the command line return
// it.
type Document struct {
	Product string
	Query   Query
	AsOf    time.Time // time of the last report; zero if there is none
	*Table
}

// Document returns a table of the view with its product and query.
func (v *View) Document(t *Table) Document {
	return Document{Product: v.Product.Name, Query: v.Query, AsOf: v.AsOf, Table: t}
}

// String returns the name of the kind in JSON.
func (k Kind) String() string {
	names := [...]string{Text: "text", Date: "date", Number: "number", Mean: "mean", Share: "share", Change: "change", Bytes: "bytes", Yes: "boolean"}
	return names[k]
}

// WriteCSV writes the table in the format of RFC 4180: the names of the columns, then the
// rows. A date is 2026-01-31, a share or change of 12 % is 0.12, heaps are whole bytes, and
// unknown values are empty. A text that begins with = + - @, a tab or a carriage return
// gets an apostrophe in front, because spreadsheets would evaluate it as a formula.
func (t *Table) WriteCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	out.UseCRLF = true
	record := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		record[i] = c.Name
	}
	if err := out.Write(record); err != nil {
		return err
	}
	for _, row := range t.Rows {
		for i, c := range t.Columns {
			cell, err := c.value(row[i])
			if err != nil {
				return err
			}
			if c.Kind == Text && cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
				cell = "'" + cell
			}
			record[i] = cell
		}
		if err := out.Write(record); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// WriteJSON writes the document as an object with these members, in this order:
//
//	product  name of the product
//	table    name of the table
//	title    title of the table
//	note     what is counted, and how exactly
//	from, to first and last day, inclusive
//	filter   object of version, os, arch and site; null if there is no such filter
//	as_of    time of the last report, or null
//	columns  array of objects with the name and the kind of a column: text,
//	         date (2026-01-31), number, mean (a number with decimals), share (0 to 1),
//	         change (0.12 is 12 % more), bytes, boolean
//	rows     array of objects with a member for each column, in their order;
//	         unknown values are null
//
// New versions may add members, but do not remove them or change their meaning.
func (d Document) WriteJSON(w io.Writer) error {
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, `{"product":%s,"table":%s,"title":%s,"note":%s,"from":"%s","to":"%s","filter":{"version":%s,"os":%s,"arch":%s,"site":%s},"as_of":%s,`,
		quote(d.Product), quote(d.Name), quote(d.Title), quote(d.Note), d.Query.From, d.Query.To,
		quote(orNil(d.Query.Version, d.Query.Version != "")), quote(orNil(d.Query.OS, d.Query.OS != "")), quote(orNil(d.Query.Arch, d.Query.Arch != "")),
		quote(orNil(d.Query.Site, d.Query.Site != "")),
		quote(orNil(d.AsOf.UTC().Format(time.RFC3339), !d.AsOf.IsZero())))
	out.WriteString("\n\"columns\":[")
	names := make([]string, len(d.Columns))
	for i, c := range d.Columns {
		names[i] = quote(c.Name)
		fmt.Fprintf(out, `%s{"name":%s,"kind":"%s"}`, comma(i), names[i], c.Kind)
	}
	out.WriteString("],\n\"rows\":[")
	for i, row := range d.Rows {
		out.WriteString(comma(i) + "\n{")
		for j, c := range d.Columns {
			value, err := c.json(row[j])
			if err != nil {
				return err
			}
			out.WriteString(comma(j) + names[j] + ":" + value)
		}
		out.WriteByte('}')
	}
	out.WriteString("\n]}\n")
	return out.Flush()
}

// comma returns the separator before the element i.
func comma(i int) string {
	if i == 0 {
		return ""
	}
	return ","
}

// json returns a value of the column in JSON.
func (c Column) json(v any) (string, error) {
	s, err := c.value(v)
	switch {
	case err != nil:
		return "", err
	case v == nil, s == "" && c.Kind != Text:
		return "null", nil
	case c.Kind == Text, c.Kind == Date:
		return quote(s), nil
	}
	return s, nil
}

// value formats a value of the column for programs. Unknown values are empty.
func (c Column) value(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case string:
		if c.Kind == Text {
			return v, nil
		}
	case rollup.Day:
		if c.Kind == Date {
			return v.String(), nil
		}
	case int64:
		if c.Kind == Number {
			return strconv.FormatInt(v, 10), nil
		}
	case bool:
		if c.Kind == Yes {
			return strconv.FormatBool(v), nil
		}
	case float64:
		switch c.Kind {
		case Mean:
			return decimal(v, 3), nil
		case Share, Change:
			return decimal(v, 6), nil
		case Bytes:
			return decimal(v, 0), nil
		}
	}
	return "", fmt.Errorf("column %s: %v of type %T is not a %s", c.Name, v, v, c.Kind)
}

// decimal formats a number with at most places decimal places.
func decimal(v float64, places int) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return ""
	}
	s := strconv.FormatFloat(v, 'f', places, 64)
	if places > 0 {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	if s == "-0" {
		return "0"
	}
	return s
}

// quote returns a string or nil in JSON. Invisible characters are escaped, because a terminal might
// interpret them as commands.
func quote(s any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic(err) // every string can be encoded
	}
	quoted := strings.TrimSuffix(b.String(), "\n")
	if printable.Check(quoted) == nil {
		return quoted
	}
	var safe strings.Builder
	for _, r := range quoted {
		if printable.Rune(r) {
			safe.WriteRune(r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			fmt.Fprintf(&safe, `\u%04x`, unit)
		}
	}
	return safe.String()
}
