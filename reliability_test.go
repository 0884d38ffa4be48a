package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var testName = regexp.MustCompile(`\b((?:Test|Fuzz)[A-Z]\w*)(?:/(\w+))?|script/\w+\.txtar`)

// TestReliabilityTable checks that every row of testdata/reliability.md names a
// test, and that the tests exist.
func TestReliabilityTable(t *testing.T) {
	table, err := os.ReadFile("testdata/reliability.md")
	if err != nil {
		t.Fatal(err)
	}
	var tests strings.Builder
	err = filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		tests.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(table)) {
		names := testName.FindAllStringSubmatch(line, -1)
		if len(names) == 0 && strings.HasPrefix(line, "| ") && !strings.HasSuffix(line, "| tests |\n") {
			t.Errorf("row without a test: %s", line)
		}
		for _, m := range names {
			_, err := os.Stat("testdata/" + m[0]) // of a script
			if err != nil && !(strings.Contains(tests.String(), "\nfunc "+m[1]+"(") && strings.Contains(tests.String(), `"`+m[2]+`"`)) {
				t.Errorf("no such test: %s", m[0])
			}
		}
	}
}
