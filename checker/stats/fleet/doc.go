// Package fleet generates the reports of a fleet of programs and knows their true
// statistics. It serves to fill a store without clients, and to compare the statistics
// that a store shows with the truth. The same seed generates the same reports.
//
// A [Fleet] generates reports. A [Log] keeps them. A [Truth] computes the tables of
// package stats from a log by plain counting, and shares no code with that package's
// computation. [Compare] lists the differences between tables and the truth that are
// larger than the estimates allow.
package fleet
