package manual

import (
	"bytes"
	"fmt"
	"html/template"
	"strings"

	"github.com/yuin/goldmark/ast"
	east "github.com/yuin/goldmark/extension/ast"
)

// Heading is a heading of the second or third level. It can be linked to by its ID.
type Heading struct {
	Level    int
	Text, ID string
}

// parts makes wide parts of a page scroll inside themselves.
var parts = strings.NewReplacer("<pre><code", `<pre tabindex="0"><code`,
	"<table>", `<div class="scroll" role="group" tabindex="0" aria-label="Table"><table class="stack">`, "</table>", "</table></div>")

// HTML renders Markdown below its title, and returns its headings. Links to other topics begin
// with the path docs. The text must be trusted.
func HTML(markdown, docs string) (template.HTML, []Heading, error) {
	d := parse(markdown)
	var headings []Heading
	for n := range d.nodes() {
		switch n := n.(type) {
		case *ast.Heading:
			if id, ok := n.AttributeString("id"); ok && n.Level > 1 {
				headings = append(headings, Heading{n.Level, d.text(n), string(id.([]byte))})
			}
		case *ast.Link:
			if topic, anchor, ok := topicLink(n); ok {
				if d.text(n) == topic+".md" {
					setText(n, topic)
				}
				n.Destination = []byte(docs + "/" + topic + anchor)
			}
		case *east.Table:
			d.labelCells(n)
		}
	}
	if title, ok := d.root.FirstChild().(*ast.Heading); ok && title.Level == 1 {
		d.root.RemoveChild(d.root, title)
	}
	var b bytes.Buffer
	if err := converter().Renderer().Render(&b, d.source, d.root); err != nil {
		return "", nil, fmt.Errorf("render Markdown: %w", err)
	}
	return template.HTML(parts.Replace(b.String())), headings, nil
}

// labelCells gives each cell the head of its column, unless it is the first of its row. Narrow
// windows show it in front of the cell.
func (d *document) labelCells(table *east.Table) {
	head := table.FirstChild()
	for row := head.NextSibling(); row != nil; row = row.NextSibling() {
		column := head.FirstChild()
		for cell := row.FirstChild(); cell != nil && column != nil; cell, column = cell.NextSibling(), column.NextSibling() {
			if cell != row.FirstChild() {
				cell.SetAttributeString("data-head", []byte(d.text(column)))
			}
		}
	}
}
