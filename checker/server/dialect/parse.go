package dialect

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/http/httpguts"

	"relcheck/checker/printable"
)

const (
	maxFile      = 64 << 10 // bytes of a file
	defaultLimit = 1 << 20  // bytes of an answer
	maxLimit     = 8 << 20
)

// Parse parses the file of a dialect. It renders the sample request in several ways, so
// that a mistake is found before the first client asks. Errors begin with "line N: ".
func Parse(name string, text []byte) (*Dialect, error) {
	if !ValidName(name) {
		return nil, fmt.Errorf("line 1: %q cannot be a dialect's name: name the file with 1 to 50 of a-z, 0-9 and -, and not after one of %s", name, strings.Join(reserved, ", "))
	}
	if len(text) > maxFile || !utf8.Valid(text) {
		return nil, fmt.Errorf("line 1: the file must be UTF-8 text of at most %d bytes", maxFile)
	}
	front, err := splitFront(string(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))))
	if err != nil {
		return nil, err
	}
	p := parser{Dialect: &Dialect{Name: name, text: text, Methods: []string{http.MethodGet}, limit: defaultLimit}}
	for _, e := range front.entries {
		if err := p.set(e); err != nil {
			return nil, lineErrorf(e.line, "%w", err)
		}
	}
	if err := p.finish(front); err != nil {
		return nil, err
	}
	return p.Dialect, nil
}

// lineErrorf returns an error about a line of the file.
func lineErrorf(line int, format string, args ...any) error {
	return fmt.Errorf("line %d: %w", line, fmt.Errorf(format, args...))
}

