package systemtest

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"
)

var (
	benchFor = flag.Duration("bench-for", 0, "run the benchmarks, with this duration for each measurement of a round")
	benchLog = flag.Int("bench-log", 10_000_000, "number of reports in the largest log")
)

// rounds is how often measurements that are compared with each other are repeated.
const rounds = 5

// bench is a run of all benchmarks, with the results so far.
type bench struct {
	*testing.T
	began, lastProgress time.Time
	rows                []row
}

// TestBench prints a table of everything that should be fast, with its ratio to a floor
// measured in the same run, for example a handler that does nothing. It runs only with
// make bench.
func TestBench(t *testing.T) {
	if *benchFor == 0 {
		t.Skip("a benchmark: run it with make bench")
	}
	before := readRatios(t)
	b := &bench{T: t, began: time.Now()}
	b.client()
	b.folding(b.serving())
	year, long := b.years()
	b.startUp(long)
	b.busy(year)
	b.catalog()
	b.readers()
	b.files()
	b.logProgress("done")
	if !printTable(os.Stdout, b.rows, before) {
		t.Fail()
	}
	if *writeRatios {
		storeRatios(t, b.rows)
	}
}

// logProgress prints what the benchmark does next.
func (b *bench) logProgress(format string, args ...any) {
	b.lastProgress = time.Now()
	fmt.Printf("%4.0f s  %s\n", time.Since(b.began).Seconds(), fmt.Sprintf(format, args...))
}

func (b *bench) add(r row) { b.rows = append(b.rows, r) }

// sample is the result of a trial, or the median of several.
type sample struct {
	rate, cpu               float64 // requests per second, CPU time per request in microseconds
	p50, p99, longest, took float64 // milliseconds
	size                    float64 // bytes
}

// latencies describes the longest response times.
func (s sample) latencies() string {
	return fmt.Sprintf("p99 %.1f ms, at most %.0f ms", s.p99, s.longest)
}

// trial is a measurement that alternates with others.
type trial struct {
	name string
	run  func() sample
}

// alternate runs all trials in turn, an odd number of times. It returns the medians by
// name, and the maximum of longest.
func (b *bench) alternate(times int, trials ...trial) map[string]sample {
	all := map[string][]sample{}
	for round := range times {
		if time.Since(b.lastProgress) > 2*time.Second {
			b.logProgress("round %d of %d", round+1, times)
		}
		for _, trial := range trials {
			all[trial.name] = append(all[trial.name], trial.run())
		}
	}
	medians := map[string]sample{}
	for name, samples := range all {
		sorted := func(value func(sample) float64) (values []float64) {
			for _, s := range samples {
				values = append(values, value(s))
			}
			slices.Sort(values)
			return values
		}
		median := func(value func(sample) float64) float64 { return sorted(value)[times/2] }
		medians[name] = sample{
			rate: median(func(s sample) float64 { return s.rate }), cpu: median(func(s sample) float64 { return s.cpu }),
			p50: median(func(s sample) float64 { return s.p50 }), p99: median(func(s sample) float64 { return s.p99 }),
			longest: sorted(func(s sample) float64 { return s.longest })[times-1], took: median(func(s sample) float64 { return s.took }),
			size: median(func(s sample) float64 { return s.size }),
		}
	}
	return medians
}
