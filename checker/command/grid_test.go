package command

import (
	"strings"
	"testing"
)

// TestPrintList checks that each cell stays in its line and column, and that no control
// characters are printed.
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
