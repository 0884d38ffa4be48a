package access_test

import (
	"testing"

	"relcheck/checker/access"
)

func TestAuditSentence(t *testing.T) {
	for want, a := range map[string]access.AuditEntry{
		"Changed release v1.0.0: title.":                         {Action: access.ReleaseChanged, Detail: "v1.0.0: title"},
		"Changed the settings of the product: title, hidden.":    {Action: access.ProductChanged, Detail: "title, hidden"},
		"Added the product.":                                     {Action: access.ProductAdded},
		"Removed the product with its reports.":                  {Action: access.ProductRemoved, Detail: "with its reports"},
		"Synced 2 releases: 2 added, 0 changed, 0 unchanged.":    {Action: access.ReleasesSynced, Detail: "2 releases: 2 added, 0 changed, 0 unchanged"},
		"Created a sign-in link for token k2x7q4mw.":             {Action: access.LinkAdded, Detail: "k2x7q4mw"},
		"Applied a bundle: counts of site a through 2026-11-28.": {Action: access.BundleApplied, Detail: "counts of site a through 2026-11-28"},
		"release.painted red.":                                   {Action: "release.painted", Detail: "red"},
	} {
		if got := a.Sentence(); got != want {
			t.Errorf("%s: got sentence %q, want %q", a.Action, got, want)
		}
	}
}
