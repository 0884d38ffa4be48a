//go:build race

package db_test

// race reports whether the race detector is enabled.
const race = true
