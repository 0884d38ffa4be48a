package pages

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/google/uuid"

	"relcheck/checker"
	"relcheck/checker/stats"
)

// PrivacyData is the part of the configuration that the privacy page describes.
type PrivacyData struct {
	KeepReports, KeepRollups time.Duration // 0 means forever
	PublicStats              bool
	PublicThreshold          int64
}

// privacyPage is what the page on what is received and kept is made from.
type privacyPage struct {
	Fields, Stored, OptOut []term
	Never                  []string
	Sample, Visibility     string
}

// term is something with what there is to say of it.
type term struct{ Name, Text string }

// reportTexts say what each field of a report is. A report can have no other:
// the page is made from its type, and a test wants a text for each.
var reportTexts = map[string]string{
	"id":               "A random UUID of version 4. Every process draws a new one when it starts; it says nothing of the machine or its owner, and nobody can tell which ids are starts of one program.",
	"version":          "The version that runs.",
	"heap_usage_bytes": "The heap in use, in bytes. It may be left out.",
}

// reportFields are the fields of a report as they are on the wire, in order.
func reportFields() (all []term) {
	t := reflect.TypeFor[checker.Report]()
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		all = append(all, term{name, reportTexts[name]})
	}
	return all
}

// Privacy renders the page about what is received, stored and shown.
func Privacy(v Visitor, d PrivacyData) ([]byte, error) {
	return render("privacy", v, "Privacy", newPrivacyPage(d))
}

func newPrivacyPage(o PrivacyData) privacyPage {
	heap := int64(596000)
	sample, err := json.MarshalIndent(checker.Report{ID: uuid.MustParse("08c1d850-6065-478a-b9b5-a8f9f464ad33"), Version: "v0.12.3", HeapUsageBytes: &heap}, "", "  ")
	if err != nil {
		panic(err) // of a constant
	}
	return privacyPage{
		Fields: append(reportFields(), term{"User-Agent", "The header of the request, of which two words are read: the operating system and the architecture, as Go names them. What is no platform of Go's counts as other."}),
		Sample: "POST /v1/version\nUser-Agent: " + checker.UserAgent("Open Policy Agent", "v0.12.3", checker.Platform{OS: "darwin", Arch: "amd64"}) + "\n\n" + string(sample),
		Stored: storedData(o),
		Never: []string{
			"The address that a report comes from.",
			"Names of hosts, users, organisations, or anything that runs beside the program.",
			"Headers of the request, other than the two words above, and keys of its body that no report has.",
			"Anything about policies, data or decisions.",
			"Cookies, but for the one of those who sign in to these pages.",
		},
		Visibility: visibility(o),
		OptOut: []term{
			{"Open Policy Agent", "opa run --disable-telemetry"},
			{"Programs with the Go package", "DO_NOT_TRACK=1"},
		},
	}
}

// forgetAfter is after how long without a report an id is forgotten: a day after it
// would count as a new one.
const forgetAfter = (stats.Silence + 24*60*60) * time.Second

// storedData says what is kept of reports, and for how long.
func storedData(o PrivacyData) []term {
	return []term{
		{"Each report", "The fields above, the platform, and the second in which it came in, for " + formatDuration(o.KeepReports) + ". Then they are deleted."},
		{"Counts by day, week and four weeks", "How many reports, distinct ids and heaps of each size there were, and the highest heap of an id on a day, by version and platform, " + retention(o.KeepRollups) + ". Ids are counted by a sketch from which none can be read."},
		{"Whether an id reported again", fmt.Sprintf("A keyed hash of the id and the times of its first and last report, until it has been silent for %s. The id cannot be told from it.", formatDuration(forgetAfter))},
		{"Questions without an id", "How often each version and platform asked on a day."},
	}
}

func retention(d time.Duration) string {
	if d == 0 {
		return "for good"
	}
	return "for " + formatDuration(d)
}

// formatDuration writes whole days, or else hours; none is without end.
func formatDuration(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d == 0:
		return "good"
	case d%day == 0:
		return plural(int64(d/day), "day", "days")
	}
	return plural(int64(d.Round(time.Hour)/time.Hour), "hour", "hours")
}

func visibility(o PrivacyData) string {
	text := "Figures are for those who have a token, which the operator of this server gives out. They see counts, and never a report or an id."
	if o.PublicStats {
		text = fmt.Sprintf("Everyone sees how many ids there are, rounded down to multiples of %[1]d. What fewer than %[1]d ids have in common counts as other, and is not shown. "+
			"Versions that are not published releases count as other too, and nothing about memory is shown. "+
			"Those who have a token, which the operator of this server gives out, see all counts. Nobody sees a report or an id on these pages.", o.PublicThreshold)
	}
	return text + " The operator can export the reports that are still kept."
}
