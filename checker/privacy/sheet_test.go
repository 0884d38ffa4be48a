package privacy

import (
	"strings"
	"testing"
	"time"
)

var config = Config{Base: "https://releases.example.com", KeepReports: 36 * time.Hour, KeepRollups: 400 * 24 * time.Hour,
	Hosting: [][2]string{{"store", "relcheck.db"}}, Connections: []string{"none"}}

// TestSheets checks that page and review sheet show the settings, and the same about data.
func TestSheets(t *testing.T) {
	page, policy := Page(config), Policy(config, "v1.0.0")
	for _, want := range []string{"Deleted after 36 hours.", "Deleted after 400 days.", "POST /v1/version HTTP/1.1\n", "DO_NOT_TRACK=1", "`report`"} {
		if !strings.Contains(page, want) || !strings.Contains(policy, want) {
			t.Errorf("%q is missing in the page or the review sheet:\n%s", want, policy)
		}
	}
	_, data, _ := strings.Cut(page, "\n## ") // what follows the introduction
	for line := range strings.Lines(data) {
		if !strings.Contains(policy, line) {
			t.Errorf("the review sheet lacks a line of the page: %s", line)
		}
	}
	for _, table := range Tables {
		for _, column := range table.Columns {
			if want := "| `" + table.Name + "." + column.Name + "` | " + column.Text; !strings.Contains(policy, want) {
				t.Errorf("the review sheet lacks %s", want)
			}
		}
	}
}

// TestPublicFigures checks that the sheets mention public figures only if there are some.
func TestPublicFigures(t *testing.T) {
	public := config
	public.PublicStats, public.PublicThreshold = true, 17
	if got := Page(public); !strings.Contains(got, "Figures below 17 are not shown.") {
		t.Errorf("the threshold is missing: %s", got)
	}
	if got := Page(config); strings.Contains(got, "Figures below") {
		t.Errorf("there are no public figures: %s", got)
	}
}
