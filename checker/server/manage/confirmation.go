package manage

import (
	"net/http"
	"slices"
	"strings"

	"relcheck/checker/server/pages"
)

// confirmation asks before a change that destroys something or that clients notice.
type confirmation struct {
	title  string
	what   []string // what the change does; each is a sentence
	now    []string // the same, for figures that change all the time; shown after the first of what
	typed  string   // what has to be typed, or empty
	button string
	danger bool
	cancel string // URL of the page to go back to
	change func() error
	next   string // URL of the next page
	done   string // what the change has done, as a sentence
}

// confirm shows what a change does, or makes it. If what it does has changed since the page
// was shown, it shows the page again.
func (s *Service) confirm(r *Request, p *Product, c confirmation) *Answer {
	f := newForm(r, "", c.button)
	f.Danger, f.Cancel = c.danger, c.cancel
	what := fingerprint(strings.Join(c.what, "\n"))
	f.Fields = append(f.Fields, &pages.Field{Name: "seen", Kind: pages.Computed, Value: what})
	var typed *pages.Field
	if c.typed != "" {
		typed = f.add(pages.Field{Name: "typed", Label: "Type " + c.typed + " to confirm", Required: true})
	}
	status := http.StatusOK
	switch {
	case !f.wasSent():
	case f.sent.Get("seen") != what:
		f.Error, status = "Nothing was changed, because what this does has changed meanwhile. Read it again.", http.StatusConflict
	case typed != nil && typed.Value != c.typed:
		typed.Error = "This is not " + c.typed + "."
	case f.refuse(c.change()):
		return done(c.next, c.done)
	}
	a := page(c.title, p, pages.ManageSection{List: slices.Insert(c.what, 1, c.now...), Form: &f.Form})
	if status != http.StatusOK {
		a.Status = status
	}
	return a
}
