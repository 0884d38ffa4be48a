package command

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"

	"relcheck/checker/printable"
	"relcheck/checker/stats"
)

// gap is the number of spaces between two columns of a table.
const gap = 2

// grid is a table of text.
type grid struct {
	heads []string
	right []bool // which columns are right-aligned
	rows  [][]text
}

func (g *grid) row(cells ...text) { g.rows = append(g.rows, cells) }

// list is a list in columns. Cells are masked, because they may come from a client or an older
// store. Empty cells are printed as a dash.
type list struct {
	heads   []string
	rows    [][]string
	omitted []string // columns that are left out on a narrow terminal, the last one first
	none    string   // printed on standard error instead of a list without rows
	name    string   // of the array of items in JSON; empty for none
	items   []any
}

func (l *list) row(cells ...string) { l.rows = append(l.rows, cells) }
func (l *list) item(value any)      { l.items = append(l.items, value) }

// list lays out a list. On a terminal that is too narrow for it, it wraps cells, after it has
// omitted columns if words would be broken.
func (s *screen) list(l *list) block {
	heads, omitted, cells := l.heads, l.omitted, make([][]string, len(l.rows))
	for i, row := range l.rows {
		for _, cell := range row {
			cells[i] = append(cells[i], cmp.Or(masked(cell), "-"))
		}
	}
	widths, fits := s.fit(heads, cells)
	for ; !fits && len(omitted) > 0; omitted = omitted[:len(omitted)-1] {
		at := slices.Index(heads, omitted[len(omitted)-1])
		heads = slices.Delete(slices.Clone(heads), at, at+1)
		for i := range cells {
			cells[i] = slices.Delete(cells[i], at, at+1)
		}
		widths, fits = s.fit(heads, cells)
	}
	g := &grid{heads: heads, right: make([]bool, len(heads))}
	for _, row := range cells {
		g.wrapped(row, widths)
	}
	return s.grid(g)
}

// wrapped adds a row whose cells may take several lines.
func (g *grid) wrapped(row []string, widths []int) {
	lines := make([][]string, len(row))
	most := 0
	for i, cell := range row {
		lines[i] = []string{cell}
		if utf8.RuneCountInString(cell) > widths[i] {
			lines[i] = wrapWords(cell, widths[i])
		}
		most = max(most, len(lines[i]))
	}
	for n := range most {
		line := make([]text, len(row))
		for i := range line {
			if n < len(lines[i]) {
				line[i] = newText(lines[i][n])
			}
		}
		g.row(line...)
	}
}

// wrapWords wraps a text, and breaks words that are longer than width.
func wrapWords(text string, width int) (lines []string) {
	for _, line := range printable.Wrap(text, width) {
		for r := []rune(line); ; r = r[width:] {
			if len(r) <= width {
				lines = append(lines, string(r))
				break
			}
			lines = append(lines, string(r[:width]))
		}
	}
	return lines
}

// narrowest is the width of the narrowest column whose words are broken.
const narrowest = 12

// fit returns the widths of columns, so that a list fits on a terminal if possible, and reports
// whether no word has to be broken for that. Heads are wrapped by [screen.grid].
func (s *screen) fit(heads []string, rows [][]string) (widths []int, fits bool) {
	words, urls := make([]int, len(heads)), make([]int, len(heads))
	for i, head := range heads {
		words[i] = longestWord(head)
	}
	widths = slices.Clone(words)
	for _, row := range rows {
		for i, cell := range row {
			widths[i], words[i] = max(widths[i], utf8.RuneCountInString(cell)), max(words[i], longestWord(cell))
			if strings.Contains(cell, "://") { // stays whole, so that it can be copied
				urls[i] = max(urls[i], longestWord(cell))
			}
		}
	}
	wrapped := slices.Clone(widths)
	if !s.fancy || s.shrink(wrapped, words) {
		return wrapped, true
	}
	for i := range words {
		words[i] = min(words[i], max(narrowest, urls[i]))
	}
	s.shrink(widths, words)
	return widths, false
}

func longestWord(text string) (width int) {
	for word := range strings.FieldsSeq(text) {
		width = max(width, utf8.RuneCountInString(word))
	}
	return width
}

