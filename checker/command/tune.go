package command

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// spare is how much memory the Go runtime takes, in bytes, beyond what is in use,
// before it collects garbage. SQLite's own and the program itself come on top, with
// some 30 MB.
const spare = 24 << 20

// tune sets the Go runtime to what make bench shows to be good for a server
// that always waits for a disk, until ctx ends: a thread that syncs does not take a
// processor away from the requests, and a heap of a few megabytes need not be
// collected as often as it doubles. GOMAXPROCS, GOGC and GOMEMLIMIT come first where
// they are set.
func tune(ctx context.Context) {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 2)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		const little = 20 << 20 // is in use when nothing happens
		debug.SetMemoryLimit(little + spare)
		go followMemory(ctx)
	}
}

// followMemory has the runtime take more where more is in use, such as by thousands of
// callers who are slow on purpose: to be frugal then would keep the others waiting, as
// long as it has not followed.
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
		limit := int64(spare)
		for _, s := range used {
			limit += int64(s.Value.Uint64())
		}
		const step = 2 << 20 // each change stops all goroutines for a moment
		if limit += step - limit%step; limit != last {
			debug.SetMemoryLimit(limit)
			last = limit
		}
	}
}
