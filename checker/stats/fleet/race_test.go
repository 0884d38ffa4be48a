//go:build race

package fleet_test

// race is whether the race detector slows the tests down.
const race = true
