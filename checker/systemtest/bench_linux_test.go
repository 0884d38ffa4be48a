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

// rounds is how often measurements that are compared with each other are repeated. The
// speed of a machine changes from minute to minute, so many short rounds are better than
// a few long ones.
const rounds = 9

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
	b.bundles()
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

// sample is the result of a trial.
type sample struct {
	rate, cpu               float64 // requests per second, CPU time per request in microseconds
	p50, p99, longest, took float64 // milliseconds
	size                    float64 // bytes
}

// Values of a sample, for [samples.median] and [samples.ratio].
func rateOf(s sample) float64 { return s.rate }
func cpuOf(s sample) float64  { return s.cpu }
func p50Of(s sample) float64  { return s.p50 }
func p99Of(s sample) float64  { return s.p99 }
func tookOf(s sample) float64 { return s.took }
func sizeOf(s sample) float64 { return s.size }

// trial is a measurement that alternates with others.
type trial struct {
	name string
	run  func() sample
}

// alternate runs all trials in turn, an odd number of times.
func (b *bench) alternate(times int, trials ...trial) samples {
	all := samples{}
	for round := range times {
		if time.Since(b.lastProgress) > 2*time.Second {
			b.logProgress("round %d of %d", round+1, times)
		}
		for _, trial := range trials {
			all[trial.name] = append(all[trial.name], trial.run())
		}
	}
	return all
}

// samples are the results of trials that alternated: one of each round, by name.
type samples map[string][]sample

// median returns the median of a value.
func (s samples) median(name string, value func(sample) float64) float64 {
	var values []float64
	for _, sample := range s[name] {
		values = append(values, value(sample))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// ratio returns the median of the ratios between two values of the same round. Both were
// measured within seconds, at the same speed of the machine.
func (s samples) ratio(name, floor string, value func(sample) float64) float64 {
	var ratios []float64
	for i, sample := range s[name] {
		ratios = append(ratios, value(sample)/value(s[floor][i]))
	}
	slices.Sort(ratios)
	return ratios[len(ratios)/2]
}

func (s samples) longest(name string) (ms float64) {
	for _, sample := range s[name] {
		ms = max(ms, sample.longest)
	}
	return ms
}

// latencies describes the longest response times.
func (s samples) latencies(name string) string {
	return fmt.Sprintf("p99 %.1f ms, at most %.0f ms", s.median(name, p99Of), s.longest(name))
}
