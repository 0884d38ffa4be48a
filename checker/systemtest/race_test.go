//go:build race

package systemtest

// race is whether the race detector slows the tests down.
const race = true
