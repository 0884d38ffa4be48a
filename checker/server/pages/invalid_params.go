package pages

import (
	"maps"
	"slices"
	"strings"
)

// InvalidParams are the invalid query parameters of a request, by name.
type InvalidParams map[string]*invalidParam

type invalidParam struct {
	value  string // what was sent
	Text   string // what to change
	Anchor string // of the form that the parameter belongs to, if it is below the top of the page
	shown  bool   // by a form at the top of the page
}

// Add adds a parameter with its value and the error message about it.
func (p InvalidParams) Add(name, value, message string) {
	p[name] = &invalidParam{value: value, Text: explain(name, message)}
}

var labels = map[string]string{
	"days": "Days", "from": "From", "to": "To", "version": "Version", "os": "OS", "arch": "Architecture",
	"below": "Support ends below", "above": "More heap than", "compare": "Compare",
}

// explain returns an error message about a parameter with the label of its form field in
// place of the parameter's name.
func explain(name, text string) string {
	label, ok := labels[name]
	if !ok {
		return Sentence(text)
	}
	rest, found := strings.CutPrefix(text, name+"=")
	if !found {
		rest, found = strings.CutPrefix(text, name+": ")
	}
	if !found {
		return Sentence(label + strings.TrimPrefix(text, name))
	}
	words := strings.NewReplacer("after to=", "after ", " to=", " to ", "..", " and ")
	return Sentence(label + ": " + words.Replace(rest))
}

// formError returns the errors of a form with these parameters. The anchor is empty for
// forms at the top of the page.
func (p InvalidParams) formError(anchor string, names ...string) string {
	var all []string
	for _, name := range names {
		if one, ok := p[name]; ok {
			one.Anchor, one.shown = anchor, anchor == ""
			all = append(all, one.Text)
		}
	}
	return strings.Join(all, " ")
}

// pageErrors returns the errors to show at the top of the page, because no form shows
// them or the form is further down.
func (p InvalidParams) pageErrors() (all []*invalidParam) {
	for _, name := range slices.Sorted(maps.Keys(p)) {
		if !p[name].shown {
			all = append(all, p[name])
		}
	}
	return all
}

// value returns the value of an invalid parameter, or valid if the parameter is valid.
func (p InvalidParams) value(name, valid string) string {
	if one, ok := p[name]; ok {
		return one.value
	}
	return valid
}
