// Package markdown renders release notes as safe HTML for a page of the service. The result
// contains no HTML of the notes, runs no script and loads nothing.
package markdown

import (
	"bytes"
	"html"
	"html/template"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	extended "github.com/yuin/goldmark/extension/ast"
	renderhtml "github.com/yuin/goldmark/renderer/html"
	gmtext "github.com/yuin/goldmark/text"

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
		goldmark.WithRendererOptions(renderhtml.WithHardWraps()))
})

// Render renders notes in GitHub's Markdown. Links open only web addresses. Images become
// links. Tags are removed, and their text remains.
func Render(text string) template.HTML {
	if depth(text) > maxDepth || strings.Count(text, "](") > maxLinks {
		return plain(text)
	}
	source := []byte(text)
	root := converter().Parser().Parse(gmtext.NewReader(source))
	simplify(root, source)
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

// simplify replaces what notes must not contain, and shifts the levels of headings so that
// the highest is firstHeading.
func simplify(root ast.Node, source []byte) {
	var nodes []ast.Node
	highest, links, nested := 6, 0, map[ast.Node]bool{} // links in a link
	ast.Walk(root, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if entering {
			nodes = append(nodes, n)
		}
		switch n := n.(type) {
		case *ast.Heading:
			highest = min(highest, n.Level)
		case *ast.Link, *ast.Image:
			if entering {
				nested[n] = links > 0
				links++
			} else {
				links--
			}
		}
		return ast.WalkContinue, nil
	})
	for _, n := range slices.Backward(nodes) {
		switch n := n.(type) {
		case *ast.Heading:
			n.Level = min(n.Level-highest+firstHeading, 6)
		case *ast.Link:
			setLink(n, n.Destination, nested[n])
		case *ast.Image:
			if n.FirstChild() == nil {
				n.AppendChild(n, textNode("Image"))
			}
			setLink(n, n.Destination, nested[n])
		case *ast.AutoLink:
			n.AppendChild(n, textNode(string(n.Label(source))))
			setLink(n, n.URL(source), n.AutoLinkType != ast.AutoLinkURL)
		case *ast.RawHTML:
			n.Parent().RemoveChild(n.Parent(), n)
		case *ast.HTMLBlock:
			raw := n.Lines().Value(source)
			if n.HasClosure() {
				raw = append(bytes.Clone(raw), n.ClosureLine.Value(source)...)
			}
			if text := strings.TrimSpace(html.UnescapeString(tag.ReplaceAllString(string(raw), ""))); text != "" {
				p := ast.NewParagraph()
				p.AppendChild(p, textNode(text))
				n.Parent().InsertBefore(n.Parent(), n, p)
			}
			n.Parent().RemoveChild(n.Parent(), n)
		case *extended.TaskCheckBox:
			box := "☐ "
			if n.IsChecked {
				box = "☑ "
			}
			n.Parent().ReplaceChild(n.Parent(), n, textNode(box))
		}
	}
}

// tag matches a tag, a comment, a script or a style.
var tag = regexp.MustCompile(`(?is)<!--.*?(?:-->|$)|<script\b.*?(?:</script>|$)|<style\b.*?(?:</style>|$)|<[^>]*>`)

func textNode(text string) ast.Node {
	s := ast.NewString([]byte(text))
	s.SetRaw(true) // without entities and escapes
	return s
}

// setLink replaces a node by a link with its children, or by its children if plain is set or
// the target is not a web address.
func setLink(n ast.Node, target []byte, plain bool) {
	parent, before := n.Parent(), n
	u, err := url.Parse(string(target))
	if !plain && err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil {
		link := ast.NewLink()
		link.Destination = []byte(html.EscapeString(u.String())) // the renderer resolves entities
		link.SetAttributeString("rel", []byte("noreferrer nofollow"))
		parent.InsertBefore(parent, n, link)
		parent, before = link, nil
	}
	for c := n.FirstChild(); c != nil; c = n.FirstChild() {
		parent.InsertBefore(parent, before, c)
	}
	n.Parent().RemoveChild(n.Parent(), n)
}
