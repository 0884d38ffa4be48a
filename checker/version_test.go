package checker_test

import (
	"testing"

	"relcheck/checker"
)

func TestVersions(t *testing.T) {
	for v, want := range map[string][2]string{ // canonical, core
		"v1.2.3":              {"v1.2.3", "v1.2.3"},
		"1.2.3":               {"v1.2.3", "v1.2.3"},
		"1.2":                 {"v1.2.0", "v1.2.0"},
		"0.21.0-istio":        {"v0.21.0-istio", "v0.21.0"},
		"1.0.0-rc.1+build.5":  {"v1.0.0-rc.1", "v1.0.0"},
		"v2.0.0+incompatible": {"v2.0.0", "v2.0.0"},
		"01.2.3":              {"", ""},
		"1.2.3.4":             {"", ""},
		"dev":                 {"", ""},
		"":                    {"", ""},
	} {
		if got := [2]string{checker.Canonical(v), checker.Core(v)}; got != want {
			t.Errorf("%q: got %q, want %q", v, got, want)
		}
	}
}

func TestVersionOrder(t *testing.T) {
	order := []string{"dev", "0.9.0", "v0.10.0-rc.1", "0.10.0-rc.2", "v0.10.0", "1.0.0"}
	for i, a := range order {
		for j, b := range order {
			want := 0
			switch {
			case i < j:
				want = -1
			case i > j:
				want = 1
			}
			if got := checker.Compare(a, b); got != want {
				t.Errorf("%s against %s: got %d, want %d", a, b, got, want)
			}
		}
	}
}
