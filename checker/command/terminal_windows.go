package command

import (
	"os"

	"golang.org/x/sys/windows"
)

// terminal returns how many columns a terminal has, 0 if it does not tell, and
// whether it can show colours.
func terminal(f *os.File) (columns int, colours bool) {
	h := windows.Handle(f.Fd())
	var info windows.ConsoleScreenBufferInfo
	if windows.GetConsoleScreenBufferInfo(h, &info) == nil {
		columns = int(info.Window.Right-info.Window.Left) + 1
	}
	var mode uint32
	colours = windows.GetConsoleMode(h, &mode) == nil &&
		windows.SetConsoleMode(h, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
	return columns, colours
}
