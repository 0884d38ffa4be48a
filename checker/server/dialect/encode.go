package dialect

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/net/http/httpguts"
	"gopkg.in/yaml.v3"
)

// format is a format of answers. A value in YAML and TOML is written as in JSON, which is
// valid there.
type format struct {
	types   *regexp.Regexp
	encoder string
	check   func(body []byte) error
}

var formats = []*format{
	{regexp.MustCompile(`^application/([a-z0-9.-]+\+)?json$`), "_json", checkJSON},
	{regexp.MustCompile(`^(application|text)/(x-)?yaml$`), "_json", func(body []byte) error { return yaml.Unmarshal(body, new(yaml.Node)) }},
	{regexp.MustCompile(`^(application|text)/(x-)?toml$`), "_json", func(body []byte) error { return toml.Unmarshal(body, new(map[string]any)) }},
	{regexp.MustCompile(`^(application|text)/((atom|rss)\+)?xml$`), "_xml", checkXML},
	{regexp.MustCompile(`^text/plain$`), "_text", func([]byte) error { return nil }},
}

// valid returns an error unless the body has the format.
func (f *format) valid(body []byte) error {
	switch {
	case len(bytes.TrimSpace(body)) == 0:
		return errors.New("it is empty")
	case !utf8.Valid(body):
		return errors.New("not UTF-8")
	}
	return f.check(body)
}

func checkJSON(body []byte) error {
	d := jsontext.NewDecoder(bytes.NewReader(body)) // refuses duplicate names
	if _, err := d.ReadValue(); err != nil {
		return err
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return errors.New("more than one value")
	}
	return nil
}

func checkXML(body []byte) error {
	d, depth, roots := xml.NewDecoder(bytes.NewReader(body)), 0, 0
	for {
		token, err := d.Token()
		switch {
		case errors.Is(err, io.EOF) && roots == 1:
			return nil
		case errors.Is(err, io.EOF) || roots > 1:
			return errors.New("not one root element")
		case err != nil:
			return err
		}
		switch t := token.(type) {
		case xml.StartElement:
			if depth == 0 {
				roots++
			}
			depth++
		case xml.EndElement:
			depth--
		case xml.CharData:
			if depth == 0 && len(bytes.TrimSpace(t)) > 0 {
				roots = 2
			}
		}
	}
}

// link is a URL that the model has made.
type link string

// plain returns a value as text. Other types than texts, numbers and booleans cannot be
// printed.
func plain(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case link:
		return string(v), nil
	case bool, int, int64:
		return fmt.Sprint(v), nil
	case time.Time:
		return "", errors.New("a time cannot be printed: use date, millis, unix, nanos or .Format")
	case *release:
		return "", errors.New("a release cannot be printed: print one of its fields, such as .Version")
	}
	return "", fmt.Errorf("a value of type %T cannot be printed: print one of its fields", v)
}

func encodeJSON(v any) (string, error) {
	text, err := plain(v)
	switch v.(type) {
	case string, link:
		return quoteJSON(text), err
	}
	return text, err
}

// quoteJSON returns a JSON string, which is a string in YAML and TOML, too.
func quoteJSON(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s { // a byte that is not UTF-8 is U+FFFD
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || '\x7f' <= r && r <= '\u009f' || r == '\u2028' || r == '\u2029' || r == '\ufeff' || r == '\ufffe' || r == '\uffff':
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func encodeXML(v any) (string, error) {
	text, err := plain(v)
	var b strings.Builder
	if err == nil {
		err = xml.EscapeText(&b, []byte(text))
	}
	return b.String(), err
}

func encodeText(v any) (string, error) {
	text, err := plain(v)
	if err == nil && (!utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl)) {
		err = errors.New("a value has a control character")
	}
	return text, err
}

func encodeHeader(v any) (string, error) {
	text, err := encodeText(v)
	if err == nil && !httpguts.ValidHeaderFieldValue(text) {
		err = errors.New("a value cannot be part of a header")
	}
	return text, err
}

// encodeURL escapes everything but links.
func encodeURL(v any) (string, error) {
	text, err := encodeHeader(v)
	if _, ok := v.(link); !ok {
		text = url.PathEscape(text)
	}
	return text, err
}
