package pages

import (
	"html/template"
	"slices"

	"relcheck/checker/manual"
)

// docsPage is a page of text in Markdown: a topic of the manual, its contents, or the privacy
// page.
type docsPage struct {
	Title         string
	Headings      []manual.Heading
	Text          template.HTML
	Topics        []manual.Topic // of the contents
	Before, After *manual.Topic
}

// Docs renders the contents of the manual.
func Docs(v Visitor) ([]byte, error) {
	text := template.HTML("<p>In a terminal, <code>relcheck help TOPIC</code> prints the same texts.</p>")
	return render("docs", v, "Manual", docsPage{Title: "Manual", Text: text, Topics: manual.Topics()})
}

// Topic renders a topic of the manual.
func Topic(v Visitor, t manual.Topic) ([]byte, error) {
	all := manual.Topics()
	page := docsPage{Title: t.Title}
	i := slices.Index(all, t)
	if i > 0 {
		page.Before = &all[i-1]
	}
	if i < len(all)-1 {
		page.After = &all[i+1]
	}
	return v.markdown(page, t.Text)
}

// Privacy renders the sheet about what is received, stored and shown.
func Privacy(v Visitor, sheet string) ([]byte, error) {
	return v.markdown(docsPage{Title: "Privacy"}, sheet)
}

// markdown renders a page with a text in Markdown.
func (v Visitor) markdown(page docsPage, text string) (_ []byte, err error) {
	if page.Text, page.Headings, err = manual.HTML(text, v.Root+"/docs"); err != nil {
		return nil, err
	}
	return render("docs", v, page.Title, page)
}
