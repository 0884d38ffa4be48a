// Package fleet makes up the reports of a fleet of programs, always the same
// ones for the same seed, and knows what they truly add up to. What is shown of
// a fleet can so be compared to the truth, and a server filled without clients.
//
// [Fleet] makes the reports. [Log] keeps them. [Truth] answers every question of
// package stats from a log by plain counting, and shares no computation with it.
// [Compare] tells where tables differ from the truth by more than they may.
package fleet
