// Package simulate simulates the clients of a service, to measure how much load the
// service can take, to compare its statistics with what was sent, and to fill its
// pages with data.
//
// [Reports] and [Replay] generate requests. A [Load] sends them and returns a
// [Result]. A [Backfill] needs no service: it writes many days of reports directly
// into a store.
//
// The same seed produces the same requests in the same order.
package simulate
