package systemtest

import (
	"strings"
	"testing"
)

// A store that trusts its own key creates a bundle since another one.
func TestBundleSinceWithTrustedKey(t *testing.T) {
	n := newClosedNetwork(t, 1, 1, 1000)
	n.relcheck("key", "trust", "@key.pub", "--db", "@outside.db")
	n.relcheck("file", "fetch", "app", "--db", "@outside.db", "--files", "@outside")
	n.relcheck("bundle", "create", "@first.bundle", "--db", "@outside.db", "--files", "@outside", "--key", "@key")
	n.relcheck("bundle", "create", "@next.bundle", "--since", "@first.bundle", "--db", "@outside.db", "--files", "@outside", "--key", "@key")
}

// A bundle does not change the settings of a product that exists. bundle apply names the
// settings without which answers can link to servers that clients do not reach.
func TestBundleHint(t *testing.T) {
	n := newClosedNetwork(t, 1, 1, 1000)
	n.relcheck("bundle", "create", "@first.bundle", "--db", "@outside.db", "--key", "@key")
	n.relcheck("bundle", "create", "@second.bundle", "--db", "@outside.db", "--key", "@key")
	for _, test := range []struct {
		store, settings string
		exists, hint    bool
	}{
		{store: "new"},
		{store: "unchanged", exists: true, hint: true},
		{store: "set", settings: "--links=hosted-only", exists: true},
	} {
		db := "@" + test.store + ".db"
		n.relcheck("key", "trust", "@key.pub", "--db", db)
		if test.exists {
			n.relcheck("product", "add", "app", "--db", db)
		}
		if test.settings != "" {
			n.relcheck("product", "set", "app", test.settings, "--db", db)
		}
		for _, file := range []string{"@first.bundle", "@second.bundle"} {
			out, status := relcheckStatus(t, n.args([]string{"bundle", "apply", file, "--db", db})...)
			if got := strings.Contains(out, "relcheck product set app --links hosted-only --notes-here"); status != 0 || got != test.hint {
				t.Errorf("%s store: got status %d and hint %t, want hint %t:\n%s", test.store, status, got, test.hint, out)
			}
		}
	}
}
