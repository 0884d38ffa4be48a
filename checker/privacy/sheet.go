package privacy

import (
	"fmt"
	"strings"
	"sync"

	"relcheck/checker"
	"relcheck/checker/access"
)

// examples are reports by the URL of the service. Each is made once, because it contains the
// memory usage of this process.
var examples sync.Map

// example returns a report as the client sends it.
func example(base string) string {
	c := checker.Client{Product: "opa", Version: "v0.70.0", Platform: checker.Platform{OS: "linux", Arch: "amd64"}, URL: base}
	text, err := c.Preview()
	if err != nil {
		return err.Error()
	}
	kept, _ := examples.LoadOrStore(base, strings.ReplaceAll(text, "\r\n", "\n"))
	return kept.(string)
}

// sheet is a text in Markdown.
type sheet struct{ strings.Builder }

func (s *sheet) line(format string, args ...any) { fmt.Fprintf(s, format+"\n", args...) }

// table writes a table. Cells must not contain a bar.
func (s *sheet) table(heads string, rows [][]string) {
	s.line("\n| %s |\n|%s", heads, strings.Repeat("---|", strings.Count(heads, "|")+1))
	for _, row := range rows {
		s.line("| %s |", strings.Join(row, " | "))
	}
}

func (s *sheet) list(items ...string) {
	s.line("")
	for _, item := range items {
		s.line("- %s", item)
	}
}

// Page returns the text of the page /privacy, in Markdown.
func Page(c Config) string {
	s := new(sheet)
	s.line("# Privacy\n\nPrograms send this service the version that they run, and it answers with the latest release. This page lists " +
		"everything that is received, what is stored here and by the programs and for how long, and what is never stored. It is made by the program itself, from its settings.")
	s.data(c)
	s.access(c)
	s.off()
	return s.String()
}

// Policy returns the review sheet of a service, in Markdown. It says everything that Page says.
func Policy(c Config, version string) string {
	s := new(sheet)
	s.line("# Review sheet: version reports to %s\n\nFor reviewers of a project whose programs report to this service. relcheck %s has made this sheet from the "+
		"settings of one server and from its own definitions; tests of relcheck fail if data is received, stored or logged that is not listed here.", c.Base, version)
	s.line("\n## Hosting")
	var rows [][]string
	for _, pair := range c.Hosting {
		rows = append(rows, []string{pair[0], pair[1]})
	}
	s.table("setting | value", rows)
	s.line("\nThe service connects to these machines and to no others:")
	s.list(c.Connections...)
	s.data(c)
	s.columns()
	s.access(c)
	s.off()
	s.guarantees(c)
	return s.String()
}

// data describes what is received, stored and logged.
func (s *sheet) data(c Config) {
	s.line("\n## What a report contains")
	var rows [][]string
	for _, f := range ReportFields {
		rows = append(rows, []string{"`" + f.Name + "`", f.Text, fieldPurposes[f.Name]})
	}
	s.table("field | content | purpose", rows)
	s.line("\nA complete report as it is sent, byte by byte:\n\n```http\n%s\n```", example(c.Base))
	s.line("\nUnknown keys are ignored. Programs that only check for the latest release send no report. They send at most their version and platform, " +
		"as above or in the address. Of other update clients, the version and the platform are read, and nothing else that they send is stored.")
	s.line("\n## What a program stores\n\nNothing, unless the program or its user names a state file. The file is a short text. For each product and service it " +
		"has a line with the date of the last answer, such as 2026-11-28, and the address of the service with the product. Deleting the file is harmless: " +
		"the installation counts as new once more. A program never stores its instance ID.")
	s.line("\n## What is stored, and for how long")
	rows = nil
	for _, t := range Tables {
		rows = append(rows, []string{t.Text, t.Purpose, t.Kept(c), "`" + t.Name + "`"})
	}
	s.table("data | purpose | kept | table", rows)
	s.line("\nBackups contain what the store contained, and are kept as long as the operator keeps them.")
	s.line("\n## What is logged\n\nMessages of the program, with these attributes. They contain nothing that a client has sent, and not its address. " +
		"A proxy in front of the server has a log of its own, which may contain addresses: that is up to the operator.")
	rows = nil
	for _, f := range LogAttributes {
		rows = append(rows, []string{"`" + f.Name + "`", f.Text})
	}
	s.table("attribute | content", rows)
	s.line("\n## What is never stored or logged")
	s.list("The IP address that a report comes from. Rate limits and public figures need it: they keep it in memory only, as a hash with a key that changes every day.",
		"Names of hosts, users or organizations, or of anything else that runs on the machine.",
		"Request headers, except the platform and, for a check, the version in the User-Agent.",
		"Unknown keys of the request body.",
		"Anything about policies, data or decisions.",
		"Cookies, except the sign-in session of these pages, which is stored as a hash.")
}

