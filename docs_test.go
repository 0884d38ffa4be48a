package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"relcheck/checker/privacy"
)

var shellBlock = regexp.MustCompile("(?s)```sh\n(.*?)```")

// readme FILE writes the README's shell commands to FILE, with the addresses and the
// program of the script.
func readme(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: readme FILE")
	}
	text, err := os.ReadFile("README.md")
	ts.Check(err)
	commands := "trap 'kill $(jobs -p) || true; wait' EXIT\n"
	for _, block := range shellBlock.FindAllStringSubmatch(string(text), -1) {
		commands += block[1]
	}
	commands = strings.NewReplacer("go build", "ln -s $(which relcheck) relcheck", "serve &", "serve --listen $ADDR &",
		"localhost:8080", ts.Getenv("ADDR"), "localhost:8081", ts.Getenv("METRICS")).Replace(commands)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(commands), 0o600))
}

// sources returns the text of all Go files whose names end with suffix.
func sources(t *testing.T, suffix string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, suffix) {
			return err
		}
		text, err := os.ReadFile(path)
		all.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

var (
	docName   = regexp.MustCompile(`--([a-z][a-z-]+)|(relcheck_[a-z_]+)|\]\(([^)#:]+)(#[^)]*)?\)`)
	otherFlag = regexp.MustCompile(`^--(pwprompt|owner|silent|fail|max-time|retry|retry-connrefused|unit|detach|publish|volume|env|directory|purge|install|check|ignore-missing|now)$`) // of programs other than relcheck
)

// TestDocumentedNames checks that the flags, metrics and files that the README and the
// manual name exist.
func TestDocumentedNames(t *testing.T) {
	files, err := filepath.Glob("checker/manual/*.md")
	if err != nil || len(files) == 0 {
		t.Fatalf("no manual: %v", err)
	}
	code := sources(t, ".go")
	for _, file := range append(files, "README.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range docName.FindAllStringSubmatch(string(text), -1) {
			name := m[1] + m[2]
			switch {
			case m[3] != "":
				if _, err := os.Stat(filepath.Join(filepath.Dir(file), m[3])); err != nil {
					t.Errorf("%s: link to %s: %v", file, m[3], err)
				}
			case !otherFlag.MatchString(m[0]) && !strings.Contains(code, `"`+name+`"`):
				t.Errorf("%s: no such flag or metric: %s", file, m[0])
			}
		}
	}
}

// TestGuarantees checks that the tests exist that the review sheet names.
func TestGuarantees(t *testing.T) {
	tests := sources(t, "_test.go")
	for _, g := range privacy.Guarantees {
		for name := range strings.FieldsSeq(g.Tests) {
			if !strings.Contains(tests, "\nfunc "+name+"(") {
				t.Errorf("no such test: %s", name)
			}
		}
	}
}

var testName = regexp.MustCompile(`\b((?:Test|Fuzz)[A-Z]\w*)(?:/(\w+))?|script/\w+\.txtar`)

// TestReliabilityTable checks that every row of testdata/reliability.md names a
// test, and that the tests exist.
func TestReliabilityTable(t *testing.T) {
	table, err := os.ReadFile("testdata/reliability.md")
	if err != nil {
		t.Fatal(err)
	}
	tests := sources(t, "_test.go")
	for line := range strings.Lines(string(table)) {
		names := testName.FindAllStringSubmatch(line, -1)
		if len(names) == 0 && strings.HasPrefix(line, "| ") && !strings.HasSuffix(line, "| tests |\n") {
			t.Errorf("row without a test: %s", line)
		}
		for _, m := range names {
			_, err := os.Stat("testdata/" + m[0]) // of a script
			if err != nil && !(strings.Contains(tests, "\nfunc "+m[1]+"(") && strings.Contains(tests, `"`+m[2]+`"`)) {
				t.Errorf("no such test: %s", m[0])
			}
		}
	}
}
