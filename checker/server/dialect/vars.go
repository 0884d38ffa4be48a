package dialect

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"relcheck/checker/printable"
)

const (
	maxVars  = 16
	maxValue = 200      // bytes of the value of a variable
	maxLong  = 2000     // bytes of the value of {name...}, which can be a tag and the name of a file, or of a query parameter, which can be a list
	maxRaw   = 2000     // bytes that a regular expression searches
	maxBody  = 16 << 10 // bytes of the body of a request
	maxDepth = 32       // of the body
)

// Vars are the variables of a request. The zero value and nil are empty.
type Vars struct{ all []nameAndValue }

type nameAndValue struct{ name, value string }

// Get returns the value of a variable, or "".
func (v *Vars) Get(name string) string {
	if v == nil {
		return ""
	}
	for _, one := range v.all {
		if one.name == name {
			return one.value
		}
	}
	return ""
}

// Add adds a variable. It reports false if the value is empty, too long or not printable.
func (v *Vars) Add(name, value string) bool { return v.add(name, value, maxValue) }

func (v *Vars) add(name, value string, limit int) bool {
	if value == "" || len(value) > limit || len(v.all) == maxVars || printable.Check(value) != nil {
		return false
	}
	if v.all == nil {
		v.all = make([]nameAndValue, 0, 4) // most requests have no more
	}
	v.all = append(v.all, nameAndValue{name, value})
	return true
}

// variable is a declared variable. Its value is that of the first source that has one.
type variable struct {
	line    int // of the declaration
	name    string
	sources []source
	pattern *regexp.Regexp // its groups, joined by ".", are the value; or nil
}

// source is a place in a request: a query parameter, a header, a field of the body as a
// JSON pointer, or the version of a program in the User-Agent header.
type source struct{ kind, key string }

// parseVariable parses "KIND KEY, KIND KEY ~ REGEXP".
func parseVariable(name, text string) (*variable, error) {
	v := &variable{name: name}
	if !namePattern.MatchString(name) {
		return nil, fmt.Errorf("variable %q: use a name of letters and digits", name)
	}
	places, expr, found := strings.Cut(text, "~")
	if found {
		var err error
		if v.pattern, err = regexp.Compile(strings.TrimSpace(expr)); err != nil {
			return nil, fmt.Errorf("variable %s: %w", name, err)
		}
		if v.pattern.NumSubexp() == 0 {
			return nil, fmt.Errorf("variable %s: the regular expression has no group: put the value in parentheses", name)
		}
	}
	for place := range strings.SplitSeq(places, ",") {
		fields := strings.Fields(place)
		if len(fields) != 2 || !slices.Contains([]string{"query", "header", "body", "agent"}, fields[0]) {
			return nil, fmt.Errorf("variable %s: %q is no place: use query KEY, header NAME, body FIELD.FIELD or agent PROGRAM", name, strings.TrimSpace(place))
		}
		s := source{fields[0], fields[1]}
		if s.kind == "body" {
			s.key = "/" + strings.ReplaceAll(s.key, ".", "/")
		}
		v.sources = append(v.sources, s)
	}
	return v, nil
}

// Read adds the variables that the dialect declares to v. It reads the body of a POST
// request if one of them is there. It returns [ErrBody] or [ErrQuery] if it cannot.
func (d *Dialect) Read(r *http.Request, v *Vars) error {
	if len(d.vars) == 0 {
		return nil
	}
	query, body := r.URL.Query(), map[string]string{}
	if len(d.bodyFields) > 0 && r.Method == http.MethodPost {
		for _, at := range d.bodyFields {
			body[at] = ""
		}
		if err := ReadBody(r.Body, body); err != nil {
			return err
		}
	}
	for _, declared := range d.vars {
		for _, s := range declared.sources {
			value, limit := declared.value(s.read(r, query, body)), maxValue
			if s.kind == "query" {
				if limit = maxLong; len(value) > limit { // an answer about a part of a list would be wrong
					return ErrQuery
				}
			}
			if v.add(declared.name, value, limit) {
				break
			}
		}
	}
	return nil
}

// value returns the value of a variable in the text of its source, or "".
func (v *variable) value(raw string) string {
	if v.pattern == nil || len(raw) > maxRaw {
		return raw
	}
	groups := v.pattern.FindStringSubmatch(raw)
	if groups == nil {
		return ""
	}
	return strings.Join(groups[1:], ".")
}

// raw returns a text whose value is value: value itself, or else the sample with another
// value in it. It returns "" if neither is one.
func (v *variable) raw(sample, value string) string {
	for _, raw := range []string{value, strings.Replace(sample, v.value(sample), value, 1)} {
		if v.value(raw) == value {
			return raw
		}
	}
	return ""
}

func (s source) read(r *http.Request, query url.Values, body map[string]string) string {
	switch s.kind {
	case "query":
		return query.Get(s.key)
	case "header":
		return r.Header.Get(s.key)
	case "body":
		return body[s.key]
	}
	for program := range strings.FieldsSeq(r.UserAgent()) {
		if name, version, found := strings.Cut(program, "/"); found && strings.EqualFold(name, s.key) {
			return version
		}
	}
	return ""
}

// ReadBody reads a JSON object and sets the values of fields, which it has by their JSON
// pointers, to the strings there.
func ReadBody(r io.Reader, fields map[string]string) error {
	text, err := io.ReadAll(io.LimitReader(r, maxBody+1))
	if err != nil {
		return err
	}
	if len(text) > maxBody || !bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		return ErrBody
	}
	d := jsontext.NewDecoder(bytes.NewReader(text)) // refuses duplicate names
	for ended := false; ; ended = d.StackDepth() == 0 {
		token, err := d.ReadToken()
		if ended && errors.Is(err, io.EOF) {
			return nil
		}
		if ended || err != nil || d.StackDepth() > maxDepth {
			return ErrBody
		}
		if kind, n := d.StackIndex(d.StackDepth()); token.Kind() != '"' || kind == '{' && n%2 == 1 { // or a name
			continue
		}
		at := string(d.StackPointer())
		if _, wanted := fields[at]; wanted {
			fields[at] = token.String()
		}
	}
}
