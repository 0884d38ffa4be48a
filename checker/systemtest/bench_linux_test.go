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
	benchFor = flag.Duration("bench-for", 0, "measure whatever is to be fast, each for this long, in several rounds")
	benchLog = flag.Int("bench-log", 10_000_000, "how many reports the longest log has that is measured")
)

// rounds is how often everything is measured that competes.
const rounds = 5

// bench is one run of all that is measured, and what has come of it so far.
type bench struct {
	*testing.T
	began, lastProgress time.Time
	rows        []row
}

// TestBench prints one table of whatever is to be fast, each beside its floor in
// the same run: a handler that does nothing, say, or the same where nothing else
// goes on. It runs only when asked to: make bench.
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
	b.logProgress("all is done")
	if !printTable(os.Stdout, b.rows, before) {
		t.Fail()
	}
	if *writeRatios {
		storeRatios(t, b.rows)
	}
}

// logProgress prints what the benchmark does now.
func (b *bench) logProgress(format string, args ...any) {
	b.lastProgress = time.Now()
	fmt.Printf("%4.0f s  %s\n", time.Since(b.began).Seconds(), fmt.Sprintf(format, args...))
}

func (b *bench) add(r row) { b.rows = append(b.rows, r) }

// sample is what one round of a trial has shown, or several have.
type sample struct {
	rate, cpu               float64 // requests a second, and their microseconds of processor time
	p50, p99, longest, took float64 // milliseconds
	size                    float64 // bytes
}

// latencies says how long callers waited in the worst cases.
func (s sample) latencies() string {
	return fmt.Sprintf("p99 %.1f ms, at most %.0f ms", s.p99, s.longest)
}

// trial is what is measured in turns with others.
type trial struct {
	name string
	run  func() sample
}

// alternate runs all trials one after the other, an odd number of times. It returns by
// name the medians, and the longest of all.
func (b *bench) alternate(times int, trials ...trial) map[string]sample {
	all := map[string][]sample{}
	for round := range times {
		if time.Since(b.lastProgress) > 2*time.Second {
			b.logProgress("round %d of %d", round+1, times)
		}
		for _, one := range trials {
			all[one.name] = append(all[one.name], one.run())
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
		middle := func(value func(sample) float64) float64 { return sorted(value)[times/2] }
		medians[name] = sample{
			rate: middle(func(s sample) float64 { return s.rate }), cpu: middle(func(s sample) float64 { return s.cpu }),
			p50: middle(func(s sample) float64 { return s.p50 }), p99: middle(func(s sample) float64 { return s.p99 }),
			longest: sorted(func(s sample) float64 { return s.longest })[times-1], took: middle(func(s sample) float64 { return s.took }),
			size: middle(func(s sample) float64 { return s.size }),
		}
	}
	return medians
}
