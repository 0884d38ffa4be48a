package command

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// columns prints a list in columns. Cells are masked, because they may come from a
// client or an older store. Empty cells are printed as a dash.
type columns struct{ out *tabwriter.Writer }

func newColumns(out io.Writer, heads ...string) columns {
	c := columns{tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)}
	c.row(heads...)
	return c
}

func (c columns) row(cells ...string) {
	for i, cell := range cells {
		if cells[i] = masked(cell); cell == "" {
			cells[i] = "-"
		}
	}
	fmt.Fprintln(c.out, strings.Join(cells, "\t"))
}

func (c columns) flush() error { return c.out.Flush() }
