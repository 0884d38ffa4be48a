//go:build !windows

package command

import (
	"os"

	"golang.org/x/sys/unix"
)

// terminal returns how many columns a terminal has, 0 if it does not tell, and
// whether it can show colours.
func terminal(f *os.File) (columns int, colours bool) {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0, true
	}
	return int(size.Col), true
}
