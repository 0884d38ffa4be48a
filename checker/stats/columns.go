package stats

// The columns of all tables. Where a name has another kind or head in another table, it is
// another column.
var (
	ColAgain             = Column{"again", Number, "Reported again"}
	ColArch              = Column{"arch", Text, "Architecture"}
	ColBack28            = Column{"back28", Number, "Back after 28 days"}
	ColBack7             = Column{"back7", Number, "Back after 7 days"}
	ColBefore            = Column{"before", Number, "Before"}
	ColBehind            = Column{"behind", Number, "Releases behind"}
	ColBelow             = Column{"below", Text, "Below"}
	ColBytes             = Column{"bytes", Bytes, "More than"}
	ColCertain           = Column{"certain", Yes, "Certain"}
	ColChange            = Column{"change", Change, "Change"}
	ColChecks            = Column{"checks", Number, "Checks"}
	ColDay               = Column{"day", Date, "Day"}
	ColDayShare          = Column{"day_share", Share, "Share of days"}
	ColDaysBehind        = Column{"days_behind", Number, "Days behind"}
	ColFrom              = Column{"from", Date, "From"}
	ColFromBytes         = Column{"from", Bytes, "From"}
	ColFromDays          = Column{"from_days", Number, "From days"}
	ColHalf              = Column{"half", Number, "Days to half"}
	ColHeapP95           = Column{"p95", Bytes, "Heap p95"}
	ColHigh              = Column{"high", Change, "At most"}
	ColInstallations     = Column{"installations", Number, "Installations"}
	ColInstallationShare = Column{"installation_share", Share, "Share of installations"}
	ColInstanceDays      = Column{"instance_days", Number, "Instance-days"}
	ColInstances         = Column{"instances", Number, "Instances"}
	ColLatest            = Column{"latest", Yes, "Latest"}
	ColLimit             = Column{"limit", Share, "Affects under"}
	ColLine              = Column{"line", Text, "Line"}
	ColLow               = Column{"low", Change, "At least"}
	ColMeanInstallations = Column{"installations", Mean, "Installations a day"}
	ColMostUsed          = Column{"version", Text, "Most used version"}
	ColNew               = Column{"new", Text, "New"}
	ColNewBytes          = Column{"new_bytes", Bytes, "New heap"}
	ColNewInstallations  = Column{"new", Number, "New"}
	ColNewInstances      = Column{"new_instances", Number, "New instances"}
	ColNext              = Column{"next", Text, "Or below"}
	ColNextShare         = Column{"next_share", Share, "Which affects"}
	ColOld               = Column{"old", Text, "Old"}
	ColOldBytes          = Column{"old_bytes", Bytes, "Old heap"}
	ColOldInstances      = Column{"old_instances", Number, "Old instances"}
	ColOnDay             = Column{"on_day", Number, "On day"}
	ColOS                = Column{"os", Text, "OS"}
	ColP50               = Column{"p50", Bytes, "p50"}
	ColP90               = Column{"p90", Bytes, "p90"}
	ColP95               = Column{"p95", Bytes, "p95"}
	ColP99               = Column{"p99", Bytes, "p99"}
	ColPercentile        = Column{"percentile", Text, "Percentile"}
	ColPeriod            = Column{"period", Text, "Period"}
	ColReleased          = Column{"released", Date, "Released"}
	ColReleases          = Column{"releases", Number, "Releases behind"}
	ColReports           = Column{"reports", Number, "Reports"}
	ColReturning         = Column{"returning", Number, "Returning"}
	ColShare             = Column{"share", Share, "Share"}
	ColSinceRelease      = Column{"day", Number, "Days since release"}
	ColStarted           = Column{"started", Number, "Started"}
	ColStarts            = Column{"instances", Number, "Cannot remember"}
	ColTo                = Column{"to", Date, "To"}
	ColToBytes           = Column{"to", Bytes, "To"}
	ColToDays            = Column{"to_days", Number, "To days"}
	ColVersion           = Column{"version", Text, "Version"}
	ColWhat              = Column{"what", Text, "Running"}
	ColWithdrawn         = Column{"withdrawn", Yes, "Withdrawn"}
)
