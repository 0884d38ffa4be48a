package checker_test

import (
	"strings"
	"testing"

	"relcheck/checker"
)

func FuzzVersion(f *testing.F) {
	for _, s := range []string{"0.70.0", "v1.2.3-rc.1+meta", "1", "v", "vv1.2.3", "0.21.0-istio", "01.2.3", "1.2.3-", "２.0.0", ""} {
		f.Add(s, "v1.0.0")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		canonical, core := checker.Canonical(a), checker.Core(a)
		if checker.Canonical(canonical) != canonical || checker.Core(core) != core {
			t.Errorf("%q: canonical %q, core %q are not their own", a, canonical, core)
		}
		if (canonical == "") != (core == "") || !strings.HasPrefix(canonical, core) {
			t.Errorf("%q: canonical %q, core %q", a, canonical, core)
		}
		if checker.Compare(a, b) != -checker.Compare(b, a) || checker.Compare(a, a) != 0 {
			t.Errorf("%q and %q have no order", a, b)
		}
		if canonical != "" && checker.ValidVersion(a) && checker.Compare(a, canonical) != 0 {
			t.Errorf("%q is not equal to %q", a, canonical)
		}
	})
}
