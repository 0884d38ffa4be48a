package stats

// definition describes a table. The function fill adds its rows and may extend its note.
type definition struct {
	name, title, note string
	columns           []Column
	fill              func(*View, *Table)
}

// table returns the table of a view.
func (d *definition) table(v *View) *Table {
	t := &Table{Name: d.name, Title: d.title, Note: d.note, Columns: d.columns, Rows: [][]any{}, scheme: v.published.scheme, installations: v.remembers}
	d.fill(v, t)
	if note := v.sitesNote(d.name); note != "" {
		t.addNote(note)
	}
	return t
}

// addRow adds a row with a value for each column.
func (t *Table) addRow(values ...any) { t.Rows = append(t.Rows, values) }

func (t *Table) addNote(text string) { t.Note += "; " + text }

// TableNames are the names of all tables, in the order of [View.Tables].
var TableNames = func() (names []string) {
	for _, d := range definitions {
		names = append(names, d.name)
	}
	return names
}()

// Ends of notes about accuracy.
const (
	// estimatedNote describes [rollup.InstancesError].
	estimatedNote = "; counts of instances are within 0.8 % (standard error), exact while small; an instance is one running process, and a restart is a new one"
	// meanNote describes the columns of usedColumns.
	meanNote = "; installations are the mean of the days that are over"
	// installationNote describes [rollup.Installations].
	installationNote = "; an installation remembers the day of its last answer, and is counted without an identifier: exactly if no answer was lost, and with 1 % of answers lost at most 2 % too high"
	// heapNote describes [rollup.Rollup.Heaps] and [rollup.HeapError].
	heapNote = "; an installation or instance counts once for each UTC day on which it reported a heap, with the highest heap of that day, or without an instance ID with the first one, within 1 %; if a build has more than 4,096 instances on a day, a sample is counted; days recorded by earlier versions of relcheck are approximate"
)

