package stats

import "slices"

// definition is a table, and how it is filled from a view.
type definition struct {
	Table // without rows
	fill  func(*View, *Table)
}

// of returns the table of a view.
func (d *definition) of(v *View) *Table {
	t := d.Table
	t.Columns = slices.Clone(t.Columns)
	t.Rows = [][]any{}
	if d.fill != nil {
		d.fill(v, &t)
	}
	return &t
}

// row adds a row of as many values as the table has columns.
func (t *Table) row(values ...any) { t.Rows = append(t.Rows, values) }

// TableNames are the names of all tables, in the order of [View.Tables].
var TableNames = names(definitions)

func names(all []definition) (names []string) {
	for _, d := range all {
		names = append(names, d.Name)
	}
	return names
}

// Columns that several tables have.
var (
	dayColumn      = Column{"day", Date, "Day"}
	fromColumn     = Column{"from", Date, "From"}
	toColumn       = Column{"to", Date, "To"}
	idsColumn      = Column{"ids", Number, "IDs"}
	shareColumn    = Column{"share", Share, "Share"}
	reportsColumn  = Column{"reports", Number, "Reports"}
	checksColumn   = Column{"checks", Number, "Checks"}
	versionColumn  = Column{"version", Text, "Version"}
	releasedColumn = Column{"released", Date, "Released"}
	lineColumn     = Column{"line", Text, "Line"}
	osColumn       = Column{"os", Text, "OS"}
	archColumn     = Column{"arch", Text, "Architecture"}
	p50Column      = Column{"p50", Bytes, "p50"}
	p90Column      = Column{"p90", Bytes, "p90"}
	p95Column      = Column{"p95", Bytes, "p95"}
)

// estimated ends the notes about distinct ids.
const estimated = "estimated with a standard error of 0.8 %, exact while they are few; an id is one start of a program."

// definitions are all tables. A new one is an entry here.
var definitions = []definition{
	{Table{"summary", "Summary", "Distinct ids seen in those days and in as many before them, " + estimated, []Column{
		{"period", Text, "Period"}, fromColumn, toColumn, idsColumn, {"before", Number, "Before"}, {"change", Change, "Change"},
		reportsColumn, checksColumn}, nil}, nil},
	{Table{"daily", "By day", "Distinct ids seen that UTC day, " + estimated, []Column{
		dayColumn, idsColumn, reportsColumn, checksColumn}, nil}, nil},
	{Table{"weekly", "By week", "Distinct ids seen from Monday to Sunday, " + estimated, []Column{
		fromColumn, toColumn, idsColumn, reportsColumn}, nil}, nil},
	{Table{"monthly", "By four weeks", "Distinct ids seen in four weeks, " + estimated, []Column{
		fromColumn, toColumn, idsColumn, reportsColumn}, nil}, nil},
	{Table{"adoption", "Adoption", "Distinct ids seen that UTC day and their share of all that day, " + estimated, []Column{
		dayColumn, versionColumn, idsColumn, shareColumn}, nil}, nil},
	{Table{"releases", "Releases", "Days until half of the distinct ids of a day ran the release or a newer one; ids are those of all days, " + estimated, []Column{
		versionColumn, releasedColumn, idsColumn, shareColumn, {"half", Number, "Days to half"}}, nil}, nil},
	{Table{"lines", "Minor lines", "Distinct ids, " + estimated, []Column{
		lineColumn, idsColumn, shareColumn, {"latest", Yes, "Latest"}}, nil}, nil},
	{Table{"latest", "On the latest", "Distinct ids that run the latest release or line, or what is newer, " + estimated, []Column{
		{"what", Text, "Running"}, versionColumn, idsColumn, shareColumn}, nil}, nil},
	{Table{"versions", "Versions", "Distinct ids, " + estimated, []Column{
		versionColumn, releasedColumn, idsColumn, shareColumn, reportsColumn, {"behind", Number, "Releases behind"},
		{"days_behind", Number, "Days behind"}, {"p95", Bytes, "Heap p95"}}, nil}, nil},
	{Table{"deprecation", "If support ended", "Distinct ids that run a version older than that, " + estimated, []Column{
		{"below", Text, "Below"}, idsColumn, shareColumn}, nil}, nil},
	{Table{"behind", "Releases behind", "Distinct ids by how many stable releases are newer than theirs, " + estimated, []Column{
		{"releases", Number, "Releases behind"}, idsColumn, shareColumn}, nil}, nil},
	{Table{"behind_days", "Days behind", "Distinct ids by how many days before the latest release theirs was published, " + estimated, []Column{
		{"from_days", Number, "From days"}, {"to_days", Number, "To days"}, idsColumn, shareColumn}, nil}, nil},
	{Table{"platforms", "Platforms", "Distinct ids, " + estimated, []Column{
		osColumn, archColumn, idsColumn, shareColumn, reportsColumn, {"version", Text, "Most used version"}, {"p95", Bytes, "Heap p95"}}, nil}, nil},
	{Table{"os", "Operating systems", "Distinct ids, " + estimated, []Column{osColumn, idsColumn, shareColumn}, nil}, nil},
	{Table{"arch", "Architectures", "Distinct ids, " + estimated, []Column{archColumn, idsColumn, shareColumn}, nil}, nil},
	{Table{"platform_versions", "Versions by platform", "Distinct ids and their share of the platform's, " + estimated, []Column{
		osColumn, archColumn, versionColumn, idsColumn, shareColumn}, nil}, nil},
	{Table{"heap", "Heap", "", []Column{
		versionColumn, osColumn, archColumn, idsColumn, reportsColumn, p50Column, p90Column, p95Column, {"p99", Bytes, "p99"}}, nil}, nil},
	{Table{"heap_histogram", "Heaps", "", []Column{
		{"from", Bytes, "From"}, {"to", Bytes, "To"}, reportsColumn, shareColumn}, nil}, nil},
	{Table{"heap_above", "Heaps above", "", []Column{
		{"bytes", Bytes, "Above"}, idsColumn, shareColumn}, nil}, nil},
	{Table{"heap_change", "Change of heap", "", []Column{
		{"percentile", Text, "Percentile"}, {"old", Text, "Old"}, {"new", Text, "New"}, {"old_bytes", Bytes, "Old heap"},
		{"new_bytes", Bytes, "New heap"}, {"change", Change, "Change"}, {"low", Change, "At least"}, {"high", Change, "At most"},
		{"certain", Yes, "Certain"}}, nil}, nil},
	{Table{"lifetimes", "Lifetimes", "", []Column{
		dayColumn, {"started", Number, "Started"}, {"again", Number, "Reported again"}, shareColumn}, nil}, nil},
}
