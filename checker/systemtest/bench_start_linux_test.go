package systemtest

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"relcheck/checker"
	"relcheck/checker/stats"
)

// client measures the time that a host program needs to start a client, relative to a
// goroutine that ends with a context.
func (b *bench) client() {
	b.logProgress("the client's Start")
	b.Setenv("DO_NOT_TRACK", "")
	on := &checker.Client{Product: "benched", Version: "1.0.0", Transport: silent{}}
	off := &checker.Client{Product: "benched", Disabled: true}
	start := func(name string, start func(context.Context)) trial {
		return trial{name, func() sample {
			const batch = 10_000
			begin, n := time.Now(), 0
			for ; time.Since(begin) < *benchFor/4; n += batch {
				for range batch {
					ctx, cancel := context.WithCancel(b.Context())
					start(ctx)
					cancel()
				}
			}
			return sample{took: time.Since(begin).Seconds() * 1e3 / float64(n)}
		}}
	}
	const floor, switchedOn, switchedOff = "starting a goroutine", "starting a client", "starting a client that is off"
	measured := b.alternate(rounds, start(switchedOn, on.Start), start(switchedOff, off.Start),
		start(floor, func(ctx context.Context) { go func() { <-ctx.Done() }() }))
	for _, name := range []string{floor, switchedOn, switchedOff} {
		r := row{name: name, figure: measured.median(name, tookOf) * 1e3, unit: "µs"}
		if name != floor {
			r.ratio, r.small = measured.ratio(name, floor, tookOf), true
		}
		b.add(r)
	}
}

// silent is a service that does not respond.
type silent struct{}

func (silent) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// startUp measures the time from the start of a server until it can record, with a new
// file and with a large log, relative to a program that only listens.
func (b *bench) startUp(long string) {
	b.logProgress("starting")
	const bare, fresh = "start, a handler that does nothing", "start, no file"
	full := fmt.Sprintf("start, a log of %s reports", stats.ShowNumber(int64(*benchLog)))
	started := func(name string, begin func() *process) trial {
		return trial{name, func() sample { return b.started(begin) }}
	}
	measured := b.alternate(rounds+2,
		started(bare, func() *process { return start(b, "nothing") }),
		started(fresh, func() *process { return b.serve(filepath.Join(b.TempDir(), "new.db")) }),
		started(full, func() *process { return b.serve(long) }))
	b.add(row{name: bare, figure: measured.median(bare, tookOf), unit: "ms"})
	b.add(row{name: fresh, figure: measured.median(fresh, tookOf), unit: "ms", ratio: measured.ratio(fresh, bare, tookOf), small: true})
	b.add(row{name: full, figure: measured.median(full, tookOf), unit: "ms", ratio: measured.ratio(full, fresh, tookOf), small: true, note: "to no file"})
}

// serve starts a server that keeps old reports.
func (b *bench) serve(file string) *process { return serve(b, file, "--keep-reports", "forever") }

func (b *bench) started(begin func() *process) sample {
	began := time.Now()
	p := begin()
	for p.ready(b) != http.StatusOK {
		time.Sleep(time.Millisecond)
	}
	took := time.Since(began)
	p.stop(b)
	return sample{took: took.Seconds() * 1e3}
}
