// Package dialect describes how other update clients ask for the latest release, and how
// they are answered. A dialect is one small file: front matter, which says what the client
// sends, and a template of the answer. See checker/manual/dialects.md for the format.
package dialect

import (
	"errors"
	"slices"
	"strings"
	"text/template"
	"time"

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

	connect []Snippet
	text    []byte // of the file

	vars       []*variable
	names      []string // of all variables
	bodyFields []string // those that the variables read, as JSON pointers

	status      int
	contentType string // empty for a redirect
	format      *format
	body        *template.Template // nil for a redirect
	header      []headerTemplate
	notFound    *Answer // nil for 404
	limit       int     // bytes of an answer

	keyVars             []string // names of the variables that the templates use
	usesCaller, usesNow bool     // whether they use the caller, and the time
	usesProducts        bool     // whether they look up products by name
}

// Snippet is a text, and commands or settings to copy, or "".
type Snippet struct{ Text, Code string }

// Connect returns how a user points the client at url, which is the base URL and
// "/p/NAME". There is at least one text.
func (d *Dialect) Connect(url string) (all []Snippet) {
	for _, s := range d.connect {
		all = append(all, Snippet{strings.ReplaceAll(s.Text, "{{.URL}}", url), strings.ReplaceAll(s.Code, "{{.URL}}", url)})
	}
	return all
}

// Declares reports whether the dialect has a variable.
func (d *Dialect) Declares(name string) bool { return slices.Contains(d.names, name) }

// ChoosesProduct reports whether requests name the products that they are about.
func (d *Dialect) ChoosesProduct() bool { return d.Declares("product") || d.usesProducts }

var (
	// ErrNotFound means that a look-up found nothing: the answer is 404.
	ErrNotFound = errors.New("not found")

	// ErrBody means that the body of a request is not the JSON that its dialect reads.
	ErrBody = errors.New("the body is not a JSON object of at most 16 KB")

	// ErrQuery means that a query parameter of a request is too long.
	ErrQuery = errors.New("a query parameter has more than 2,000 bytes")
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
	Header   [][2]string
	Body     []byte
	Reusable bool // for other requests with the same [Dialect.Key]
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
	Find        func(name string) *Model // any product by its name or alias, its default channel; nil if there is none
	Links       Links
	Now         time.Time // zero for the current time
}

// Links makes absolute links for a template.
type Links interface {
	// File returns a link that ends in the name of the file, or "".
	File(*catalog.Ranked, *catalog.File) string
	// Hosted returns a link to a file that this service has or fetches, or "". The tag is
	// exactly that of a release that is published and not withdrawn.
	Hosted(tag, name string) string
	// Download returns the link to the file for a platform, or "".
	Download(*catalog.Ranked, checker.Platform) string
	// Page returns the link to the page of the release. Notes returns the link to its
	// notes, or to the page.
	Page(*catalog.Ranked) string
	Notes(*catalog.Ranked) string
}
