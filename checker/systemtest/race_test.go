//go:build race

package systemtest

// race reports whether the race detector is enabled.
const race = true
