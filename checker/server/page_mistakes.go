package server

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"

	"relcheck/checker/stats"
)

// mistake is a parameter that is wrong.
type mistake struct {
	value  string // what was given
	Text   string // what to change
	Anchor string // where on the page the form is that it was made in
	told   bool   // by that form, without an anchor at the top of the page
}

// mistakes are those of a question, by the parameter.
type mistakes map[string]*mistake

// labels are what the fields of forms are called.
var labels = map[string]string{
	"days": "Days", "from": "From", "to": "To", "version": "Version", "os": "System", "arch": "Architecture",
	"below": "Support ends below", "above": "More heap than", "compare": "Compare",
}

// viewOfRest is [Server.view] without the parameters that are wrong.
func (s *Server) viewOfRest(r *http.Request) (*stats.View, mistakes, error) {
	given, wrong := r.URL.Query(), mistakes{}
	for {
		v, err := s.viewOf(r, r.PathValue("product"), given.Get)
		f := (*failure)(nil)
		if !errors.As(err, &f) || f.status != http.StatusBadRequest || len(given) == 0 {
			return v, wrong, err
		}
		name := f.field
		wrong[name] = &mistake{value: given.Get(name), Text: explain(name, f.message)}
		if !given.Has(name) {
			clear(given) // there is no telling which one it is
		}
		given.Del(name)
	}
}

// explain tells what is wrong with a parameter by the name of its field.
func explain(name, text string) string {
	label, ok := labels[name]
	if !ok {
		return sentence(text)
	}
	rest, found := strings.CutPrefix(text, name+"=")
	if !found {
		rest, found = strings.CutPrefix(text, name+": ")
	}
	if !found {
		return sentence(label + strings.TrimPrefix(text, name))
	}
	words := strings.NewReplacer("after to=", "after ", " to=", " to ", "..", " and ")
	return sentence(label + ": " + words.Replace(rest))
}

// tell says what is wrong in the form with some parameters, which stands at an anchor.
func (m mistakes) tell(anchor string, names ...string) string {
	var all []string
	for _, name := range names {
		if one, ok := m[name]; ok {
			one.Anchor, one.told = anchor, anchor == ""
			all = append(all, one.Text)
		}
	}
	return strings.Join(all, " ")
}

// top are those that are told of at the top of a page: where there is no form, or
// it stands further down.
func (m mistakes) top() (all []*mistake) {
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if !m[name].told {
			all = append(all, m[name])
		}
	}
	return all
}

// typed was given for a parameter that is wrong; instead for one that is not.
func (m mistakes) typed(name, instead string) string {
	if one, ok := m[name]; ok {
		return one.value
	}
	return instead
}
