//go:build !race

package command_test

// race is whether the race detector slows the tests down.
const race = false
