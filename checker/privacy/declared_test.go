package privacy

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"relcheck/checker"
	"relcheck/checker/access"
)

// compare reports names that are declared or found twice, or only on one side.
func compare(t *testing.T, what string, declared, found []string) {
	t.Helper()
	slices.Sort(declared)
	slices.Sort(found)
	for _, name := range found {
		if !slices.Contains(declared, name) {
			t.Errorf("%s %s is not in the review sheet: declare what it is, why it exists and how long it is kept", what, name)
		}
	}
	for _, name := range declared {
		if !slices.Contains(found, name) {
			t.Errorf("%s %s is in the review sheet, but does not exist", what, name)
		}
	}
	if len(slices.Compact(slices.Clone(declared))) != len(declared) {
		t.Errorf("%s: some are declared twice: %q", what, declared)
	}
}

func names(all []Field) (list []string) {
	for _, f := range all {
		list = append(list, f.Name)
	}
	return list
}

// TestDeclaredReport checks that the fields which the client sends are declared. A test of
// package server checks those that it reads.
func TestDeclaredReport(t *testing.T) {
	for _, f := range reflect.VisibleFields(reflect.TypeFor[checker.Report]()) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !slices.Contains(names(ReportFields), name) {
			t.Errorf("field %s is not in the review sheet", name)
		}
	}
	compare(t, "purpose of", slices.Collect(maps.Keys(fieldPurposes)), names(ReportFields))
	var known []string
	for _, scope := range access.Scopes {
		known = append(known, string(scope))
	}
	var declared []string
	for scope := range scopes {
		declared = append(declared, string(scope))
	}
	compare(t, "scope", declared, known)
}

var (
	tablePattern  = regexp.MustCompile(`(?s)CREATE TABLE (\w+) \((.*?)\n\);`)
	columnPattern = regexp.MustCompile(`(?m)^\s+"?([a-z_0-9]+)"?\s`)
	anyTable      = regexp.MustCompile(`(?im)^\s*create\s.*\btable\b`)
)

// TestDeclaredStore checks that the tables and columns of the store are declared.
func TestDeclaredStore(t *testing.T) {
	schema, err := os.ReadFile("../../schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	var found, declared []string
	for _, table := range tablePattern.FindAllStringSubmatch(string(schema), -1) {
		for _, column := range columnPattern.FindAllStringSubmatch(table[2], -1) {
			found = append(found, table[1]+"."+column[1])
		}
	}
	for _, table := range Tables {
		for _, column := range append(names(table.Columns), strings.Fields(table.Others)...) {
			declared = append(declared, table.Name+"."+column)
		}
	}
	if want := len(anyTable.FindAllString(string(schema), -1)); len(tablePattern.FindAllString(string(schema), -1)) != want || want == 0 {
		t.Errorf("not all of the %d tables of the schema were read", want)
	}
	compare(t, "column", declared, found)
}

// logCalls are the names of methods of a logger, with the index of the first attribute.
var logCalls = map[string]int{"Debug": 1, "Info": 1, "Warn": 1, "Error": 1, "With": 0}

// otherLogCalls are the methods of a logger whose attributes are not read here.
var otherLogCalls = []string{"Log", "LogAttrs", "DebugContext", "InfoContext", "WarnContext", "ErrorContext"}

// attributeCalls are the functions of package slog that make attributes.
var attributeCalls = []string{"Any", "Bool", "Duration", "Float64", "Group", "GroupAttrs", "Int", "Int64", "String", "Time", "Uint64"}

// TestDeclaredLog checks that the attributes of all calls of a logger are declared, and that
// log messages are constants.
func TestDeclaredLog(t *testing.T) {
	var found []string
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && slices.Contains([]string{"../../tools", "../../.cache", "../../db/pgtest", "../../db/faultfs"}, path): // not part of relcheck
			return fs.SkipDir // for a link, this would skip the rest of the folder
		case entry.IsDir(), !strings.HasSuffix(path, ".go"), strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				found = append(found, attributes(t, path, call)...)
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(found)
	compare(t, "attribute", names(LogAttributes), slices.Compact(found))
}

// attributes returns the names of the attributes of a call, if it is one of a logger.
func attributes(t *testing.T, path string, call *ast.CallExpr) (all []string) {
	method, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || len(call.Args) == 0 || isPackage(method.X, "pages") {
		return nil
	}
	if slices.Contains(otherLogCalls, method.Sel.Name) && len(call.Args) > 1 {
		t.Errorf("%s: this test does not read the attributes of %s: use Debug, Info, Warn or Error", path, method.Sel.Name)
	}
	if isPackage(method.X, "slog") && slices.Contains(attributeCalls, method.Sel.Name) {
		t.Errorf("%s: this test does not read attributes of slog.%s: use pairs of a name and a value", path, method.Sel.Name)
	}
	first, ok := logCalls[method.Sel.Name]
	if !ok || method.Sel.Name == "With" && literal(call.Args[0]) == "" {
		return nil
	}
	if first == 1 && !isMessage(call.Args[0]) {
		t.Errorf("%s: the message of a log line is not a constant", path)
	}
	for i := first; i < len(call.Args); i += 2 {
		name := literal(call.Args[i])
		if name == "" {
			t.Errorf("%s: the name of an attribute of a log line is not a constant", path)
		}
		all = append(all, name)
	}
	return all
}

func isPackage(e ast.Expr, name string) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == name
}

// isMessage reports whether an expression contains only literals and declared variables.
func isMessage(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit:
		return true
	case *ast.BinaryExpr:
		return isMessage(e.X) && isMessage(e.Y)
	case *ast.Ident:
		_, ok := variables[e.Name]
		return ok
	case *ast.SelectorExpr:
		_, ok := variables[e.Sel.Name]
		return ok
	}
	return false
}

// variables may be part of a log message.
var variables = map[string]string{
	"header":  "the name of a header of proxies",
	"ignored": "the name of a header of proxies",
	"shared":  "a constant",
	"text":    "a danger to the store, or a variable without effect",
	"hint":    "a hint about an upstream",
	"what":    "a constant",
	"command": "a command, with the base URL or a product",
}

func literal(e ast.Expr) string {
	if l, ok := e.(*ast.BasicLit); ok && l.Kind == token.STRING {
		s, _ := strconv.Unquote(l.Value)
		return s
	}
	return ""
}
