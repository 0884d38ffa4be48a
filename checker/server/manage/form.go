package manage

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"relcheck/checker/catalog"
	"relcheck/checker/server/pages"
)

// form is a form with the values that were sent, or with stored ones.
type form struct {
	pages.Form
	sent url.Values // nil if the form was not sent
}

// newForm returns a form without fields. A page can have several forms: only the one with
// the field form=NAME was sent. name is empty if it is the only one.
func newForm(r *Request, name, button string) *form {
	f := &form{Form: pages.Form{Button: button}}
	if r.Method == http.MethodPost && r.PostForm.Get("form") == name {
		f.sent = r.PostForm
	}
	if name != "" {
		f.Fields = append(f.Fields, &pages.Field{Name: "form", Kind: pages.Computed, Value: name})
	}
	return f
}

// wasSent reports whether the request contains the form.
func (f *form) wasSent() bool { return f.sent != nil }

// add adds a field. The value is the stored one, which that of the request replaces.
func (f *form) add(field pages.Field) *pages.Field {
	field.Was = fingerprint(clean(field.Value, field.Kind))
	if was := "was-" + field.Name; f.sent.Has(field.Name) || f.sent.Has(was) { // a box that is not ticked is not sent
		field.Value = clean(f.sent.Get(field.Name), field.Kind)
		field.Was = cmp.Or(f.sent.Get(was), field.Was)
	}
	f.Fields = append(f.Fields, &field)
	return &field
}

// clean removes what browsers and people add to values.
func clean(text string, kind pages.Kind) string {
	if kind == pages.Area {
		return strings.TrimRight(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text), " \n")
	}
	return strings.TrimSpace(text)
}

// changed reports whether a field has another value than when the form was opened. Unlike
// a comparison with the stored value, it does not undo a change that was made meanwhile.
func changed(field *pages.Field) bool { return fingerprint(field.Value) != field.Was }

func fingerprint(value string) string {
	sum := sha256.Sum256([]byte(value))
	return hex.EncodeToString(sum[:8])
}

// field returns the field with a name, or nil.
func (f *form) field(name string) *pages.Field {
	if i := slices.IndexFunc(f.Fields, func(field *pages.Field) bool { return field.Name == name }); i >= 0 {
		return f.Fields[i]
	}
	return nil
}

// refuse shows an error, beside its field if the form has it. It reports whether the error
// is nil.
func (f *form) refuse(err error) (ok bool) {
	if err == nil {
		return true
	}
	f.Failed = errors.Is(err, ErrNotStored)
	name, text := explain(err)
	if field := f.field(name); field != nil {
		field.Error = text
	} else {
		f.Error = text
	}
	return false
}

// refuseEach shows an error beside each field whose change is invalid. check returns the first
// error of some of the changes. It reports whether all are valid.
func (f *form) refuseEach(changes catalog.ProductPatch, check func(catalog.ProductPatch) error) (ok bool) {
	rest := maps.Clone(changes)
	for ok = true; ; ok = false {
		err := check(rest)
		if f.refuse(err) {
			return ok
		}
		field, _ := explain(err)
		if _, changed := rest[field]; !changed {
			return false
		}
		delete(rest, field)
	}
}

// explain returns the field that an error is about, or "", and a sentence about it.
func explain(err error) (field, text string) {
	invalid, inUse := (*catalog.FieldError)(nil), (*catalog.InUseError)(nil)
	switch {
	case errors.As(err, &invalid):
		field, text = invalid.Field, invalid.Text
	case errors.As(err, &inUse):
		field, text = inUse.Field, inUse.Text
	default:
		text = err.Error()
	}
	return field, pages.Sentence(text)
}

// section returns a section with the form.
func (f *form) section(title string, texts ...string) pages.ManageSection {
	return pages.ManageSection{Title: title, Texts: texts, Form: &f.Form}
}

// list returns the items of a list that is separated by spaces as lines.
func list(items string) string { return strings.Join(strings.Fields(items), "\n") }
