package pages

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"relcheck/checker"
	"relcheck/checker/stats/rollup"
)

// PrivacyData is the part of the configuration that the privacy page describes.
type PrivacyData struct {
	KeepReports, KeepRollups time.Duration // 0 means forever
	PublicStats              bool
	PublicThreshold          int64
}

type privacyPage struct {
	Fields, Stored, OptOut []term
	Never                  []string
	Sample, Visibility     string
	ClientState            string
}

type term struct{ Name, Text string }

// reportFields explains the fields of a report. A test checks that they are complete.
var reportFields = []term{
	{"id", "The instance ID, a random version 4 UUID. Every process generates a new one when it starts. It contains nothing about the machine or its owner, and two starts of one program cannot be linked. A program that sends last can leave it out."},
	{"version", "The version that is running."},
	{"heap_usage_bytes", "The heap in use, in bytes. It is optional."},
	{"last", "The day of this service's last answer to the installation, or null if it has had none yet. It counts installations without identifying them, and is not stored with the report. Programs without a state file do not send it."},
	{"os, arch", "The operating system and the architecture, for programs that cannot set their User-Agent. They are optional."},
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
		Fields: append(slices.Clone(reportFields), term{"User-Agent", "A header of the request. The operating system and the architecture are read from it, and from a check also the version. A platform that Go does not support counts as other."}),
		Sample: "POST /v1/version\nUser-Agent: " + checker.UserAgent("Open Policy Agent", "v0.12.3", checker.Platform{OS: "darwin", Arch: "amd64"}) + "\n\n" + string(sample),
		Stored: storedData(o),
		Never: []string{
			"The IP address that a report comes from.",
			"Names of hosts, users or organizations, or of anything else that runs on the machine.",
			"Request headers, except the platform and, for a check, the version in the User-Agent.",
			"Unknown keys of the request body.",
			"Anything about policies, data or decisions.",
			"Cookies, except the sign-in session of these pages.",
		},
		ClientState: "Nothing, unless the program or its user names a state file. The file is a short text. For each product and service it has a line with the date of the last answer, " +
			"such as 2026-11-28, and the address of the service with the product. Deleting the file is harmless: the installation counts as new once more. A program never stores its instance ID.",
		Visibility: visibility(o),
		OptOut: []term{
			{"Open Policy Agent", "opa run --disable-telemetry"},
			{"Programs with the Go package", "DO_NOT_TRACK=1"},
		},
	}
}

// forgetAfter is the time without a report after which an instance is forgotten. That is
// a day after it would count as a new instance.
const forgetAfter = (rollup.MaxSilence + 24*60*60) * time.Second

// storedData lists what is stored about reports and checks, and for how long.
func storedData(o PrivacyData) []term {
	all := []term{
		{"Each report", "The fields above, the platform, and the time of receipt to the second. Instead of the day of the last answer, it has whether the report is the first of its day. " + retention(o.KeepReports)},
		{"Counts by day, week and four weeks", "By version and platform: how many reports, distinct instances and heaps of each size there were, and the highest heap of an instance on a day. Instances are counted by a sketch that does not reveal instance IDs. " + retention(o.KeepRollups)},
		{"Counts of installations by day", "By version and platform: how many reports were the first of an installation on a day, in a week and in four weeks, how many installations were new, and how many came back after 7 or 28 days. They contain nothing about a single installation. " + retention(o.KeepRollups)},
		{"Whether an instance reported again", fmt.Sprintf("A keyed hash of the instance ID and the times of its first and last report, until the instance has sent nothing for %s. The instance ID cannot be derived from the hash.", formatDuration(forgetAfter))},
		{"Checks", "How often programs of each version and platform checked for the latest release on a day, without an instance ID."},
	}
	if o.PublicStats {
		all = append(all, term{"Numbers of networks", "From how many networks (IPv4 /24 or IPv6 /48) each product was reported on a day, by minor line, operating system and architecture, until the public figures of the week are made. No network is stored in any form: networks are compared in memory only, as hashes with a key that changes every day."})
	}
	return all
}

func retention(d time.Duration) string {
	if d == 0 {
		return "Never deleted."
	}
	return "Deleted after " + formatDuration(d) + "."
}

// formatDuration formats a duration in days, or in hours if it is not whole days.
func formatDuration(d time.Duration) string {
	const day = 24 * time.Hour
	if d%day == 0 {
		return plural(int64(d/day), "day", "days")
	}
	return plural(int64(d.Round(time.Hour)/time.Hour), "hour", "hours")
}

func visibility(o PrivacyData) string {
	text := "Only people with a token from the operator of this server see statistics. They see counts, but never a report or an instance ID."
	if o.PublicStats {
		text = fmt.Sprintf("Once a week, everyone sees from about how many networks each product is reported, by published minor line, operating system and architecture. "+
			"Random noise limits what anyone can learn from the figures about a single network; the page of each product states the guarantee. Figures below %d are not shown. "+
			"People with a token from the operator of this server see counts of instances. These pages never show a report or an instance ID.", o.PublicThreshold)
	}
	return text + " The operator can export the reports that are still stored."
}
