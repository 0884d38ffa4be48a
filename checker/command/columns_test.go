package command

import (
	"strings"
	"testing"
)

// A cell stays one cell in one line, and sends nothing to a terminal.
func TestColumns(t *testing.T) {
	var out strings.Builder
	c := newColumns(&out, "NAME", "TITLE", "STATE")
	c.row("a\tb", "\x1b[31mred\u202e\n", "")
	c.row("long name", "x", "latest")
	if err := c.flush(); err != nil {
		t.Fatal(err)
	}
	want := "NAME       TITLE       STATE\n" +
		"a\ufffdb        \ufffd[31mred\ufffd\ufffd  -\n" +
		"long name  x           latest\n"
	if got := out.String(); got != want {
		t.Errorf("got\n%q, want\n%q", got, want)
	}
}