// shrink makes the widest columns narrower, but not narrower than least, until all fit. It
// reports whether they do.
func (s *screen) shrink(widths, least []int) bool {
	total := gap * (len(widths) - 1)
	for _, w := range widths {
		total += w
	}
	for ; total > s.width; total-- {
		widest := -1
		for i, w := range widths {
			if w > least[i] && (widest < 0 || w > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return false
		}
		widths[widest]--
	}
	return true
}

// grid lays out a table. Heads that are wider than their column are wrapped.
func (s *screen) grid(g *grid) (b block) {
	widths := make([]int, len(g.heads))
	for _, row := range g.rows {
		for i, cell := range row {
			widths[i] = max(widths[i], cell.width)
		}
	}
	for _, head := range s.heads(g, widths) {
		b = append(b, s.styled(g.line(head, widths), faint))
	}
	for _, row := range g.rows {
		b = append(b, g.line(row, widths))
	}
	return b
}

// heads returns the lines of the heads, and widens columns for them.
func (s *screen) heads(g *grid, widths []int) [][]text {
	broken, most := make([][]string, len(g.heads)), 1
	for i, head := range g.heads {
		room := widths[i]
		if !s.fancy {
			room = len(head) // programs expect one line
		}
		broken[i] = printable.Wrap(strings.ToUpper(head), room)
		most = max(most, len(broken[i]))
		for _, line := range broken[i] {
			widths[i] = max(widths[i], len(line))
		}
	}
	lines := make([][]text, most)
	for n := range lines {
		lines[n] = make([]text, len(g.heads))
		for i, b := range broken {
			if at := n - (most - len(b)); at >= 0 {
				lines[n][i] = newText(b[at])
			}
		}
	}
	return lines
}

func (g *grid) line(cells []text, widths []int) (line text) {
	for i, cell := range cells {
		if i > 0 {
			line = line.plus(newText(strings.Repeat(" ", gap)))
		}
		line = line.plus(cell.padded(widths[i], g.right[i]))
	}
	return line
}

// table shows one table of a view. Without a terminal, it has no title and notes.
func (s *screen) table(v *stats.View, t *stats.Table) (b block) {
	t = t.Shown()
	if !s.fancy {
		return s.rows(t, 0)
	}
	title := s.styled(newText(masked(v.Product.Title)+": "+t.Title), bold)
	b = append(b, title.plus(s.styled(newText("  "+describe(v.Query)), faint)), text{})
	if says := v.Query.Answer(t, show).Text; says != "" {
		b = append(append(b, plain(printable.Wrap(says, s.width)...)...), text{})
	}
	if len(t.Rows) == 0 {
		b = append(b, plain("No data in this range.")...)
	} else {
		b = append(b, s.rows(t, s.width)...)
	}
	b = append(b, text{})
	for _, line := range printable.Wrap(masked(t.Note), s.width) {
		b = append(b, s.styled(newText(line), faint))
	}
	return b
}

// describe returns the range and the filter of a query.
func describe(q stats.Query) string {
	text := q.From.String() + " to " + q.To.String()
	for _, only := range []string{q.Version, q.OS, q.Arch} {
		if only != "" {
			text += ", " + masked(only)
		}
	}
	return text
}

// rows shows the rows of a table, with bars for its shares if there is room.
func (s *screen) rows(t *stats.Table, width int) block {
	g, shares := &grid{}, -1
	for i, c := range t.Columns {
		if c == stats.ColInstallationShare && !t.Has(stats.ColShare) {
			c.Head = stats.ColShare.Head // there is no other
		}
		g.heads = append(g.heads, c.Head)
		g.right = append(g.right, c.Kind != stats.Text && c.Kind != stats.Date)
		if c.Kind == stats.Share {
			shares = i
		}
	}
	for _, values := range t.Rows {
		row := make([]text, len(t.Columns))
		for i, c := range t.Columns {
			row[i] = newText(show(c.Kind, values[i]))
			if values[i] == nil {
				row[i] = newText(absent(t.Name, c))
			}
		}
		g.row(row...)
	}
	b := s.grid(g)
	if shares >= 0 {
		b = beside(b, s.bars(t, shares, len(b)-len(t.Rows), width-b.width()-gap), gap)
	}
	return b
}

// absent is shown instead of a missing value.
func absent(table string, c stats.Column) string {
	switch {
	case table == "heap" && c.Kind == stats.Text:
		return "all"
	case c == stats.ColReleases:
		return "unknown"
	}
	return "-"
}

// maxBarWidth is the width of the longest bar in columns.
const maxBarWidth = 40

// bars draws the shares of a table, scaled to the largest, below the lines of the heads.
func (s *screen) bars(t *stats.Table, column, heads, room int) block {
	room = min(room, maxBarWidth)
	if !s.fancy || room < 6 {
		return nil
	}
	most := 0.0
	for _, row := range t.Rows {
		if share, ok := row[column].(float64); ok {
			most = max(most, share)
		}
	}
	if most == 0 {
		return nil
	}
	b := make(block, heads, heads+len(t.Rows))
	for _, row := range t.Rows {
		share, _ := row[column].(float64)
		b = append(b, s.styled(bar(share/most, room), blue))
	}
	return b
}
