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
	"certain":       {"certain", Yes, "Certain"},
	"change":        {"change", Change, "Change"},
	"checks":        {"checks", Number, "Checks"},
	"day":           {"day", Date, "Day"},
	"days_behind":   {"days_behind", Number, "Days behind"},
	"from":          {"from", Date, "From"},
	"from:heap":     {"from", Bytes, "From"},
	"from_days":     {"from_days", Number, "From days"},
	"half":          {"half", Number, "Days to half"},
	"high":          {"high", Change, "At most"},
	"instance_days": {"instance_days", Number, "Instance-days"},
	"ids":           {"ids", Number, "Instances"},
	"latest":        {"latest", Yes, "Latest"},
	"line":          {"line", Text, "Line"},
	"low":           {"low", Change, "At least"},
	"new":           {"new", Text, "New"},
	"new_bytes":     {"new_bytes", Bytes, "New heap"},
	"old":           {"old", Text, "Old"},
	"old_bytes":     {"old_bytes", Bytes, "Old heap"},
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
	estimated = "; counts of ids are within 0.8 % (standard error), exact while small, and an id is one start of a program"
	// peaked describes what [Rollup.Heaps] counts, and HeapError.
	peaked = "; an instance counts once for each UTC day on which it reported a heap, with the highest heap of that day, within 1 %; of more than 4,096 instances of a build on one day a sample counts; days that an earlier version of relcheck summed up are approximate"
)

// definitions are all tables. A new one is an entry here.
var definitions = []definition{
	{"summary", "Summary", "Distinct ids seen in these days, and in as many before them" + estimated,
		columns("period from to ids before change reports checks"), (*View).summary},
	{"daily", "By day", "Distinct ids seen that UTC day, reports, and checks without an id" + estimated,
		columns("day ids reports checks"), (*View).daily},
	{"weekly", "By week", "Distinct ids seen from Monday to Sunday, in whole weeks of the range" + estimated,
		columns("from to ids reports"), (*View).weekly},
	{"monthly", "By four weeks", "Distinct ids seen in four weeks from a Monday on, where they lie wholly in the range" + estimated,
		columns("from to ids reports"), (*View).monthly},
	{"adoption", "Adoption", "Distinct ids seen that UTC day, and their share of all of that day" + estimated,
		columns("day version ids share"), (*View).adoption},
	{"releases", "Releases", "Distinct ids seen in the range, and days from the release until half of the ids of a whole day ran it or a newer one" + estimated,
		columns("version released ids share half"), (*View).releases},
	{"lines", "Minor lines", "Distinct ids seen in the range, by minor line" + estimated,
		columns("line ids share latest"), (*View).lines},
	{"latest", "On the latest", "Distinct ids seen in the range that run the latest release, its line, or what is newer; the line has the release among it" + estimated,
		columns("what version ids share"), (*View).latest},
	{"versions", "Versions", "Distinct ids seen in the range, and the reports they sent" + estimated + peaked,
		columns("version released ids share reports behind days_behind p95:heap"), (*View).versions},
	{"deprecation", "If support ended", "Distinct ids seen in the range that run an older version than this" + estimated,
		columns("below ids share"), (*View).deprecation},
	{"behind", "Releases behind", "Distinct ids seen in the range, by how many stable releases are newer than theirs" + estimated,
		columns("releases ids share"), (*View).behind},
	{"behind_days", "Days behind", "Distinct ids seen in the range, by how many days before the latest release theirs was published" + estimated,
		columns("from_days to_days ids share"), (*View).behindDays},
	{"platforms", "Platforms", "Distinct ids seen in the range, and the reports they sent" + estimated + peaked,
		columns("os arch ids share reports version:most p95:heap"), (*View).platforms},
	{"os", "Operating systems", "Distinct ids seen in the range" + estimated,
		columns("os ids share"), (*View).os},
	{"arch", "Architectures", "Distinct ids seen in the range" + estimated,
		columns("arch ids share"), (*View).arch},
	{"platform_versions", "Versions by platform", "Distinct ids seen in the range, and their share of the platform's" + estimated,
		columns("os arch version ids share"), (*View).platformVersions},
	{"heap", "Heap", "Percentiles of the heaps of instances, the distinct ids that reported one, and the days on which they did, added up" + estimated + peaked,
		columns("version os arch ids instance_days p50 p90 p95 p99"), (*View).heap},
	{"heap_histogram", "Heaps", "Instances by their heap, in bars of one ratio, and their share of all that reported one" + peaked,
		columns("from:heap to:heap instance_days share"), (*View).heapHistogram},
	{"heap_above", "Heap above", "Distinct ids that ever reported a heap above this, and their share of all, also of those that told none" + estimated,
		columns("bytes ids share"), (*View).heapAbove},
	{"heap_change", "Change of heap", "Percentiles of the heaps of instances of two versions, or minor lines, and a 95 % interval of their change, as wide as if all were of instances that reported on every day, each of which is one observation; not certain if the interval holds 0 or such instances are too few" + peaked,
		columns("percentile old new old_bytes new_bytes change low high certain"), (*View).heapChange},
	{"lifetimes", "Lifetimes", "Ids by the UTC day of their first report, and those of them that have reported again since",
		columns("day started again share"), (*View).lifetimes},
}
