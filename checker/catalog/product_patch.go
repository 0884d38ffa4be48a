package catalog

import (
	"regexp"

	"golang.org/x/mod/module"

	"relcheck/checker/printable"
)

// maxTitle is the length of the longest title, in characters.
const maxTitle = 100

var (
	namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)
	repoPattern = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}$`)
)

// ValidProductName reports whether name is a valid product name.
func ValidProductName(name string) bool { return namePattern.MatchString(name) }

// ProductPatch maps names of fields to new values. See [ProductFields]. Other fields
// keep their values.
type ProductPatch map[string]string

// ProductFields returns pointers to the fields of p that can be changed, by their
// names in flags and JSON.
func ProductFields(p *Product) map[string]*string {
	return map[string]*string{"title": &p.Title, "repo": &p.Repo, "module": &p.Module, "download": &p.Download, "notes": &p.Notes, "origins": &p.Origins}
}

// Apply returns p with the changes. The title of a new product defaults to its name.
// The error is a [FieldError].
func (e ProductPatch) Apply(p Product) (Product, error) {
	isNew := p.Title == ""
	for name, field := range ProductFields(&p) {
		if value, ok := e[name]; ok {
			*field = value
		}
	}
	if isNew && p.Title == "" {
		p.Title = p.Name
	}
	var err error
	if p.Origins, err = cleanOrigins(p.Origins); err != nil {
		return p, err
	}
	return p, CheckProduct(p)
}

// CheckProduct returns a [FieldError] if a field of p is invalid.
func CheckProduct(p Product) error {
	if !ValidProductName(p.Name) {
		return fieldErrorf("name", "%q cannot be a product's name: use 1 to 64 of a-z 0-9 . _ - and begin with a letter or digit", p.Name)
	}
	if err := printable.CheckLabel(p.Title, maxTitle); err != nil {
		return fieldErrorf("title", "%v", err)
	}
	if p.Repo != "" && !repoPattern.MatchString(p.Repo) {
		return fieldErrorf("repo", "%q is not of the form OWNER/REPO", p.Repo)
	}
	if p.Module != "" {
		if err := module.CheckPath(p.Module); err != nil {
			return fieldErrorf("module", "%v", err)
		}
	}
	if err := checkTemplate("download", p.Download, printable.CheckDownload); err != nil {
		return err
	}
	return checkTemplate("notes", p.Notes, printable.CheckLink)
}

func checkTemplate(field, template string, check func(string) error) error {
	if template == "" {
		return nil
	}
	if len(template) > printable.MaxLinkBytes {
		return fieldErrorf(field, "the template has %d bytes: give one of at most %d", len(template), printable.MaxLinkBytes)
	}
	if err := CheckTemplate(template, check); err != nil {
		return fieldErrorf(field, "%v", err)
	}
	return nil
}

// ChangedFields returns the names of the fields that differ between two products.
func ChangedFields(a, b Product) (names []string) {
	was := ProductFields(&a)
	for _, name := range []string{"title", "repo", "module", "download", "notes", "origins"} {
		if *was[name] != *ProductFields(&b)[name] {
			names = append(names, name)
		}
	}
	return names
}