var nameRule = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,49}$`)

// reserved are the names of what is answered without a file.
var reserved = []string{"report", "github", "checkpoint", "upgrade-responder"}

// ValidName reports whether a file can have the name.
func ValidName(name string) bool {
	return nameRule.MatchString(name) && !slices.Contains(reserved, name)
}

// front is a file whose front matter is split into entries.
type front struct {
	entries  []entry
	body     string
	bodyLine int // the number of its first line
}

type entry struct {
	line       int
	key, value string
	more       []string // continuation lines without the space at their beginning
}

func splitFront(text string) (f front, err error) {
	rest, found := strings.CutPrefix(text, "---\n")
	if !found {
		return f, errors.New("line 1: the file must begin with a line ---, front matter, and a second line ---")
	}
	for number := 2; ; number++ {
		line, after, found := strings.Cut(rest, "\n")
		if rest = after; line == "---" {
			f.body, f.bodyLine = rest, number+1
			return f, nil
		}
		if !found {
			return f, lineErrorf(number, "the front matter does not end: add a line ---")
		}
		switch {
		case strings.TrimSpace(line) == "", line[0] == '#':
		case line[0] == ' ' && len(f.entries) > 0:
			last := &f.entries[len(f.entries)-1]
			last.more = append(last.more, line[1:])
		default:
			key, value, found := strings.Cut(line, ":")
			if !found {
				return f, lineErrorf(number, "%q is not of the form key: value", line)
			}
			f.entries = append(f.entries, entry{line: number, key: strings.Join(strings.Fields(key), " "), value: strings.TrimSpace(value)})
		}
	}
}

// parser builds a dialect of the entries of its front matter.
type parser struct {
	*Dialect
	seen     []string // keys
	location entry
	headers  []entry
	tryLine  int
}

// set applies an entry of the front matter.
func (p *parser) set(e entry) (err error) {
	if e.key != "path" && slices.Contains(p.seen, e.key) {
		return fmt.Errorf("%s is there twice: remove one", e.key)
	}
	p.seen = append(p.seen, e.key)
	if len(e.more) > 0 && e.key != "connect" && e.key != "trust" {
		e.value = strings.Join(append([]string{e.value}, e.more...), " ")
	}
	kind, name, _ := strings.Cut(e.key, " ")
	switch {
	case name != "" && kind == "var":
		var v *variable
		if v, err = parseVariable(name, e.value); err == nil {
			v.line = e.line
			p.vars = append(p.vars, v)
		}
	case name != "" && kind == "header":
		if !httpguts.ValidHeaderFieldName(name) || slices.Contains(ownHeaders, http.CanonicalHeaderKey(name)) {
			err = fmt.Errorf("header %q cannot be set here", name)
		}
		p.headers = append(p.headers, entry{line: e.line, key: http.CanonicalHeaderKey(name), value: e.value})
	case e.key == "title":
		p.Title, err = e.value, printable.CheckLabel(e.value, 100)
	case e.key == "methods":
		p.Methods = strings.FieldsFunc(e.value, func(r rune) bool { return r == ' ' || r == ',' })
		for _, m := range p.Methods {
			if m != http.MethodGet && m != http.MethodPost {
				err = fmt.Errorf("method %q: use GET or POST", m)
			}
		}
	case e.key == "host":
		p.Hosts = strings.Fields(strings.ToLower(e.value))
		for _, h := range p.Hosts {
			if !hostPattern.MatchString(h) {
				err = fmt.Errorf("host %q: write a DNS name", h)
			}
		}
	case e.key == "path":
		var pattern Pattern
		pattern, err = ParsePattern(e.value)
		for _, other := range p.Patterns {
			if err == nil && pattern.Overlaps(other) {
				err = fmt.Errorf("path %s overlaps %s: a request would match both", pattern, other)
			}
		}
		p.Patterns = append(p.Patterns, pattern)
	default:
		err = p.setAnswer(e)
	}
	return err
}

var hostPattern = regexp.MustCompile(`^[a-z0-9-]+(\.[a-z0-9-]+)*(:[0-9]+)?$`)

// ownHeaders are the headers that the answer or the front door sets.
var ownHeaders = []string{"Content-Type", "Location", "Etag", "Content-Length", "Transfer-Encoding", "Connection", "Set-Cookie", "Vary", "Content-Encoding"}

// setAnswer applies an entry about the answer, or about the client's settings.
func (p *parser) setAnswer(e entry) (err error) {
	switch e.key {
	case "status":
		if p.status, err = strconv.Atoi(e.value); err != nil || p.status != http.StatusOK && p.status != http.StatusFound {
			err = fmt.Errorf("status %q: use 200 or 302", e.value)
		}
	case "type":
		p.contentType = e.value
		if p.format, err = formatOf(e.value); err != nil {
			err = fmt.Errorf("type %q: %w", e.value, err)
		}
	case "location":
		p.location = entry{line: e.line, key: "Location", value: e.value}
	case "cors":
		kind, headers, _ := strings.Cut(e.value, " ")
		switch p.AllowHeaders = strings.Join(strings.Fields(headers), ", "); {
		case e.value == "any":
			p.AnyOrigin = true
		case kind == "credentials" && printable.Check(headers) == nil:
			p.Credentials = true
		default:
			err = fmt.Errorf("cors %q: write any, or credentials and the request headers of the client", e.value)
		}
	case "notfound":
		status, body, _ := strings.Cut(e.value, " ")
		if status != "200" {
			err = fmt.Errorf("notfound %q: write 200 and the body; without this line, the answer is 404", e.value)
		}
		p.notFound = &Answer{Status: http.StatusOK, Body: []byte(body)}
	case "limit":
		if p.limit, err = strconv.Atoi(e.value); err != nil || p.limit < 1 || p.limit > maxLimit {
			err = fmt.Errorf("limit %q: write a number of bytes up to %d", e.value, maxLimit)
		}
	case "try":
		p.Try, p.tryLine = e.value, e.line
	case "connect":
		err = p.setConnect(e)
	case "trust":
		p.Trust = strings.Join(strings.Fields(strings.Join(append([]string{e.value}, e.more...), " ")), " ")
	default:
		err = fmt.Errorf("unknown key %q: use title, methods, host, path, var NAME, status, type, location, header NAME, cors, notfound, limit, try, connect or trust", e.key)
	}
	return err
}

// setConnect splits texts from the lines to copy, which are indented.
func (p *parser) setConnect(e entry) error {
	p.connect = []Snippet{{Text: e.value}}
	for _, line := range e.more {
		last := &p.connect[len(p.connect)-1]
		code, indented := strings.CutPrefix(line, " ")
		switch {
		case indented && last.Code != "":
			last.Code += "\n" + code
		case indented:
			last.Code = code
		case last.Code != "":
			p.connect = append(p.connect, Snippet{Text: line})
		default:
			last.Text = strings.TrimSpace(last.Text + " " + line)
		}
	}
	for _, snippet := range p.Connect("") {
		if wrongField.MatchString(snippet.Text + "\n" + snippet.Code) {
			return errors.New("connect: only {{.URL}} is replaced: remove other fields in double braces")
		}
	}
	return nil
}

// wrongField matches fields of templates. Double braces with something else belong to the
// settings of the client.
var wrongField = regexp.MustCompile(`\{\{-? *\.`)

// finish checks that the front matter is complete, compiles the templates, and tries them.
func (p *parser) finish(f front) error {
	end := f.bodyLine - 1
	redirects := p.location.key != ""
	if p.status == 0 {
		p.status = http.StatusOK
		if redirects {
			p.status = http.StatusFound
		}
	}
	for _, key := range []string{"title", "path", "connect"} {
		if !slices.Contains(p.seen, key) {
			return lineErrorf(end, "%s is missing: add a line %s: …", key, key)
		}
	}
	switch {
	case redirects != (p.status == http.StatusFound):
		return lineErrorf(end, "status 302 and location belong together: add the other one")
	case redirects && strings.TrimSpace(f.body) != "":
		return lineErrorf(f.bodyLine, "a redirect has no body: remove it")
	case redirects == (p.contentType != ""):
		return lineErrorf(end, "write type for an answer with a body, or location for a redirect")
	case len(p.Hosts) > 0 && p.Trust == "":
		return lineErrorf(end, "trust is missing: describe how the client of this host trusts a CA")
	case p.notFound != nil && redirects, p.notFound != nil && len(p.notFound.Body) > 0 && p.format.valid(p.notFound.Body) != nil:
		return lineErrorf(end, "the body of notfound does not have the type of the answer")
	}
	if err := p.compileAll(f); err != nil {
		return err
	}
	if err := p.finishTry(); err != nil {
		return lineErrorf(cmp.Or(p.tryLine, end), "%w", err)
	}
	if p.notFound != nil {
		p.notFound = p.answer(nil, p.notFound.Body)
	}
	return p.tryAll(f.bodyLine)
}

// compileAll compiles the templates, and checks that they use the variables.
func (p *parser) compileAll(f front) (err error) {
	for _, pattern := range p.Patterns {
		for _, name := range pattern.names() {
			if !slices.Contains(p.names, name) {
				p.names = append(p.names, name)
			}
		}
	}
	for _, v := range p.vars {
		if slices.Contains(p.names, v.name) {
			return lineErrorf(v.line, "variable %s is in the path, too: remove one", v.name)
		}
		p.names = append(p.names, v.name)
		for _, s := range v.sources {
			if s.kind == "body" {
				p.bodyFields = append(p.bodyFields, s.key)
			}
		}
	}
	c := compiler{d: p.Dialect}
	if p.location.key != "" {
		p.headers = append(p.headers, p.location)
	} else if p.body, err = c.compile(f.body, p.format.encoder, f.bodyLine); err != nil {
		return err
	}
	for _, h := range p.headers {
		encoder := "_header"
		if h.key == "Location" {
			encoder = "_url"
		}
		t, err := c.compile(h.value, encoder, h.line)
		if err != nil {
			return err
		}
		p.header = append(p.header, headerTemplate{h.key, t})
	}
	for _, v := range p.vars {
		if !slices.Contains(p.keyVars, v.name) && !slices.Contains(callerVars, v.name) {
			return lineErrorf(v.line, "variable %s is not used: remove it, or write {{.Vars.%s}}", v.name, v.name)
		}
	}
	return nil
}

// callerVars are the variables that have a meaning outside of the template.
var callerVars = []string{"version", "os", "arch", "platform", "product"}

// finishTry sets the sample request, if the file does not name it.
func (p *parser) finishTry() error {
	if p.Try == "" {
		if p.Try = p.Patterns[0].String(); strings.Contains(p.Try, "{") {
			return fmt.Errorf("try is missing: add a line try: …, a sample request for the path %s", p.Try)
		}
	}
	u, err := url.ParseRequestURI(p.Try)
	if err == nil {
		if path, ok := SplitPath(u.EscapedPath()); ok && p.matches(path, &Vars{}) && !strings.ContainsAny(p.Try, "{}") {
			return nil
		}
	}
	return fmt.Errorf("try %q is not a request that the path matches: write a path, and a query if it is needed", p.Try)
}

// matches reports whether a pattern matches the path, and adds its variables to v.
func (d *Dialect) matches(path string, v *Vars) bool {
	return slices.ContainsFunc(d.Patterns, func(p Pattern) bool { return p.Match(path, v) })
}

// formatOf returns the format of a content type.
func formatOf(contentType string) (*format, error) {
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil || !httpguts.ValidHeaderFieldValue(contentType) {
		return nil, errors.New("not a media type, such as application/json")
	}
	if charset, ok := params["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
		return nil, errors.New("answers are UTF-8: write charset=utf-8")
	}
	for _, f := range formats {
		if f.types.MatchString(media) {
			return f, nil
		}
	}
	return nil, errors.New("answers are JSON, YAML, TOML, XML or text/plain: use a type of one of them")
}
