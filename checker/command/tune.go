package command

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// spare is the minimum number of bytes that the Go heap may grow beyond the memory in use
// before a garbage collection. It may always grow by a third of the memory in use.
// SQLite and the program itself take about 30 MB more.
const spare = 24 << 20

// maxPercent is the highest value of GOGC. The runtime's smallest heap, 4 MB at 100
// percent, grows with it to spare.
const maxPercent = 100 * spare / (4 << 20)

// tune configures the Go runtime for a server that mostly waits for a disk, until ctx
// is done. Two more threads keep a sync from taking a CPU away from requests, and a heap
// of a few megabytes is collected less often than each time it doubles. GOMAXPROCS and
// GOGC take precedence if they are set.
func tune(ctx context.Context) {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 2)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(maxPercent)
		go followMemory(ctx)
	}
}

// followMemory adapts GOGC to the memory in use, ten times a second. With a fixed value,
// the heap of a large catalog would at least double, or that of an idle server would be
// collected all the time. A third of a large heap leaves room for several changes of a
// large catalog between collections. A memory limit is no alternative: what is free
// within the pages of the heap counts as used, which leaves a large heap almost no room.
func followMemory(ctx context.Context) {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	last := uint64(maxPercent)
	scanned := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}, {Name: "/gc/scan/globals:bytes"}}
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		metrics.Read(scanned)
		sum := uint64(0)
		for _, s := range scanned {
			sum += s.Value.Uint64()
		}
		percent := min(maxPercent, 100*max(spare, sum/3)/max(sum, 1)) // of sum, see https://go.dev/doc/gc-guide
		if 20*min(percent, last) < 19*max(percent, last) {            // each change briefly stops all goroutines
			debug.SetGCPercent(int(percent))
			last = percent
		}
	}
}
