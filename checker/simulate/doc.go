// Package simulate stands in for a fleet of programs that report: to measure what
// a service can take, to compare what it says to what it was told, and to fill
// its pages.
//
// [Reports] and [Replay] make requests up. A [Load] sends them, and tells in a
// [Result] what came of it. [Past] writes what a fleet has told for many days
// into a store, without a service.
//
// The same seed makes the same requests in the same order.
package simulate
