package command

import (
	"strings"
	"testing"
)

// TestPrintList checks that a cell stays in its line and column, and sends no control
// characters to a terminal.
func TestPrintList(t *testing.T) {
	var out strings.Builder
	err := printList(&out, []string{"name", "title", "state"}, [][]string{{"a\tb", "\x1b[31mred\u202e\n", ""}, {"long name", "x", "latest"}})
	if err != nil {
		t.Fatal(err)
	}
	want := "NAME       TITLE       STATE\n" +
		"a\ufffdb        \ufffd[31mred\ufffd\ufffd  -\n" +
		"long name  x           latest\n"
	if got := out.String(); got != want {
		t.Errorf("got\n%q, want\n%q", got, want)
	}
}