// columns lists the columns of the store.
func (s *sheet) columns() {
	s.line("\n## Every column of the store")
	var rows [][]string
	for _, t := range Tables {
		for _, f := range t.Columns {
			rows = append(rows, []string{"`" + t.Name + "." + f.Name + "`", f.Text})
		}
		if t.Others != "" {
			rows = append(rows, []string{"`" + t.Name + "`", "nothing about clients: " + strings.ReplaceAll(t.Others, " ", ", ")})
		}
	}
	s.table("column | content", rows)
}

// scopes describe what a token of each scope permits.
var scopes = map[access.Scope]string{
	access.Read:    "see statistics, which are counts, and metrics; list releases",
	access.Release: "list, publish and withdraw releases; see no statistics",
	access.Admin:   "everything, also change products, upstreams, tokens, keys and sites",
}

func (s *sheet) access(c Config) {
	s.line("\n## What is shown\n\nWithout a token or a sign-in, nothing is shown that depends on reports%s", map[bool]string{
		false: ".",
		true: fmt.Sprintf(", except the public figures: once a week, from about how many networks each product is reported, by published minor line, operating system and architecture. "+
			"Random noise limits what anyone can learn from them about a single network. Figures below %d are not shown.", c.PublicThreshold),
	}[c.PublicStats])
	var rows [][]string
	for _, scope := range access.Scopes {
		rows = append(rows, []string{"`" + string(scope) + "`", scopes[scope]})
	}
	s.table("scope of a token | allows", rows)
	s.line("\nNo page and no answer of the API shows a single report or an instance ID. The operator can export the reports that are still stored with `relcheck export`, " +
		"and counts without small ones, for the statistics of another store, with `relcheck bundle counts`.")
}

func (s *sheet) off() {
	s.line("\n## How to turn it off")
	s.table("program | switch", [][]string{
		{"Open Policy Agent", "`opa run --disable-telemetry`"},
		{"programs with the Go package", "`DO_NOT_TRACK=1`, or `PRODUCT_DISABLE_TELEMETRY=1` for one product"},
		{"programs with the Go package, in code", "`checker.Client.Disabled`"},
	})
	s.line("\nA disabled client opens no connection and looks up no name.")
}

// Guarantee is a promise, with the names of the tests that show it.
type Guarantee struct{ Text, Tests string }

// Guarantees are the promises of the service and of its client.
var Guarantees = []Guarantee{
	{"Addresses, headers and unknown data of requests are not in the store, its backups, the log or the metrics.", "TestNothingPrivateIsStored"},
	{"The client sends nothing else than the report above.", "TestGolden"},
	{"A disabled client opens no connection, looks up no name and starts no goroutine.", "TestDisabled"},
	{"Deleted reports are overwritten in the SQLite file; with PostgreSQL, VACUUM removes them.", "TestExpiredReportsAreErased"},
	{"This sheet lists everything that is received, stored and logged.", "TestDeclaredReport TestDeclaredStore TestDeclaredLog"},
}

func (s *sheet) guarantees(c Config) {
	s.line("\n## Guarantees")
	var rows [][]string
	for _, g := range Guarantees {
		rows = append(rows, []string{g.Text, "`" + g.Tests + "`"})
	}
	if c.PublicStats {
		rows = append(rows, []string{"Whether one network reported in a week, and what, changes the probability of any public document by a factor of at most e.", "`TestPrivacyLoss`"})
	}
	s.table("guarantee | shown by the test", rows)
}
