// Package statstest knows the true statistics of a generated fleet. Tests compare them
// with the statistics that a store or a view returns; only tests import this package.
//
// A [Log] keeps the reports of a [fleet.Fleet]. A [Truth] computes the tables of package
// stats from a log by plain counting, and shares no code with that package's
// computation. [Compare] lists the differences between tables and the truth that are
// larger than the estimates allow.
package statstest
