//go:build race

package statstest_test

// race reports whether the race detector is enabled, which slows the tests down.
const race = true