// definitions has all tables. To add one, add an entry.
var definitions = []definition{
	{"summary", "Summary", "Distinct instances seen in these days, and in as many before them" + estimatedNote,
		[]Column{ColPeriod, ColFrom, ColTo, ColInstances, ColBefore, ColChange, ColReports, ColChecks}, (*View).summary},
	{"installations", "Installations", "Installations in the last day, week and four weeks that are over, and of today so far until the first day is over: returning ones had an answer before, new ones had none; before and change compare with the period before, or a day with the same day of the week before; instances are starts of programs that cannot remember, and must not be added" + installationNote,
		[]Column{ColPeriod, ColFrom, ColTo, ColInstallations, ColReturning, ColNewInstallations, ColBefore, ColChange, ColStarts}, (*View).installationSummary},
	{"installations_daily", "Installations by day", "Installations of that UTC day, and how many of the returning ones are back after at least 7 and 28 days of silence" + installationNote,
		[]Column{ColDay, ColReturning, ColNewInstallations, ColBack7, ColBack28}, (*View).installationsDaily},
	{"installations_weekly", "Installations by week", "Installations from Monday to Sunday, in whole weeks of the range" + installationNote,
		[]Column{ColFrom, ColTo, ColReturning, ColNewInstallations}, (*View).installationsWeekly},
	{"installations_monthly", "Installations by four weeks", "Installations in four weeks from a Monday, for periods wholly within the range" + installationNote,
		[]Column{ColFrom, ColTo, ColReturning, ColNewInstallations}, (*View).installationsMonthly},
	{"installation_versions", "Installations by version", "Installations of that UTC day, by the first version that they reported on it, and their share of all of that day" + installationNote,
		[]Column{ColDay, ColVersion, ColInstallations, ColShare}, (*View).installationVersions},
	{"installation_platforms", "Installations by platform", "Installations of that UTC day, and their share of all of that day" + installationNote,
		[]Column{ColDay, ColOS, ColArch, ColInstallations, ColShare}, (*View).installationPlatforms},
	{"daily", "By day", "Distinct instances seen that UTC day, reports, and checks" + estimatedNote,
		[]Column{ColDay, ColInstances, ColReports, ColChecks}, (*View).daily},
	{"weekly", "By week", "Distinct instances seen from Monday to Sunday, in whole weeks of the range" + estimatedNote,
		[]Column{ColFrom, ColTo, ColInstances, ColReports}, (*View).weekly},
	{"monthly", "By four weeks", "Distinct instances seen in four weeks from a Monday, for periods wholly within the range" + estimatedNote,
		[]Column{ColFrom, ColTo, ColInstances, ColReports}, (*View).monthly},
	{"adoption", "Adoption", "Distinct instances seen that UTC day, and their share of all of that day" + estimatedNote,
		[]Column{ColDay, ColVersion, ColInstances, ColShare}, (*View).adoption},
	{"adoption_curves", "Adoption curves", "Distinct instances, and installations, that ran this line or release or a newer one, and their shares of all, by UTC days since its first release; of the newest five, for 90 days; today is left out" + estimatedNote,
		dayColumns(ColVersion, ColSinceRelease), (*View).adoptionCurves},
	{"adoption_speed", "Adoption speed", "Days from the first release of this line or release until half of a whole day's installations, or instances if there are no installations, ran it or a newer one; and how many did on the day after its release that the newest has reached, of at most 90" + estimatedNote,
		dayColumns(ColVersion, ColReleased, ColHalf, ColOnDay), (*View).adoptionSpeed},
	{"releases", "Releases", "Distinct instances seen in the range, and days from the release until half of a whole day's installations, or instances if there are no installations, ran it or a newer one" + meanNote + estimatedNote,
		usedColumns([]Column{ColVersion, ColReleased}, ColHalf, ColWithdrawn), (*View).releases},
	{"lines", "Minor lines", "Distinct instances seen in the range, by minor line" + meanNote + estimatedNote,
		usedColumns([]Column{ColLine}, ColLatest), (*View).lines},
	{"latest", "On the latest", "Distinct instances seen in the range that run the latest release, its line, or a newer version; the line includes the release; instances of withdrawn releases count only as withdrawn" + meanNote + estimatedNote,
		usedColumns([]Column{ColWhat, ColVersion}), (*View).latest},
	{"versions", "Versions", "Distinct instances seen in the range, and the reports they sent" + meanNote + estimatedNote + heapNote,
		usedColumns([]Column{ColVersion, ColReleased}, ColReports, ColBehind, ColDaysBehind, ColHeapP95, ColWithdrawn), (*View).versions},
	{"deprecation", "If support ended", "Distinct instances seen in the range that run an older version than this" + meanNote + estimatedNote,
		usedColumns([]Column{ColBelow}), (*View).deprecation},
	{"droppable", "What can be dropped", "The newest line or release below which less than this share of the installations runs, or of the instances seen in the range if there are no installations, and the next one; what has a version that cannot be compared does not count as older" + meanNote + estimatedNote,
		usedColumns([]Column{ColLimit, ColBelow}, ColNext, ColNextShare), (*View).droppable},
	{"behind", "Releases behind", "Distinct instances seen in the range, by how many stable releases are newer than theirs; unknown for withdrawn releases that are not older than the latest" + meanNote + estimatedNote,
		usedColumns([]Column{ColReleases}), (*View).behind},
	{"behind_days", "Days behind", "Distinct instances seen in the range, by how many days before the latest release theirs was published; unknown for withdrawn releases that are not older than the latest" + meanNote + estimatedNote,
		usedColumns([]Column{ColFromDays, ColToDays}), (*View).behindDays},
	{"platforms", "Platforms", "Distinct instances seen in the range, and the reports they sent" + meanNote + estimatedNote + heapNote,
		usedColumns([]Column{ColOS, ColArch}, ColReports, ColMostUsed, ColHeapP95), (*View).platforms},
	{"os", "Operating systems", "Distinct instances seen in the range" + meanNote + estimatedNote,
		usedColumns([]Column{ColOS}), (*View).os},
	{"arch", "Architectures", "Distinct instances seen in the range" + meanNote + estimatedNote,
		usedColumns([]Column{ColArch}), (*View).arch},
	{"platform_versions", "Versions by platform", "Distinct instances seen in the range, and their share of the platform's" + meanNote + estimatedNote,
		usedColumns([]Column{ColOS, ColArch, ColVersion}), (*View).platformVersions},
	{"checks", "Checks", "Requests for the latest release without an instance ID, by the version and platform that the client names; they are no instances",
		[]Column{ColVersion, ColOS, ColArch, ColChecks, ColShare}, (*View).checks},
	{"heap", "Heap", "Percentiles of the heaps of installations and instances, the number of distinct instances that reported one, and the sum of the days on which each installation or instance did" + estimatedNote + heapNote,
		[]Column{ColVersion, ColOS, ColArch, ColInstances, ColInstanceDays, ColP50, ColP90, ColP95, ColP99}, (*View).heap},
	{"heap_histogram", "Heaps", "Days on which an installation or instance reported a heap, by heap, in bars of equal ratio, and their share of all" + heapNote,
		[]Column{ColFromBytes, ColToBytes, ColInstanceDays, ColShare}, (*View).heapHistogram},
	{"heap_above", "Heap above", "Distinct instances that ever reported a heap above this, and their share of all instances, including instances that reported none; and days on which an installation or instance did, and their share of all days with a heap" + estimatedNote + heapNote,
		[]Column{ColBytes, ColInstances, ColShare, ColInstanceDays, ColDayShare}, (*View).heapAbove},
	{"heap_change", "Change of heap", "Percentiles of the heaps of two versions or minor lines, and their change, which lies between the bounds with 95 % confidence and is certain if these do not include 0; empty if either has fewer than 10 (p50), 50 (p90), 100 (p95) or 500 (p99) instances that reported a heap and installations of a mean day, which old_instances and new_instances count" + heapNote,
		[]Column{ColPercentile, ColOld, ColNew, ColOldInstances, ColNewInstances, ColOldBytes, ColNewBytes, ColChange, ColLow, ColHigh, ColCertain}, (*View).heapChange},
	{"lifetimes", "Lifetimes", "Instances by the UTC day of their first report, and how many of them reported again; installations are not counted",
		[]Column{ColDay, ColStarted, ColAgain, ColShare}, (*View).lifetimes},
}
