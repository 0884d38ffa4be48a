// Package markdown renders release notes as safe HTML for a page of the service. The result
// contains no HTML of the notes, runs no script and loads nothing.
package markdown

import (
	"bytes"
	"html/template"
	"net/url"
	"strings"
	"sync"
	"unicode"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	extended "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/renderer/html"
	gmtext "github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
	tokens "golang.org/x/net/html"

	"relcheck/checker/printable"
)

// maxDepth is the maximum number of nested blocks, and maxLinks the maximum number of
// links. Notes with more are shown as plain text, because the time to parse them grows
// quadratically.
const maxDepth, maxLinks = 50, 2000

// firstHeading is the level of the highest headings of notes. The page itself uses the
// levels above.
const firstHeading = 4

// converter is created on first use, because most processes show no notes.
var converter = sync.OnceValue(func() goldmark.Markdown {
	return goldmark.New(
		goldmark.WithExtensions(extension.Linkify, extension.Strikethrough, extension.TaskList,
			extension.NewTable(extension.WithTableCellAlignMethod(extension.TableCellAlignAttribute))),
		goldmark.WithRendererOptions(html.WithHardWraps(), renderer.WithNodeRenderers(util.Prioritized(nodes{}, 0))))
})

// Render renders notes in GitHub's Markdown. Links open only web addresses. Images become
// links. Tags are removed, and their text remains.
func Render(text string) template.HTML {
	if depth(text) > maxDepth || strings.Count(text, "](") > maxLinks {
		return plain(text)
	}
	source := []byte(text)
	root := converter().Parser().Parse(gmtext.NewReader(source))
	shiftHeadings(root)
	var b bytes.Buffer
	if err := converter().Renderer().Render(&b, source, root); err != nil {
		return plain(text)
	}
	return clean(b.String())
}

func plain(text string) template.HTML {
	return clean("<pre>" + template.HTMLEscapeString(text) + "</pre>\n")
}

// clean removes characters that hide text or change its order, even if they were written as
// entities.
func clean(rendered string) template.HTML {
	return template.HTML(strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t', printable.Rune(r):
			return r
		case unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point), r == '\r':
			return -1
		}
		return ' '
	}, rendered))
}

// depth returns an upper limit for the number of blocks that a line of the text opens.
func depth(text string) (deepest int) {
	for line := range strings.Lines(text) {
		n := 0
		for i, c := range []byte(line) {
			switch {
			case c == '>':
				n++
			case strings.IndexByte("-+*.)", c) >= 0 && i+1 < len(line) && strings.IndexByte(" \t\r\n", line[i+1]) >= 0:
				n++
			case strings.IndexByte(" \t0123456789-+*.)", c) < 0: // the text begins
				deepest = max(deepest, n, (i-n)/2)
				n = -1
			}
			if n < 0 {
				break
			}
		}
		deepest = max(deepest, n)
	}
	return deepest
}

// nodes renders the nodes that goldmark would render differently.
type nodes struct{}

func (nodes) RegisterFuncs(r renderer.NodeRendererFuncRegisterer) {
	r.Register(ast.KindHeading, heading)
	r.Register(ast.KindLink, link)
	r.Register(ast.KindAutoLink, autoLink)
	r.Register(ast.KindImage, image)
	r.Register(ast.KindRawHTML, nothing)
	r.Register(ast.KindHTMLBlock, htmlBlock)
	r.Register(extended.KindTaskCheckBox, checkBox)
}

func nothing(util.BufWriter, []byte, ast.Node, bool) (ast.WalkStatus, error) {
	return ast.WalkSkipChildren, nil
}

// shiftHeadings shifts the levels of headings so that the highest is firstHeading.
func shiftHeadings(root ast.Node) {
	var headings []*ast.Heading
	highest := 6
	ast.Walk(root, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if h, ok := n.(*ast.Heading); ok && entering {
			headings = append(headings, h)
			highest = min(highest, h.Level)
		}
		return ast.WalkContinue, nil
	})
	for _, h := range headings {
		h.Level = min(h.Level-highest+firstHeading, 6)
	}
}

func heading(w util.BufWriter, _ []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	level := byte('0' + n.(*ast.Heading).Level)
	if entering {
		w.Write([]byte{'<', 'h', level, '>'})
	} else {
		w.Write([]byte{'<', '/', 'h', level, '>', '\n'})
	}
	return ast.WalkContinue, nil
}

// checkBox renders a check box as text.
func checkBox(w util.BufWriter, _ []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	if entering {
		box := "☐ "
		if n.(*extended.TaskCheckBox).IsChecked {
			box = "☑ "
		}
		w.WriteString(box)
	}
	return ast.WalkContinue, nil
}

func link(w util.BufWriter, _ []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	anchor(w, string(n.(*ast.Link).Destination), entering)
	return ast.WalkContinue, nil
}

// image renders a link to the image with its description.
func image(w util.BufWriter, _ []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	target := string(n.(*ast.Image).Destination)
	for up := n.Parent(); up != nil; up = up.Parent() {
		if k := up.Kind(); k == ast.KindLink || k == ast.KindImage { // links cannot be nested
			target = ""
		}
	}
	anchor(w, target, entering)
	if entering && n.FirstChild() == nil {
		w.WriteString("Image")
	}
	return ast.WalkContinue, nil
}

func autoLink(w util.BufWriter, source []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	if !entering {
		return ast.WalkContinue, nil
	}
	auto := n.(*ast.AutoLink)
	target := ""
	if auto.AutoLinkType == ast.AutoLinkURL {
		target = string(auto.URL(source))
	}
	anchor(w, target, true)
	w.Write(util.EscapeHTML(auto.Label(source)))
	anchor(w, target, false)
	return ast.WalkContinue, nil
}

// anchor writes the start or the end of a link. It writes nothing if the destination is not
// a web address.
func anchor(w util.BufWriter, target string, entering bool) {
	u, err := url.Parse(target)
	switch {
	case err != nil, u.Scheme != "https" && u.Scheme != "http", u.Host == "", u.User != nil:
	case entering:
		w.WriteString(`<a href="` + template.HTMLEscapeString(u.String()) + `" rel="noreferrer nofollow">`)
	default:
		w.WriteString("</a>")
	}
}

// htmlBlock renders the text of HTML.
func htmlBlock(w util.BufWriter, source []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	if !entering {
		return ast.WalkContinue, nil
	}
	block := n.(*ast.HTMLBlock)
	raw := block.Lines().Value(source)
	if block.HasClosure() {
		raw = append(bytes.Clone(raw), block.ClosureLine.Value(source)...)
	}
	if text := strings.TrimSpace(textOf(raw)); text != "" {
		w.WriteString("<p>" + template.HTMLEscapeString(text) + "</p>\n")
	}
	return ast.WalkContinue, nil
}

// textOf returns the text of HTML without tags, comments, scripts and styles.
func textOf(raw []byte) string {
	var text strings.Builder
	hidden := false
	for z := tokens.NewTokenizer(bytes.NewReader(raw)); ; {
		switch z.Next() {
		case tokens.ErrorToken:
			return text.String()
		case tokens.TextToken:
			if !hidden {
				text.Write(z.Text())
			}
		case tokens.StartTagToken:
			name, _ := z.TagName()
			hidden = string(name) == "script" || string(name) == "style"
		case tokens.EndTagToken:
			hidden = false
		}
	}
}
