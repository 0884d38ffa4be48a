package stats

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
		[]Column{ColPeriod, ColFrom, ColTo, ColInstances, ColBefore, ColChange, ColReports, ColChecks}, (*View).summary},
	{"daily", "By day", "Distinct instances seen that UTC day, reports, and checks" + estimated,
		[]Column{ColDay, ColInstances, ColReports, ColChecks}, (*View).daily},
	{"weekly", "By week", "Distinct instances seen from Monday to Sunday, in whole weeks of the range" + estimated,
		[]Column{ColFrom, ColTo, ColInstances, ColReports}, (*View).weekly},
	{"monthly", "By four weeks", "Distinct instances seen in four weeks from a Monday on, where they lie wholly in the range" + estimated,
		[]Column{ColFrom, ColTo, ColInstances, ColReports}, (*View).monthly},
	{"adoption", "Adoption", "Distinct instances seen that UTC day, and their share of all of that day" + estimated,
		[]Column{ColDay, ColVersion, ColInstances, ColShare}, (*View).adoption},
	{"releases", "Releases", "Distinct instances seen in the range, and days from the release until half of the instances of a whole day ran it or a newer one" + estimated,
		[]Column{ColVersion, ColReleased, ColInstances, ColShare, ColHalf}, (*View).releases},
	{"lines", "Minor lines", "Distinct instances seen in the range, by minor line" + estimated,
		[]Column{ColLine, ColInstances, ColShare, ColLatest}, (*View).lines},
	{"latest", "On the latest", "Distinct instances seen in the range that run the latest release, its line, or what is newer; the line has the release among it" + estimated,
		[]Column{ColWhat, ColVersion, ColInstances, ColShare}, (*View).latest},
	{"versions", "Versions", "Distinct instances seen in the range, and the reports they sent" + estimated + peaked,
		[]Column{ColVersion, ColReleased, ColInstances, ColShare, ColReports, ColBehind, ColDaysBehind, ColHeapP95}, (*View).versions},
	{"deprecation", "If support ended", "Distinct instances seen in the range that run an older version than this" + estimated,
		[]Column{ColBelow, ColInstances, ColShare}, (*View).deprecation},
	{"behind", "Releases behind", "Distinct instances seen in the range, by how many stable releases are newer than theirs" + estimated,
		[]Column{ColReleases, ColInstances, ColShare}, (*View).behind},
	{"behind_days", "Days behind", "Distinct instances seen in the range, by how many days before the latest release theirs was published" + estimated,
		[]Column{ColFromDays, ColToDays, ColInstances, ColShare}, (*View).behindDays},
	{"platforms", "Platforms", "Distinct instances seen in the range, and the reports they sent" + estimated + peaked,
		[]Column{ColOS, ColArch, ColInstances, ColShare, ColReports, ColMostUsed, ColHeapP95}, (*View).platforms},
	{"os", "Operating systems", "Distinct instances seen in the range" + estimated,
		[]Column{ColOS, ColInstances, ColShare}, (*View).os},
	{"arch", "Architectures", "Distinct instances seen in the range" + estimated,
		[]Column{ColArch, ColInstances, ColShare}, (*View).arch},
	{"platform_versions", "Versions by platform", "Distinct instances seen in the range, and their share of the platform's" + estimated,
		[]Column{ColOS, ColArch, ColVersion, ColInstances, ColShare}, (*View).platformVersions},
	{"heap", "Heap", "Percentiles of the heaps of instances, the distinct instances that reported one, and the days on which they did, added up" + estimated + peaked,
		[]Column{ColVersion, ColOS, ColArch, ColInstances, ColInstanceDays, ColP50, ColP90, ColP95, ColP99}, (*View).heap},
	{"heap_histogram", "Heaps", "Instances by their heap, in bars of one ratio, and their share of all that reported one" + peaked,
		[]Column{ColFromBytes, ColToBytes, ColInstanceDays, ColShare}, (*View).heapHistogram},
	{"heap_above", "Heap above", "Distinct instances that ever reported a heap above this, and their share of all, also of those that reported none" + estimated,
		[]Column{ColBytes, ColInstances, ColShare}, (*View).heapAbove},
	{"heap_change", "Change of heap", "Percentiles of the heaps of two versions or minor lines, and their change; empty if either has fewer than 10 (p50), 50 (p90), 100 (p95) or 500 (p99) instances" + peaked,
		[]Column{ColPercentile, ColOld, ColNew, ColOldInstances, ColNewInstances, ColOldBytes, ColNewBytes, ColChange}, (*View).heapChange},
	{"lifetimes", "Lifetimes", "Instances by the UTC day of their first report, and those of them that have reported again since",
		[]Column{ColDay, ColStarted, ColAgain, ColShare}, (*View).lifetimes},
}
