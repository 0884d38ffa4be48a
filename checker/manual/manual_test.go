package manual

import (
	"html"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/yuin/goldmark/ast"
)

// TestTopics checks that each file is a topic, and that the README lists all topics in order.
func TestTopics(t *testing.T) {
	entries, err := files.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if topic, ok := Find(strings.TrimSuffix(e.Name(), ".md")); !ok {
			t.Errorf("%s is not a topic", e.Name())
		} else if topic.Title == "" || !strings.HasPrefix(topic.Text, "# "+topic.Title+"\n") {
			t.Errorf("%s does not begin with its title", e.Name())
		}
	}
	if len(entries) != len(Topics()) {
		t.Errorf("got %d files and %d topics", len(entries), len(Topics()))
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(readme), "\n## Manual\n")
	var listed []string
	for _, m := range regexp.MustCompile(`(?m)^\| \[[^\]]+\]\(checker/manual/([a-z-]+)\.md\) \|`).FindAllStringSubmatch(table, -1) {
		listed = append(listed, m[1])
	}
	if !slices.Equal(listed, names) {
		t.Errorf("the README lists %q, want %q", listed, names)
	}
}

// TestLinks checks that the links of the README and of all topics lead to a topic and a
// heading that exist, or to another server.
func TestLinks(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{"README": strings.ReplaceAll(string(readme), "](checker/manual/", "](")}
	for _, topic := range Topics() {
		texts[topic.Name] = topic.Text
	}
	anchors := map[string][]string{}
	for name, text := range texts {
		_, headings, err := HTML(text, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range headings {
			anchors[name] = append(anchors[name], h.ID)
		}
	}
	for name, text := range texts {
		d := parse(text)
		for n := range d.nodes() {
			link, ok := n.(*ast.Link)
			if !ok {
				continue
			}
			target := string(link.Destination)
			topic, anchor, _ := topicLink(link)
			switch {
			case strings.HasPrefix(target, "https://"):
				continue
			case strings.HasPrefix(target, "#"):
				topic, anchor = name, target
			case name == "README" && texts[topic] == "":
				if _, err := os.Stat("../../" + target); err != nil {
					t.Errorf("%s: link to %s: %v", name, target, err)
				}
				continue
			}
			if texts[topic] == "" || anchor != "" && !slices.Contains(anchors[topic], anchor[1:]) {
				t.Errorf("%s: broken link to %s", name, target)
			}
		}
	}
}

var (
	tags   = regexp.MustCompile(`<[^>]*>`)
	spaces = regexp.MustCompile(`\s+`)
)

func squeeze(s string) string { return spaces.ReplaceAllString(s, " ") }

// words counts the words of a text.
func words(text string) map[string]int {
	counts := map[string]int{}
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		counts[word]++
	}
	return counts
}

// prose returns all text without the texts of links, which look different in each form.
func (d *document) prose() string {
	var b strings.Builder
	for n := range d.nodes() {
		if t, ok := n.(*ast.Text); ok && t.Parent().Kind() != ast.KindLink {
			b.WriteString(string(t.Value(d.source)) + " ")
		}
	}
	return b.String()
}

// TestSameContents checks that a page and the text for terminals have all headings, all lines
// of code and all words of a topic.
func TestSameContents(t *testing.T) {
	for _, topic := range Topics() {
		page, _, err := HTML(topic.Text, "/docs")
		if err != nil {
			t.Fatal(err)
		}
		rendered := map[string]string{
			"page": topic.Title + html.UnescapeString(tags.ReplaceAllString(string(page), " ")),
			"text": Text(topic.Text, 80, func(s string) string { return s }),
		}
		for form, text := range rendered {
			rendered[form] = squeeze(text)
		}
		d, n := parse(topic.Text), 0
		for form, text := range rendered {
			got := words(text)
			for word, count := range words(d.prose()) {
				if got[word] < count {
					t.Errorf("%s, %s: %q is there %d times, want %d", topic.Name, form, word, got[word], count)
				}
			}
		}
		for node := range d.nodes() {
			var want []string
			switch node := node.(type) {
			case *ast.Heading:
				want = []string{d.text(node)}
			case *ast.CodeBlock, *ast.FencedCodeBlock:
				want = strings.Split(string(node.Lines().Value(d.source)), "\n")
			}
			for _, part := range want {
				n++
				for form, text := range rendered {
					if !strings.Contains(text, squeeze(part)) {
						t.Errorf("%s, %s: %q is missing", topic.Name, form, part)
					}
				}
			}
		}
		if n < 3 {
			t.Errorf("%s: got %d headings and lines of code", topic.Name, n)
		}
	}
}

// TestText checks the layout of all kinds of blocks.
func TestText(t *testing.T) {
	const markdown = "# Title\n\nSee [backups.md](backups.md#doctor), [limits](server.md), [below](#x) and\n[Go](https://go.dev).\n\n" +
		"- one two three four five six\n- `b`\n\n  ```sh\n  ls   -l\n  ```\n\n1. first\n2. second\n\n| name | text |\n|---|---|\n| `--db` | a store with a long description |\n"
	const want = `Title

See relcheck help backups, limits
(relcheck help server), below and Go
(https://go.dev).

- one two three four five six

- b

      ls   -l

1. first
2. second

name  text
----  ------------------------------
--db  a store with a long
      description
`
	if got := Text(markdown, 36, func(s string) string { return s }); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	const table, narrow = "| flag | text |\n|---|---|\n| `--long-flag` | two words |\n", `flag         text
-----------  -----
--long-flag  two
             words
`
	if got := Text(table, 18, func(s string) string { return s }); got != narrow {
		t.Errorf("narrow table: got:\n%s\nwant:\n%s", got, narrow)
	}
}

// TestHTML checks that links lead to pages, and that wide parts scroll.
func TestHTML(t *testing.T) {
	got, headings, err := HTML("# Title\n\n## A & B\n\n[backups.md](backups.md#doctor)\n\n```sh\nls <x>\n```\n\n|a|b & c|\n|---|---|\n|d|e|\n", "/base/docs")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`<h2 id="a--b">`, `<a href="/base/docs/backups#doctor">backups</a>`, `<pre tabindex="0"><code class="language-sh">ls &lt;x&gt;`, `<div class="scroll"`, "<td>d</td>", `<td data-head="b &amp; c">e</td>`} {
		if !strings.Contains(string(got), want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if strings.Contains(string(got), "Title") || !slices.Equal(headings, []Heading{{2, "A & B", "a--b"}}) {
		t.Errorf("got headings %v", headings)
	}
}
