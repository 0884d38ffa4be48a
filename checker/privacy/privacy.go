// Package privacy declares all data that relcheck receives, stores and logs, and describes it
// for the page /privacy and for relcheck policy. Tests compare the declarations with the
// decoder of reports, the schema of the store and the calls of the logger.
package privacy

import (
	"fmt"
	"time"

	"relcheck/checker/stats/rollup"
)

// Config is the part of a server's configuration that decides what happens to data.
type Config struct {
	// Base is the URL of the service.
	Base string
	// KeepReports and KeepRollups are how long reports and statistics are kept (0: forever).
	KeepReports, KeepRollups time.Duration
	// PublicStats publishes figures of at least PublicThreshold networks.
	PublicStats     bool
	PublicThreshold int64
	// Hosting describes how the service runs, as pairs of a setting and its value.
	Hosting [][2]string
	// Connections are the machines that the service connects to.
	Connections []string
}

// Field is a piece of data with its meaning.
type Field struct{ Name, Text string }

// ReportFields are the fields of a report, and the headers that are read from its request.
var ReportFields = []Field{
	{"id", "The instance ID: a random version 4 UUID. Every process generates a new one when it starts. It contains nothing about the machine or its owner, and two starts of one program cannot be linked. A program that sends `last` can leave it out."},
	{"version", "The version that is running."},
	{"heap_usage_bytes", "The heap in use, in bytes. Optional."},
	{"last", "The day of the service's last answer to the installation, or null before the first. It counts installations without identifying them, and is not stored with the report. Programs without a state file do not send it."},
	{"os", "The operating system, for programs that cannot set their User-Agent. Optional."},
	{"arch", "The architecture, for the same programs. Optional."},
	{"User-Agent", "A header of the request. The operating system and the architecture are read from it, and from a check also the version. A platform that Go does not support counts as other."},
}

// fieldPurposes are the purposes of the fields of a report.
var fieldPurposes = map[string]string{
	"id":               "count each process once",
	"version":          "answer whether it is up to date; count versions",
	"heap_usage_bytes": "compare the memory usage of versions",
	"last":             "count installations without an identifier",
	"os":               "choose the download; count platforms",
	"arch":             "choose the download; count platforms",
	"User-Agent":       "choose the download; count platforms",
}

// Table is a table of the store. Columns about clients are explained one by one.
type Table struct {
	Name, Text, Purpose string
	Kept                func(Config) string
	Columns             []Field
	Others              string // names of further columns, separated by spaces
}

func forever(Config) string { return "Never deleted." }

func withProduct(Config) string { return "Until the product is removed." }

func asReports(c Config) string { return kept(c.KeepReports) }

func asRollups(c Config) string { return kept(c.KeepRollups) }

func until(text string) func(Config) string { return func(Config) string { return text } }

func kept(d time.Duration) string {
	if d == 0 {
		return "Never deleted."
	}
	return "Deleted after " + days(d) + "."
}

// days formats a duration in days, or in hours if it is not whole days.
func days(d time.Duration) string {
	n, unit := d/(24*time.Hour), "day"
	if d%(24*time.Hour) != 0 {
		n, unit = d.Round(time.Hour)/time.Hour, "hour"
	}
	if n != 1 {
		unit += "s"
	}
	return fmt.Sprintf("%d %s", n, unit)
}

// forgetAfter is the time without a report after which an instance is forgotten. That is
// a day after it would count as a new instance.
const forgetAfter = (rollup.MaxSilence + 24*60*60) * time.Second
