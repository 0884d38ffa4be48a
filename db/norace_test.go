//go:build !race

package db_test

// race is whether the race detector slows the tests down.
const race = false
