package command_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"relcheck/checker/simulate"
)

var benchFor = flag.Duration("throughput", 0, "measure requests a second, each handler for this long, in several rounds")

// subject is a server that is measured, and what it is asked.
type subject struct {
	name    string
	capture string // of testdata/captures
	path    string // in place of the capture's, if not empty
	conns   []int
	*process
}

// TestThroughput prints requests a second of a handler that does nothing, of
// durable reports in SQLite and in PostgreSQL, of questions that record nothing,
// and of one INSERT a request, all in one run; and how these compare to nothing.
// It runs only when asked to: make bench.
func TestThroughput(t *testing.T) {
	if *benchFor == 0 {
		t.Skip("a benchmark: run it with make bench")
	}
	dir := t.TempDir()
	naive, served := filepath.Join(dir, "naive.db"), filepath.Join(dir, "served.db")
	serve(t, naive).kill() // leaves the schema behind
	sqlite := serve(t, served)
	relcheck(t, "release", "add", "opa", "v0.70.0", "--db", served)
	const report, question = "opa-v0.70.0", "opa-v1.22.2"
	all, some := []int{1, 64, 256, 1024}, []int{64, 256}
	subjects := []subject{
		{"nothing", report, "", all, start(t, "nothing")},
		{"durable reports", report, "", all, sqlite},
		{"GitHub's API", question, "", some, sqlite},
		{"/healthz", question, "/healthz", some, sqlite},
		{"PostgreSQL", report, "", some, serve(t, database(t))},
		{"INSERT a request", report, "", []int{1, 64, 256}, start(t, "insert", naive)},
	}
	measured := measure(t, subjects)
	ratios := map[string]float64{}
	fmt.Printf("%-18s %6s %11s %11s %9s\n", "", "conns", "requests/s", "to nothing", "p99 ms")
	for _, s := range subjects {
		for _, n := range s.conns {
			own, floor := measured[s.name][n], measured["nothing"][n]
			ratio := own.rate / floor.rate
			ratios[fmt.Sprintf("%s, %d connections", s.name, n)] = ratio
			fmt.Printf("%-18s %6d %11.0f %11.2f %9.1f\n", s.name, n, own.rate, ratio, own.p99)
		}
	}
	half := measured["durable reports"][256].rate / 2
	open := newLoad(t, sqlite.addr, 0, nil)
	open.Rate, open.Duration = half, 5**benchFor
	r, err := open.Run(t.Context())
	if err != nil || r.Trouble != nil {
		t.Fatal(err, r.Trouble)
	}
	fmt.Printf("durable reports at half of that, %.0f a second: p50 %.1f ms, p99 %.1f ms, at most %.1f ms\n", half,
		r.Latency.Quantile(0.5)/1e6, r.Latency.Quantile(0.99)/1e6, r.Longest.Seconds()*1e3)
	fmt.Printf("memory of that server: %d MB\n", resident(t, sqlite.cmd.Process.Pid)>>20)
	commit := commitTime(t, naive)
	fmt.Printf("one report at a time takes %.2f times as long as one commit (%v)\n",
		float64(time.Second)/measured["durable reports"][1].rate/float64(commit), commit.Round(10*time.Microsecond))
	sqlite.stop(t)
	reports := strings.Count(relcheck(t, "export", "opa", "--db", served), "\n")
	info, err := os.Stat(served)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("on disk: %.1f bytes a report, of %d\n", float64(info.Size())/float64(reports), reports)
	compareRatios(t, ratios)
}

type speed struct{ rate, p99 float64 } // a second, and in milliseconds

// measure asks all in turn, in several rounds, and returns the medians.
func measure(t *testing.T, subjects []subject) map[string]map[int]speed {
	t.Helper()
	const rounds = 5
	rates, p99s := map[string]map[int][]float64{}, map[string]map[int][]float64{}
	for range rounds {
		for _, s := range subjects {
			if rates[s.name] == nil {
				rates[s.name], p99s[s.name] = map[int][]float64{}, map[int][]float64{}
			}
			for _, n := range s.conns {
				r := s.load(t, n)
				rates[s.name][n] = append(rates[s.name][n], float64(r.Succeeded())/r.Elapsed.Seconds())
				p99s[s.name][n] = append(p99s[s.name][n], r.Latency.Quantile(0.99)/1e6)
			}
		}
	}
	medians := map[string]map[int]speed{}
	for name, by := range rates {
		medians[name] = map[int]speed{}
		for n := range by {
			medians[name][n] = speed{median(rates[name][n]), median(p99s[name][n])}
		}
	}
	return medians
}

func (s *subject) load(t *testing.T, conns int) *simulate.Result {
	t.Helper()
	l := loadOf(t, s.addr, s.capture, s.path, conns, nil)
	l.Duration = *benchFor
	r, err := l.Run(t.Context())
	if err != nil || r.Sent != r.Succeeded() {
		t.Fatalf("%s: %v, %v, %+v", s.name, err, r.Trouble, r.Status)
	}
	return r
}

func median(all []float64) float64 {
	slices.Sort(all)
	return all[len(all)/2]
}

// commitTime is how long one row takes to be durable, without any network.
func commitTime(t *testing.T, file string) time.Duration {
	t.Helper()
	insert := insertInto(file)
	var all []float64
	for range 500 {
		begin := time.Now()
		if err := insert(uuid.New(), 2664880); err != nil {
			t.Fatal(err)
		}
		all = append(all, float64(time.Since(begin)))
	}
	return time.Duration(median(all))
}

// ratiosFile holds how all compared to nothing when they were last written down.
const ratiosFile = "testdata/ratios.json"

var writeRatios = flag.Bool("write-ratios", false, "write down how throughput compares to nothing, for later runs to be held against")

// compareRatios says loudly what has become much slower since.
func compareRatios(t *testing.T, now map[string]float64) {
	t.Helper()
	if *writeRatios {
		for name, r := range now {
			now[name] = math.Round(r*100) / 100
		}
		text, err := json.MarshalIndent(now, "", "\t")
		if err == nil {
			err = os.WriteFile(ratiosFile, append(text, '\n'), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	text, err := os.ReadFile(ratiosFile)
	var before map[string]float64
	if err == nil {
		err = json.Unmarshal(text, &before)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(now)) {
		if was := before[name]; now[name] < 0.8*was {
			fmt.Printf("SLOWER: %s: %.2f of nothing, where it was %.2f\n", name, now[name], was)
		}
	}
}
