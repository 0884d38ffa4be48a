package edit

import (
	"regexp"

	"golang.org/x/mod/module"

	"relcheck/checker"
	"relcheck/checker/printable"
)

// maxTitle is the length of the longest title, in characters.
const maxTitle = 100

var (
	namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)
	repoPattern = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}$`)
)

// ValidName reports whether a product can have this name.
func ValidName(name string) bool { return namePattern.MatchString(name) }

// Product is what is said of a product, by the name of the field: see [Fields].
// What is not said stays as it was.
type Product map[string]string

// Fields are the fields of a product that may be changed, by their names in flags
// and in JSON.
func Fields(p *checker.Product) map[string]*string {
	return map[string]*string{"title": &p.Title, "repo": &p.Repo, "module": &p.Module, "download": &p.Download, "notes": &p.Notes, "origins": &p.Origins}
}

// Apply returns what becomes of p, or a [Mistake]. A new product without a title
// has its name for one.
func (e Product) Apply(p checker.Product) (checker.Product, error) {
	isNew := p.Title == ""
	for name, field := range Fields(&p) {
		if value, said := e[name]; said {
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

// CheckProduct returns a [Mistake] unless there can be such a product.
func CheckProduct(p checker.Product) error {
	if !ValidName(p.Name) {
		return mistake("name", "%q cannot be a product's name: use 1 to 64 of a-z 0-9 . _ - and begin with a letter or digit", p.Name)
	}
	if err := printable.CheckLabel(p.Title, maxTitle); err != nil {
		return mistake("title", "%v", err)
	}
	if p.Repo != "" && !repoPattern.MatchString(p.Repo) {
		return mistake("repo", "%q is not of the form OWNER/REPO", p.Repo)
	}
	if p.Module != "" {
		if err := module.CheckPath(p.Module); err != nil {
			return mistake("module", "%v", err)
		}
	}
	if err := checkTemplate("download", p.Download, checker.CheckDownload); err != nil {
		return err
	}
	return checkTemplate("notes", p.Notes, checker.CheckLink)
}

func checkTemplate(field, template string, check func(string) error) error {
	if template == "" {
		return nil
	}
	if len(template) > checker.MaxLink {
		return mistake(field, "the template has %d bytes: give one of at most %d", len(template), checker.MaxLink)
	}
	if err := checker.CheckTemplate(template, check); err != nil {
		return mistake(field, "%v", err)
	}
	return nil
}

// Differences names the fields in which two products differ, in order.
func Differences(a, b checker.Product) (names []string) {
	was := Fields(&a)
	for _, name := range []string{"title", "repo", "module", "download", "notes", "origins"} {
		if *was[name] != *Fields(&b)[name] {
			names = append(names, name)
		}
	}
	return names
}
