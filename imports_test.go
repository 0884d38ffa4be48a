package main

import (
	"os/exec"
	"strings"
	"testing"
)

// Only tests, and packages for tests, may import packages for tests.
func TestImportsOfTestPackages(t *testing.T) {
	forTests := map[string]bool{"relcheck/checker/stats/statstest": true, "relcheck/db/pgtest": true, "relcheck/db/faultfs": true, "relcheck/checker/bundle/bundletest": true}
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}`, "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	found := 0
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if forTests[fields[0]] {
			found++
			continue
		}
		for _, imported := range fields[1:] {
			if forTests[imported] {
				t.Errorf("%s imports %s, want it imported by tests only", fields[0], imported)
			}
		}
	}
	if found != len(forTests) {
		t.Errorf("got %d packages for tests in the list, want %d", found, len(forTests))
	}
}
