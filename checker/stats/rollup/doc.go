// Package rollup aggregates reports. A [Fold] counts reports by build and day, a
// [Rollup] holds what one build reported in one day, week or four weeks, and a
// [Merger] adds up the rollups of a range of days.
//
// Rollups count distinct instances with sketches, so that they can be merged: the
// instances of a year are counted from its rollups, without the reports.
//
// Heaps are counted by instance and day: each instance counts once for each UTC day on
// which it reported a heap, with its highest heap of that day, however often it reports.
// All percentiles and histograms are of these instance-days, also over weeks, months and
// several builds. Of a build and day with up to 4,096 instances, all of them count;
// with more, a sample of 2,048 to 4,096 instances counts, which is chosen by the hashes
// of their IDs. The number of instances that ever exceeded a heap is counted once for
// the whole range.
//
// Earlier versions counted heaps by report. In the rollups that they wrote, an instance
// counts once for each day, week or four weeks of the rollup, with a heap of the class
// that it reached (see [HeapLimits]), distributed as the reports in that class.
package rollup
