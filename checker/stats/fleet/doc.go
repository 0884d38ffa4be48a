// Package fleet generates the reports and checks of a fleet of programs, to fill a store
// or to load a service without real clients. The same seed generates the same reports.
package fleet
