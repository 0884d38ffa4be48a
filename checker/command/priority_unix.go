//go:build !windows

package command

import (
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// modesty is by how much nicer than it was begun a process becomes that gives way:
// beside a busy one it gets about a tenth of a processor.
const modesty = 10

// giveWay has this process take what others leave of the processors. It is for
// commands that take long beside a server, and does what it can.
func giveWay() {
	nice, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		return
	}
	if runtime.GOOS == "linux" { // the bare system call, which has no negative results
		nice = 20 - nice
	}
	for range 2 { // a thread that was not lowered yet may have begun another
		for _, thread := range threads() {
			unix.Setpriority(unix.PRIO_PROCESS, thread, min(nice+modesty, 19))
		}
	}
}

// threads are those that have a priority each, as on Linux, or 0 for all of them. A
// new one has that of the one that begins it.
func threads() []int {
	entries, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return []int{0}
	}
	var all []int
	for _, e := range entries {
		if id, err := strconv.Atoi(e.Name()); err == nil {
			all = append(all, id)
		}
	}
	return all
}
