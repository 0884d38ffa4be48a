package command

import "math"

// maxOpenFiles returns how many files and connections the process may have open.
func maxOpenFiles() int { return math.MaxInt32 }

// processHazards describes properties of this process that endanger the store.
func processHazards() []string { return nil }
