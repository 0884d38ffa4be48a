package stats

import "strings"

// definition is a table, and how it is filled from a view.
type definition struct {
	name, title, note string
	columns           []Column
	fill              func(*View, *Table)
}

// rankCounts returns the table of a view.
func (d *definition) of(v *View) *Table {
	t := &Table{Name: d.name, Title: d.title, Note: d.note, Columns: d.columns, Rows: [][]any{}}
	d.fill(v, t)
	return t
}

// row adds a row of as many values as the table has columns.
func (t *Table) row(values ...any) { t.Rows = append(t.Rows, values) }

// remark adds to what is said about the table.
func (t *Table) remark(text string) { t.Note += "; " + text }

// TableNames are the names of all tables, in the order of [View.Tables].
var TableNames = func() (names []string) {
	for _, d := range definitions {
		names = append(names, d.name)
	}
	return names
}()

// columns returns the columns that some words stand for.
func columns(words string) (all []Column) {
	for word := range strings.FieldsSeq(words) {
		column, ok := vocabulary[word]
		if !ok {
			panic("no column is named " + word)
		}
		all = append(all, column)
	}
	return all
}

// vocabulary is all columns there are. Words with a colon are for those whose
// name means something else in another table.
var vocabulary = map[string]Column{
	"again":         {"again", Number, "Reported again"},
	"arch":          {"arch", Text, "Architecture"},
	"before":        {"before", Number, "Before"},
	"behind":        {"behind", Number, "Releases behind"},
	"below":         {"below", Text, "Below"},
	"bytes":         {"bytes", Bytes, "More than"},
	"change":        {"change", Change, "Change"},
	"checks":        {"checks", Number, "Checks"},
	"day":           {"day", Date, "Day"},
	"days_behind":   {"days_behind", Number, "Days behind"},
	"from":          {"from", Date, "From"},
	"from:heap":     {"from", Bytes, "From"},
	"from_days":     {"from_days", Number, "From days"},
	"half":          {"half", Number, "Days to half"},
	"instance_days": {"instance_days", Number, "Instance-days"},
	"instances":     {"instances", Number, "Instances"},
	"latest":        {"latest", Yes, "Latest"},
	"line":          {"line", Text, "Line"},
	"new":           {"new", Text, "New"},
	"new_bytes":     {"new_bytes", Bytes, "New heap"},
	"new_instances": {"new_instances", Number, "New instances"},
	"old":           {"old", Text, "Old"},
	"old_bytes":     {"old_bytes", Bytes, "Old heap"},
	"old_instances": {"old_instances", Number, "Old instances"},
	"os":            {"os", Text, "OS"},
	"p50":           {"p50", Bytes, "p50"},
	"p90":           {"p90", Bytes, "p90"},
	"p95":           {"p95", Bytes, "p95"},
	"p95:heap":      {"p95", Bytes, "Heap p95"},
	"p99":           {"p99", Bytes, "p99"},
	"percentile":    {"percentile", Text, "Percentile"},
	"period":        {"period", Text, "Period"},
	"released":      {"released", Date, "Released"},
	"releases":      {"releases", Number, "Releases behind"},
	"reports":       {"reports", Number, "Reports"},
	"share":         {"share", Share, "Share"},
	"started":       {"started", Number, "Started"},
	"to":            {"to", Date, "To"},
	"to:heap":       {"to", Bytes, "To"},
	"to_days":       {"to_days", Number, "To days"},
	"version":       {"version", Text, "Version"},
	"version:most":  {"version", Text, "Most used version"},
	"what":          {"what", Text, "Running"},
}

// Ends of notes: how exactly something is counted.
const (
	// estimated tells of IDsError.
	estimated = "; counts of instances are within 0.8 % (standard error), exact while small; an instance is one running process, and a restart is a new one"
	// peaked describes what [Rollup.Heaps] counts, and HeapError.
	peaked = "; an instance counts once for each UTC day on which it reported a heap, with the highest heap of that day, within 1 %; of more than 4,096 instances of a build on one day a sample counts; days that an earlier version of relcheck summed up are approximate"
)

