// Package stats turns reports into figures. It knows no database: it folds
// reports into rollups, and merges rollups of any days and builds into what
// maintainers ask about.
//
// Heaps count by instance and day: each instance counts once for each UTC day on which
// it reported a heap, with the highest heap of that day, however often it reports. All
// percentiles and histograms are of these instance-days, also over weeks, months and
// several builds. Up to 4,096 instances of a build on one day all count; of more, a
// sample of 2,048 to 4,096 does, which is chosen by the hashes of their IDs. How many
// instances ever exceeded a heap is counted once for the whole range.
//
// Earlier versions summed heaps up by report. From what they have written, an instance
// counts once for each day, week or four weeks that was summed up, with a heap of the
// class that it reached (see [HeapLimits]), distributed as the reports in that class.
// On the day of the upgrade, an instance may count twice.
//
// Merging is associative and commutative, and folding a report twice changes
// neither distinct counts nor anything that is derived from them.
package stats
