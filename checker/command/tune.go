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

// tune configures the Go runtime for a server that mostly waits for a disk, until ctx
// is done. Two more threads keep a sync from taking a CPU away from requests, and a heap
// of a few megabytes is collected less often than each time it doubles. GOMAXPROCS,
// GOGC and GOMEMLIMIT take precedence if they are set.
func tune(ctx context.Context) {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 2)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		const idle = 20 << 20 // in use without any requests
		debug.SetMemoryLimit(idle + spare)
		go followMemory(ctx)
	}
}

// followMemory keeps the memory limit above the memory in use, because the collector
// would run all the time at the limit, for example with thousands of slow clients. GOGC
// alone cannot replace the limit: it would let the heap of a large catalog at least double.
// A third of it leaves room for several changes of a large catalog between collections.
func followMemory(ctx context.Context) {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	var last int64
	used := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}, {Name: "/memory/classes/metadata/other:bytes"}}
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		metrics.Read(used)
		limit := int64(0)
		for _, s := range used {
			limit += int64(s.Value.Uint64())
		}
		limit += max(spare, limit/3)
		const step = 2 << 20 // each change briefly stops all goroutines
		if limit += step - limit%step; limit != last {
			debug.SetMemoryLimit(limit)
			last = limit
		}
	}
}
