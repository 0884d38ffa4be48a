package manual

import (
	"iter"
	"strings"
	"sync"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
)

// converter is created on first use, because most processes render nothing.
var converter = sync.OnceValue(func() goldmark.Markdown {
	return goldmark.New(goldmark.WithParserOptions(parser.WithAutoHeadingID()),
		goldmark.WithExtensions(extension.NewTable(extension.WithTableCellAlignMethod(extension.TableCellAlignAttribute))))
})

// document is a parsed text in Markdown.
type document struct {
	root   ast.Node
	source []byte
}

func parse(markdown string) *document {
	source := []byte(markdown)
	return &document{converter().Parser().Parse(text.NewReader(source)), source}
}

// nodes returns all nodes, each before its children.
func (d *document) nodes() iter.Seq[ast.Node] {
	return func(yield func(ast.Node) bool) {
		ast.Walk(d.root, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
			if entering && !yield(n) {
				return ast.WalkStop, nil
			}
			return ast.WalkContinue, nil
		})
	}
}

// text returns the text of a node without its markup.
func (d *document) text(n ast.Node) string {
	var b strings.Builder
	ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		switch n := n.(type) {
		case *ast.Text:
			if entering {
				b.Write(n.Value(d.source))
				if n.SoftLineBreak() {
					b.WriteByte(' ')
				}
			}
		case *ast.String:
			if entering {
				b.Write(n.Value)
			}
		}
		return ast.WalkContinue, nil
	})
	return b.String()
}

// topicLink returns the topic that a link leads to, and the anchor in it with its #, or "".
func topicLink(n *ast.Link) (topic, anchor string, ok bool) {
	path, fragment, found := strings.Cut(string(n.Destination), "#")
	topic, ok = strings.CutSuffix(path, ".md")
	if found {
		anchor = "#" + fragment
	}
	return topic, anchor, ok && !strings.Contains(topic, "/")
}

// setText replaces the children of a node by a text.
func setText(n ast.Node, text string) {
	n.RemoveChildren(n)
	n.AppendChild(n, ast.NewString([]byte(text)))
}
