// Package dialect describes how other update clients ask for the latest release, and how
// they are answered. A dialect is one small file: front matter, which says what the client
// sends, and a template of the answer. See checker/manual/dialects.md for the format.
package dialect

import (
	"errors"
	"net/http"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/version"
)

// Dialect is a parsed file. It is immutable.
type Dialect struct {
	Name, Title string
	Methods     []string // GET or POST; GET includes HEAD
	Hosts       []string // that the client asks if it is not configured, in lower case
	Patterns    []Pattern
	Try         string // the path and query of a sample request
	Trust       string // how this client trusts a CA

	// AnyOrigin allows requests of all web pages. Credentials allows them by the name of
	// their origin, with credentials and the request headers in AllowHeaders.
	AnyOrigin, Credentials bool
	AllowHeaders           string
}

// Parse parses the file of a dialect. Errors begin with "line N: ".
func Parse(name string, text []byte) (*Dialect, error) { return nil, errors.New("not implemented") }

// BuiltIn returns the embedded dialects by name.
func BuiltIn() map[string]*Dialect { return map[string]*Dialect{} }

// ReadFolder returns the built-in dialects, replaced and extended by the files
// DIR/*.dialect. A file that does not load keeps its dialect in last. The errors name
// these files.
func ReadFolder(dir string, last map[string]*Dialect) (map[string]*Dialect, []error) {
	return BuiltIn(), nil
}

// Connect returns how a user points the client at url, which is the base URL and
// "/p/NAME": a text, and commands or settings to copy, or "".
func (d *Dialect) Connect(url string) (text, code string) { return "", "" }

// Read adds the variables that the dialect declares to v. It reads the body only if one of
// them is there.
func (d *Dialect) Read(r *http.Request, v *Vars) error { return nil }

// Declares reports whether the dialect has a variable.
func (d *Dialect) Declares(name string) bool { return false }

// Key returns what an answer depends on besides the model and Base: the values that the
// template uses.
func (d *Dialect) Key(q *Request) string { return "" }

// Render renders the answer. It returns [ErrNotFound] if there is none.
func (d *Dialect) Render(m *Model, q *Request) (*Answer, error) { return nil, ErrNotFound }

var (
	// ErrNotFound means that a look-up found nothing: the answer is 404.
	ErrNotFound = errors.New("not found")

	// ErrBody means that the body of a request is not the JSON that its dialect reads.
	ErrBody = errors.New("the body is not a JSON object of at most 16 KB")
)

// Verdict is the judgement about the version of a caller.
type Verdict int

const (
	Unknown Verdict = iota
	Outdated
	Withdrawn
	UpToDate
)

// Caller is the client that sends a request, as far as it is known.
type Caller struct {
	Version  string           // or empty
	Platform checker.Platform // zero or [checker.Other] if unknown
	Release  *catalog.Ranked  // nil if Version is unreleased
	Verdict  Verdict
}

// Request is what a template sees of a request.
type Request struct {
	Base   string // what links to this service begin with
	Caller Caller
	Vars   *Vars
}

// Answer is a complete answer.
type Answer struct {
	Status   int
	Header   [][2]string // without ETag
	Body     []byte
	ETag     string // in quotes
	Reusable bool   // for other requests with the same [Dialect.Key]
}

// Model is a channel of a product, as a template sees it. Its functions are pure.
type Model struct {
	Product     *catalog.Product
	Scheme      version.Scheme
	Latest      *catalog.Ranked          // what the caller is offered, or nil
	Prereleases bool                     // Latest can be a pre-release
	Offered     func() []*catalog.Ranked // newest first, with pre-releases
	Withdrawn   func() []*catalog.Ranked // published and withdrawn, newest first
	Channels    []string                 // names of the product's channels, sorted
	Channel     func(name string) *Model // of the same product; nil if there is none
	Find        func(name string) *Model // another product by its name or alias, its default channel; nil if there is none
	Links       Links
}

// Links makes absolute links for a template.
type Links interface {
	// File returns a link that ends in the name of the file, or "".
	File(*catalog.Ranked, *catalog.File) string
	// Hosted returns a link to a file that this service has or fetches, or "".
	Hosted(r *catalog.Ranked, name string) string
	// Download returns the link to the file for a platform, or "".
	Download(*catalog.Ranked, checker.Platform) string
	// Page returns the link to the page of the release. Notes returns the link to its
	// notes, or to the page.
	Page(*catalog.Ranked) string
	Notes(*catalog.Ranked) string
}
