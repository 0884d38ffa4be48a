package command

import "math"

// openFiles is how many files and connections the process may have open.
func openFiles() int { return math.MaxInt32 }

// processHazards describes what about this process endangers the store.
func processHazards() []string { return nil }
