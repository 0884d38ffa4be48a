package manual

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/yuin/goldmark/ast"
	extended "github.com/yuin/goldmark/extension/ast"

	"relcheck/checker/printable"
)

// indent is the indentation of code blocks, in columns.
const indent = 4

// Text renders Markdown as plain text, and wraps everything except code at a width. Headings
// are passed to bold.
func Text(markdown string, width int, bold func(string) string) string {
	d := parse(markdown)
	for n := range d.nodes() {
		if link, ok := n.(*ast.Link); ok {
			setText(link, d.linkText(link))
		}
	}
	r := &textRenderer{document: d, bold: bold}
	r.blocks(d.root, width, "")
	return strings.TrimLeft(r.out.String(), "\n")
}

// linkText returns the text of a link with where it leads.
func (d *document) linkText(n *ast.Link) string {
	shown, target := d.text(n), string(n.Destination)
	switch topic, _, ok := topicLink(n); {
	case ok && shown == topic+".md":
		return "relcheck help " + topic
	case ok:
		return shown + " (relcheck help " + topic + ")"
	case strings.HasPrefix(target, "#"), target == shown:
		return shown
	}
	return shown + " (" + target + ")"
}

type textRenderer struct {
	*document
	out  strings.Builder
	bold func(string) string
}

// blocks renders the children of a node. Each line begins with a margin, except the first one
// of a list item.
func (r *textRenderer) blocks(parent ast.Node, width int, margin string) {
	for n := parent.FirstChild(); n != nil; n = n.NextSibling() {
		tight := parent.Kind() == ast.KindListItem && (n == parent.FirstChild() || n.Kind() == ast.KindList)
		if !tight {
			r.out.WriteString("\n")
		}
		switch n := n.(type) {
		case *ast.Heading:
			r.out.WriteString(margin + r.bold(r.text(n)) + "\n")
		case *ast.CodeBlock, *ast.FencedCodeBlock:
			for line := range strings.Lines(string(n.Lines().Value(r.source))) {
				r.out.WriteString(strings.TrimRight(margin+strings.Repeat(" ", indent)+line, " \n") + "\n")
			}
		case *ast.List:
			r.list(n, width, margin)
		case *extended.Table:
			r.table(n, width, margin)
		default:
			r.paragraph(printable.Wrap(r.text(n), width-utf8.RuneCountInString(margin)), margin, tight)
		}
	}
}

// paragraph prints lines. The first one follows the mark of a list item if it is marked.
func (r *textRenderer) paragraph(lines []string, margin string, marked bool) {
	for i, line := range lines {
		if i > 0 || !marked {
			line = margin + line
		}
		r.out.WriteString(line + "\n")
	}
}

func (r *textRenderer) list(l *ast.List, width int, margin string) {
	number := l.Start
	for item := l.FirstChild(); item != nil; item = item.NextSibling() {
		mark := "- "
		if l.IsOrdered() {
			mark = fmt.Sprintf("%d. ", number)
			number++
		}
		if !l.IsTight && item != l.FirstChild() {
			r.out.WriteString("\n")
		}
		r.out.WriteString(margin + mark)
		r.blocks(item, width, margin+strings.Repeat(" ", len(mark)))
	}
}

func (r *textRenderer) table(t *extended.Table, width int, margin string) {
	var rows [][]string
	for row := t.FirstChild(); row != nil; row = row.NextSibling() {
		var cells []string
		for cell := row.FirstChild(); cell != nil; cell = cell.NextSibling() {
			cells = append(cells, r.text(cell))
		}
		rows = append(rows, cells)
	}
	widths := columnWidths(rows, width-len(margin))
	rule := make([]string, len(widths))
	for i, w := range widths {
		rule[i] = strings.Repeat("-", w)
	}
	for _, row := range slices.Insert(rows, 1, rule) {
		var cells [][]string
		lines := 1
		for i, cell := range row {
			cells = append(cells, printable.Wrap(cell, widths[i]))
			lines = max(lines, len(cells[i]))
		}
		for n := range lines {
			line := ""
			for i, cell := range cells {
				part := ""
				if n < len(cell) {
					part = cell[n]
				}
				line += part + strings.Repeat(" ", max(0, widths[i]-utf8.RuneCountInString(part))+2)
			}
			r.out.WriteString(margin + strings.TrimRight(line, " ") + "\n")
		}
	}
}

// columnWidths returns the widths of the columns of a table, which are separated by two
// spaces. If they do not fit, the widest columns are narrowed, but not below their longest
// word.
func columnWidths(rows [][]string, width int) []int {
	widths, least := make([]int, len(rows[0])), make([]int, len(rows[0]))
	total := 2 * (len(widths) - 1)
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
			for word := range strings.FieldsSeq(cell) {
				least[i] = max(least[i], utf8.RuneCountInString(word))
			}
		}
	}
	for _, w := range widths {
		total += w
	}
	for ; total > width; total-- {
		widest := -1
		for i, w := range widths {
			if w > least[i] && (widest < 0 || w > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		widths[widest]--
	}
	return widths
}
