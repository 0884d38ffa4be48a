package command

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"time"
)

const (
	// frugalFrom is how much memory the Go runtime takes, in bytes, before it collects
	// garbage as often as it can without keeping others from half of the processors.
	// SQLite's own and the program itself come on top, with some 30 MB.
	frugalFrom = 48 << 20
	// perConnection is by how much more for each connection that is open.
	perConnection = 16 << 10
)

// tune sets the Go runtime to what make bench shows to be good for a server
// that always waits for a disk: a thread that syncs does not take a processor
// away from the requests, and a heap of a few megabytes need not be collected
// as often as it doubles, until it has grown. GOMAXPROCS, GOGC and GOMEMLIMIT come
// first where they are set.
func tune() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 2)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	limitMemory(0)
}

// followConnections lets the server take more memory while it has many connections,
// until ctx ends. To be frugal then would keep those waiting who come beside
// thousands of callers who are slow on purpose.
func followConnections(ctx context.Context, open func() int) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for set := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if n := open(); n/64 != set/64 { // for each change stops all else
			limitMemory(n)
			set = n
		}
	}
}

func limitMemory(connections int) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(frugalFrom + int64(connections)*perConnection)
	}
}
