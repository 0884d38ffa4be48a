package stats

// The columns of all tables. Where a name has another kind or head in another table, it is
// another column.
var (
	ColAgain             = Column{"again", Number, "Reported again"}
	ColArch              = Column{"arch", Text, "Architecture"}
	ColBack7             = Column{"back7", Number, "Back after 7 days"}
	ColBack28            = Column{"back28", Number, "Back after 28 days"}
	ColBefore            = Column{"before", Number, "Before"}
	ColBehind            = Column{"behind", Number, "Releases behind"}
	ColBelow             = Column{"below", Text, "Below"}
	ColBytes             = Column{"bytes", Bytes, "More than"}
	ColChange            = Column{"change", Change, "Change"}
	ColChecks            = Column{"checks", Number, "Checks"}
	ColDay               = Column{"day", Date, "Day"}
	ColDaysBehind        = Column{"days_behind", Number, "Days behind"}
	ColFrom              = Column{"from", Date, "From"}
	ColFromBytes         = Column{"from", Bytes, "From"}
	ColFromDays          = Column{"from_days", Number, "From days"}
	ColHalf              = Column{"half", Number, "Days to half"}
	ColInstanceDays      = Column{"instance_days", Number, "Instance-days"}
	ColInstallations     = Column{"installations", Number, "Installations"}
	ColInstallationShare = Column{"installation_share", Share, "Share of installations"}
	ColInstances         = Column{"instances", Number, "Instances"}
	ColLatest            = Column{"latest", Yes, "Latest"}
	ColLine              = Column{"line", Text, "Line"}
	ColNew               = Column{"new", Text, "New"}
	ColNewBytes          = Column{"new_bytes", Bytes, "New heap"}
	ColNewInstallations  = Column{"new", Number, "New"}
	ColNewInstances      = Column{"new_instances", Number, "New instances"}
	ColOld               = Column{"old", Text, "Old"}
	ColOldBytes          = Column{"old_bytes", Bytes, "Old heap"}
	ColOldInstances      = Column{"old_instances", Number, "Old instances"}
	ColOS                = Column{"os", Text, "OS"}
	ColP50               = Column{"p50", Bytes, "p50"}
	ColP90               = Column{"p90", Bytes, "p90"}
	ColP95               = Column{"p95", Bytes, "p95"}
	ColHeapP95           = Column{"p95", Bytes, "Heap p95"}
	ColP99               = Column{"p99", Bytes, "p99"}
	ColPercentile        = Column{"percentile", Text, "Percentile"}
	ColPeriod            = Column{"period", Text, "Period"}
	ColReleased          = Column{"released", Date, "Released"}
	ColReleases          = Column{"releases", Number, "Releases behind"}
	ColReports           = Column{"reports", Number, "Reports"}
	ColReturning         = Column{"returning", Number, "Returning"}
	ColShare             = Column{"share", Share, "Share"}
	ColStarts            = Column{"instances", Number, "Cannot remember"}
	ColStarted           = Column{"started", Number, "Started"}
	ColTo                = Column{"to", Date, "To"}
	ColToBytes           = Column{"to", Bytes, "To"}
	ColToDays            = Column{"to_days", Number, "To days"}
	ColVersion           = Column{"version", Text, "Version"}
	ColMostUsed          = Column{"version", Text, "Most used version"}
	ColWhat              = Column{"what", Text, "Running"}
	ColWithdrawn         = Column{"withdrawn", Yes, "Withdrawn"}
)
