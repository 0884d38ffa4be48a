package main

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// pageWidth is the width of a page in columns, without its margin.
const pageWidth = 72

var (
	table  = regexp.MustCompile(`(?s)\.TS\nallbox;\n.*? \.\n(.*?)\n\.TE`)
	markup = regexp.MustCompile(`\\f[A-Z]|\\&`)
)

// wrapTables gives the columns of all tables a width, and wraps their cells.
func wrapTables(page string) string {
	return table.ReplaceAllStringFunc(page, func(found string) string {
		text := strings.NewReplacer("T{\n", "", "\nT}", "").Replace(table.FindStringSubmatch(found)[1])
		var rows [][]string
		for line := range strings.SplitSeq(text, "\n") {
			rows = append(rows, strings.Split(line, "\t"))
		}
		var b strings.Builder
		b.WriteString(".TS\nallbox;\n")
		for _, width := range columnWidths(rows) {
			fmt.Fprintf(&b, "lw(%dn) ", width)
		}
		b.WriteString(".\n")
		for _, row := range rows {
			for i, cell := range row {
				if i > 0 {
					b.WriteByte('\t')
				}
				b.WriteString("T{\n" + cell + "\nT}")
			}
			b.WriteByte('\n')
		}
		return b.String() + ".TE"
	})
}

// columnWidths divides the width of the page among columns: the widest are narrowed first.
func columnWidths(rows [][]string) []int {
	widths := make([]int, len(rows[0]))
	total := 3 * len(widths)
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(markup.ReplaceAllString(cell, "")))
		}
	}
	for _, w := range widths {
		total += w
	}
	for ; total > pageWidth; total-- {
		widest := 0
		for i, w := range widths {
			if w > widths[widest] {
				widest = i
			}
		}
		widths[widest]--
	}
	return widths
}