// definitions are all tables. A new one is an entry here.
var definitions = []definition{
	{"summary", "Summary", "Distinct instances seen in these days, and in as many before them" + estimated,
		columns("period from to instances before change reports checks"), (*View).summary},
	{"daily", "By day", "Distinct instances seen that UTC day, reports, and checks" + estimated,
		columns("day instances reports checks"), (*View).daily},
	{"weekly", "By week", "Distinct instances seen from Monday to Sunday, in whole weeks of the range" + estimated,
		columns("from to instances reports"), (*View).weekly},
	{"monthly", "By four weeks", "Distinct instances seen in four weeks from a Monday on, where they lie wholly in the range" + estimated,
		columns("from to instances reports"), (*View).monthly},
	{"adoption", "Adoption", "Distinct instances seen that UTC day, and their share of all of that day" + estimated,
		columns("day version instances share"), (*View).adoption},
	{"releases", "Releases", "Distinct instances seen in the range, and days from the release until half of the instances of a whole day ran it or a newer one" + estimated,
		columns("version released instances share half"), (*View).releases},
	{"lines", "Minor lines", "Distinct instances seen in the range, by minor line" + estimated,
		columns("line instances share latest"), (*View).lines},
	{"latest", "On the latest", "Distinct instances seen in the range that run the latest release, its line, or what is newer; the line has the release among it" + estimated,
		columns("what version instances share"), (*View).latest},
	{"versions", "Versions", "Distinct instances seen in the range, and the reports they sent" + estimated + peaked,
		columns("version released instances share reports behind days_behind p95:heap"), (*View).versions},
	{"deprecation", "If support ended", "Distinct instances seen in the range that run an older version than this" + estimated,
		columns("below instances share"), (*View).deprecation},
	{"behind", "Releases behind", "Distinct instances seen in the range, by how many stable releases are newer than theirs" + estimated,
		columns("releases instances share"), (*View).behind},
	{"behind_days", "Days behind", "Distinct instances seen in the range, by how many days before the latest release theirs was published" + estimated,
		columns("from_days to_days instances share"), (*View).behindDays},
	{"platforms", "Platforms", "Distinct instances seen in the range, and the reports they sent" + estimated + peaked,
		columns("os arch instances share reports version:most p95:heap"), (*View).platforms},
	{"os", "Operating systems", "Distinct instances seen in the range" + estimated,
		columns("os instances share"), (*View).os},
	{"arch", "Architectures", "Distinct instances seen in the range" + estimated,
		columns("arch instances share"), (*View).arch},
	{"platform_versions", "Versions by platform", "Distinct instances seen in the range, and their share of the platform's" + estimated,
		columns("os arch version instances share"), (*View).platformVersions},
	{"heap", "Heap", "Percentiles of the heaps of instances, the distinct instances that reported one, and the days on which they did, added up" + estimated + peaked,
		columns("version os arch instances instance_days p50 p90 p95 p99"), (*View).heap},
	{"heap_histogram", "Heaps", "Instances by their heap, in bars of one ratio, and their share of all that reported one" + peaked,
		columns("from:heap to:heap instance_days share"), (*View).heapHistogram},
	{"heap_above", "Heap above", "Distinct instances that ever reported a heap above this, and their share of all, also of those that reported none" + estimated,
		columns("bytes instances share"), (*View).heapAbove},
	{"heap_change", "Change of heap", "Percentiles of the heaps of two versions or minor lines, and their change; empty if either has fewer than 10 (p50), 50 (p90), 100 (p95) or 500 (p99) instances" + peaked,
		columns("percentile old new old_instances new_instances old_bytes new_bytes change"), (*View).heapChange},
	{"lifetimes", "Lifetimes", "Instances by the UTC day of their first report, and those of them that have reported again since",
		columns("day started again share"), (*View).lifetimes},
}
