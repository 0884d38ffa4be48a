package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// tests are what there is of a package's tests: their names, and all texts in
// them, among which are the names of their parts.
type tests struct{ names, texts map[string]bool }

// testsOf reads the test files below a folder, by the names of their packages.
func testsOf(t *testing.T, folder string) map[string]tests {
	t.Helper()
	all := map[string]tests{}
	err := filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		name := strings.TrimSuffix(file.Name.Name, "_test")
		if all[name].names == nil {
			all[name] = tests{map[string]bool{}, map[string]bool{}}
		}
		all[name].read(file)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var testName = regexp.MustCompile(`^(Test|Fuzz)[A-Z]`)

func (p tests) read(file *ast.File) {
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && testName.MatchString(f.Name.Name) && f.Name.Name != "TestMain" {
			p.names[f.Name.Name] = true
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if text, ok := n.(*ast.BasicLit); ok && text.Kind == token.STRING {
			if s, err := strconv.Unquote(text.Value); err == nil {
				p.texts[s] = true
			}
		}
		return true
	})
}

// reference begins a name of a test. What stands between two of them may have
// spaces, for parts of tests do.
var reference = regexp.MustCompile(`(?:^| )(?:[a-z]+\.(?:Test|Fuzz)|script/)`)

// references splits a cell of the table into the names of tests.
func references(cell string) (all []string) {
	cell = strings.TrimSpace(cell)
	starts := reference.FindAllStringIndex(cell, -1)
	if cell != "" && (len(starts) == 0 || starts[0][0] != 0) {
		return []string{cell} // which is none
	}
	for i, at := range starts {
		end := len(cell)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		all = append(all, strings.TrimSpace(cell[at[0]:end]))
	}
	return all
}

// missing tells why a name is not that of a test, or nothing.
func missing(name string, all map[string]tests) string {
	if script, ok := strings.CutPrefix(name, "script/"); ok {
		if _, err := os.Stat(filepath.Join("testdata/script", script)); err != nil {
			return "there is no such script"
		}
		return ""
	}
	name, part, _ := strings.Cut(name, "/")
	pkg, name, _ := strings.Cut(name, ".")
	switch {
	case !all[pkg].names[name]:
		return "there is no such test"
	case part != "" && !all[pkg].texts[part]:
		return "it has no such part"
	}
	return ""
}

// faults lists what is wrong with a table of promises, a line each.
func faults(table string, all map[string]tests) (wrong []string) {
	rows := 0
	for i, line := range strings.Split(table, "\n") {
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|---") || strings.HasSuffix(line, "| tests |") {
			continue
		}
		rows++
		cells := strings.Split(strings.Trim(line, "|"), "|")
		names := references(cells[len(cells)-1])
		if len(cells) != 3 || len(names) == 0 {
			wrong = append(wrong, fmt.Sprintf("line %d: %d cells and %d tests; a row has a fault, a promise, and one test at least", i+1, len(cells), len(names)))
		}
		for _, name := range names {
			if why := missing(name, all); why != "" {
				wrong = append(wrong, fmt.Sprintf("line %d: %s: %s", i+1, name, why))
			}
		}
	}
	if rows == 0 {
		wrong = append(wrong, "there are no rows")
	}
	return wrong
}

// TestReliability holds the table of what relcheck withstands to the tests that
// there are.
func TestReliability(t *testing.T) {
	table, err := os.ReadFile("testdata/reliability.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range faults(string(table), testsOf(t, ".")) {
		t.Error(fault)
	}
}

// The control: each of these rows is wrong.
func TestReliabilityFindsFaults(t *testing.T) {
	all := testsOf(t, ".")
	for row, want := range map[string]string{
		"| a | b | db.TestConformance/HangUp server.TestErrors/too large, chunked script/token.txtar |": "",
		"":                                 "there are no rows",
		"| a | b | |":                      "0 tests",
		"| a | db.TestOneWriter |":         "2 cells",
		"| a | b | TODO |":                 "no such test",
		"| a | b | db.TestNone |":          "db.TestNone: there is no such test",
		"| a | b | server.TestOneWriter |": "there is no such test",
		"| a | b | db.TestMain |":          "there is no such test",
		"| a | b | db.TestConformance/NoSuchPart |":                   "it has no such part",
		"| a | b | script/none.txtar |":                               "there is no such script",
		"| a | b | db.TestOneWriter db.TestNone script/token.txtar |": "db.TestNone: there is no such test",
	} {
		got := strings.Join(faults(row, all), "; ")
		if (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", row, got, want)
		}
	}
}
