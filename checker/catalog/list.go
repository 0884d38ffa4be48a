package catalog

import "strings"

// List is what an upstream lists of a product's releases.
type List struct {
	// Name identifies the list among the product's lists: an element of
	// [Product.UpstreamList], or "file". Releases that the list contained before and no
	// longer contains are gone.
	Name string

	Entries []Entry

	// Whole means that the list contains all releases. Otherwise, releases older than
	// its oldest entry may be missing: a page of an API, for example.
	Whole bool

	// Exact means that fields which an entry does not set are unknown. Otherwise they keep
	// their values.
	Exact bool

	// Skipped describes the entries and files that cannot be read. Unread holds the
	// known tags of such entries: the list contains them, so their releases are not gone.
	Skipped []string
	Unread  []string

	// Settings are the name and the fields of the product in an export of another
	// relcheck, or nil. See [Product.Unset].
	Settings ProductPatch

	// Hint is a hint for the operator, or empty.
	Hint string
}

// Entry is a release in a list.
type Entry struct {
	Tag string `json:"tag"`

	// Draft means that the release is not public, or not any more.
	Draft bool `json:"draft,omitzero"`

	Upstream Layer `json:"upstream,omitzero"`

	// Operator is the operator's layer in an export of another relcheck, or nil.
	Operator *Layer `json:"operator,omitzero"`
}

// ListOf returns a list of releases. A field that is zero says nothing.
func ListOf(name string, releases ...Release) List {
	l := List{Name: name}
	for _, r := range releases {
		up := Layer{Title: notZero(r.Title), Notes: notZero(r.Notes), Created: notZero(r.Created), Published: notZero(r.Date),
			Prerelease: notZero(r.Prerelease), Withdrawn: notZero(r.Withdrawn), Reason: notZero(r.Reason), Files: r.Files}
		l.Entries = append(l.Entries, Entry{Tag: r.Tag, Upstream: up})
	}
	return l
}

func notZero[T comparable](v T) *T {
	if v == *new(T) {
		return nil
	}
	return &v
}

const bundleKind = "bundle:"

// BundleList returns the name of the list of the bundles that a store has created.
func BundleList(store string) string { return bundleKind + store }

// IsBundleList reports whether a name is that of a list of bundles.
func IsBundleList(name string) bool { return strings.HasPrefix(name, bundleKind) }
