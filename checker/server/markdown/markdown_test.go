package markdown

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
)

func TestRender(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", ""},
		{"# Changes\n\nThis *is* **new**.", "<h4>Changes</h4>\n<p>This <em>is</em> <strong>new</strong>.</p>\n"},
		{"## A\n### B\n# C\n##### D", "<h5>A</h5>\n<h6>B</h6>\n<h4>C</h4>\n<h6>D</h6>\n"},
		{"##### A", "<h4>A</h4>\n"},
		{"one\ntwo", "<p>one<br>\ntwo</p>\n"},
		{"* a\n* b", "<ul>\n<li>a</li>\n<li>b</li>\n</ul>\n"},
		{"- [x] done\n- [ ] open", "<ul>\n<li>☑ done</li>\n<li>☐ open</li>\n</ul>\n"},
		{"`a<b`", "<p><code>a&lt;b</code></p>\n"},
		{"```go\na < b\n```", "<pre><code class=\"language-go\">a &lt; b\n</code></pre>\n"},
		{"|a|b|\n|-|-:|\n|1|2|", "<table>\n<thead>\n<tr>\n<th>a</th>\n<th align=\"right\">b</th>\n</tr>\n</thead>\n<tbody>\n<tr>\n<td>1</td>\n<td align=\"right\">2</td>\n</tr>\n</tbody>\n</table>\n"},
		{"[a](https://e.com/?a=1&b=2)", `<p><a href="https://e.com/?a=1&amp;b=2" rel="noreferrer nofollow">a</a></p>` + "\n"},
		{"see https://e.com/x.", `<p>see <a href="https://e.com/x" rel="noreferrer nofollow">https://e.com/x</a>.</p>` + "\n"},
		{"by @a in #12", "<p>by @a in #12</p>\n"},
		{"me@e.com <me@e.com>", "<p>me@e.com me@e.com</p>\n"},
		{"[a](/inside) [b](#c) [d](../e)", "<p>a b d</p>\n"},
		{"[a](javascript:alert(1)) [b](data:text/html,x) [c](JaVaScRiPt:x) [d](//e.com/) [e](ftp://e.com/)", "<p>a b c d e</p>\n"},
		{"[a](https://u:p@e.com/)", "<p>a</p>\n"},
		{"[a](https://e.com/%zz)", "<p>a</p>\n"},
		{"![a picture](https://e.com/a.png)", `<p><a href="https://e.com/a.png" rel="noreferrer nofollow">a picture</a></p>` + "\n"},
		{"![](https://e.com/a.png)", `<p><a href="https://e.com/a.png" rel="noreferrer nofollow">Image</a></p>` + "\n"},
		{"[![badge](https://e.com/b.svg)](https://e.com/)", `<p><a href="https://e.com/" rel="noreferrer nofollow">badge</a></p>` + "\n"},
		{"a <b onclick=x>bold</b> c", "<p>a bold c</p>\n"},
		{"<!-- generated -->\nText", "<p>Text</p>\n"},
		{"<details>\n<summary>More &lt;x&gt;</summary>\n\n* a\n\n</details>", "<p>More &lt;x&gt;</p>\n<ul>\n<li>a</li>\n</ul>\n"},
		{"<script>alert(1)</script>\n", ""},
		{"<style>b{}</style>\n", ""},
		{"<img src=x onerror=alert(1)>", ""},
		{"a\u202eb &#x202e;c &#8203;d\x00e\u00a0f\r\ng", "<p>ab c d e f<br>\ng</p>\n"},
		{"&lt;script&gt;", "<p>&lt;script&gt;</p>\n"},
	} {
		if got := string(Render(c.text)); got != c.want {
			t.Errorf("Render(%q)\n got %q\nwant %q", c.text, got, c.want)
		}
	}
}

// TestRenderTime compares the time for notes of the maximum size that are slow to render with
// that for plain text of the same size. Rendering that is not linear takes thousands of times
// as long.
func TestRenderTime(t *testing.T) {
	const size, most = 64 << 10, 600
	begun := time.Now()
	for range 5 {
		Render(strings.Repeat("plain text ", size/11))
	}
	limit := time.Since(begun) / 5 * most
	for _, pattern := range []string{">", "> ", "- ", "[", "![", "[a](", "*", "*a ", "_a_", "`", "`a``", "<", "<a", "<!--", "&", "&amp;", "|", "|a|\n", "|-", "\n", "1. ", "# ", "\\",
		"http://", "www.a.", "a@b.", "~~a", "[a]: b\n", "[a][", "- a\n\n", "<details>\n", "```\n", "    a\n", "a\t", "\x00", "\xff", "*_", "((((", "[a](<", " - ", "\t-\t", "  1) "} {
		text := strings.Repeat(pattern, size/len(pattern))
		begun := time.Now()
		got := Render(text)
		if took := time.Since(begun); took > limit {
			t.Errorf("%d times %q took %v, want less than %v, %d times that of plain text", size/len(pattern), pattern, took, limit, most)
		}
		checkSafe(t, text[:10], string(got))
	}
	grown := strings.Builder{}
	for i := 0; grown.Len() < size; i++ {
		grown.WriteString(strings.Repeat(" ", 2*i) + "- a\n")
	}
	begun = time.Now()
	Render(grown.String())
	if took := time.Since(begun); took > limit {
		t.Errorf("nested lists took %v, want less than %v", took, limit)
	}
}

// allowed are the elements of rendered notes.
var allowed = regexp.MustCompile(`^(h[4-6]|p|br|em|strong|del|code|pre|ul|ol|li|a|hr|blockquote|table|thead|tbody|tr|th|td)$`)

// checkSafe checks that HTML has only the elements and attributes of rendered notes.
func checkSafe(t *testing.T, text, rendered string) {
	t.Helper()
	for z := html.NewTokenizer(strings.NewReader(rendered)); ; {
		kind := z.Next()
		if kind == html.ErrorToken {
			return
		}
		if kind == html.TextToken || kind == html.CommentToken {
			continue
		}
		token := z.Token()
		if !allowed.MatchString(token.Data) {
			t.Errorf("Render(%q): got element %q in %.500s", text, token.Data, rendered)
		}
		for _, a := range token.Attr {
			web := strings.HasPrefix(a.Val, "https://") || strings.HasPrefix(a.Val, "http://")
			switch {
			case token.Data == "a" && a.Key == "href" && web, token.Data == "a" && a.Key == "rel", token.Data == "code" && a.Key == "class", a.Key == "align",
				token.Data == "ol" && a.Key == "start":
			default:
				t.Errorf("Render(%q): got attribute %s=%q of %q in %.500s", text, a.Key, a.Val, token.Data, rendered)
			}
		}
	}
}

func FuzzRender(f *testing.F) {
	for _, seed := range []string{"# a\n[b](https://c)", "<b onclick=a>", "![a](javascript:b)", "[a]: https://b 'c'\n[a]", "<a href=\"b\">", "{#id onclick=a}\n# h {#x}", "|a|\n|-|\n|<b>|", "<https://a\"onmouseover=b>"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) { checkSafe(t, text, string(Render(text))) })
}
