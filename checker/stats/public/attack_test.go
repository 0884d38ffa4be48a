package public

import (
	"math"
	"testing"

	"relcheck/checker/stats/rollup"
)

// An attacker reads all documents, knows and forges all reports except those of one network,
// and wants to find out whether that network has reported. The tests let the attacker use
// every figure in the best way: by the likelihood of the document with and without the network.

const (
	draws       = 100_000
	threshold   = 40
	testProduct = "app"
)

var testLines = []string{"v1.1", "v1.0"}

// world has the sums of a week: of the cells that the network counts in, and those of the
// network whose place it takes. All others are zero.
type world struct{ in, displaced int64 }

// worlds returns the worlds with and without the network, if all cells would have a sum of n.
func worlds(n int64) [2]world { return [2]world{{n, n}, {n + 7, n - 7}} }

func (w world) week() *Week {
	return &Week{First: monday, Runs: []Run{{1, monday, 24 * 3600}}, Counts: map[int64]Cells{1: {
		Lines: map[string]int64{"v1.1": w.in, "v1.0": w.displaced},
		OS:    map[string]int64{"linux": w.in, "windows": w.displaced},
		Arch:  map[string]int64{"amd64": w.in, "arm64": w.displaced},
	}}}
}

// chanceOf returns the probability of a figure of a cell with a sum; 0 is one that is not shown.
func chanceOf(figure, sum int64) (p float64) {
	if figure > 0 {
		for noisy := 7*figure - 3; noisy <= 7*figure+3; noisy++ {
			p += chance(noisy - sum)
		}
		return p
	}
	q := math.Exp(-1.0 / Scale) // P(noisy < limit)
	if limit := 7*threshold - 3 - sum; limit > 0 {
		return 1 - math.Pow(q, float64(limit))/(1+q)
	} else {
		return math.Pow(q, float64(1-limit)) / (1 + q)
	}
}

// loss returns the logarithm of how much more probable a document is with the network.
func loss(d *Document, of [2]world) (sum float64) {
	for _, cell := range []struct {
		in        []Figure
		name      string
		displaced bool
	}{{d.Lines, "v1.1", false}, {d.Lines, "v1.0", true}, {d.OS, "linux", false}, {d.OS, "windows", true}, {d.Arch, "amd64", false}, {d.Arch, "arm64", true}} {
		figure := int64(0)
		for _, f := range cell.in {
			if f.Name == cell.name {
				figure = f.Networks
			}
		}
		without, with := of[0].in, of[1].in
		if cell.displaced {
			without, with = of[0].displaced, of[1].displaced
		}
		sum += math.Log(chanceOf(figure, with) / chanceOf(figure, without))
	}
	return sum
}

// TestPrivacyLoss draws 100,000 documents with and without the network in the worst case. It
// checks the loss of each document, and the loss by frequency: of documents that look alike
// to the attacker, and of the total of the document. It also checks how often the attacker
// guesses right.
func TestPrivacyLoss(t *testing.T) {
	for n, draws := range map[int64]int{700: draws, 7 * threshold: draws / 5} { // shown, and at the threshold
		of := worlds(n)
		byLoss, byTotal := map[float64][2]float64{}, map[float64][2]float64{}
		right, most, random := 0, 0.0, seeded(byte(n))
		for truth, w := range of {
			week := w.week()
			for range draws {
				d := New(testProduct, week, testLines, threshold, random)
				found := loss(d, of)
				most = max(most, math.Abs(found))
				count(byLoss, math.Round(found*10), truth)
				total := 0.0
				if d.Networks != nil {
					total = math.Round(float64(*d.Networks) / 10)
				}
				count(byTotal, total, truth)
				if (found > 0) == (truth == 1) {
					right++
				}
			}
		}
		if most > 1+1e-9 {
			t.Errorf("sums of %d: got a document with a loss of %.3f, want at most 1", n, most)
		}
		observed := max(checkFrequencies(t, byLoss), checkFrequencies(t, byTotal))
		share, limit := float64(right)/float64(2*draws), math.E/(1+math.E)
		if share > limit+4*0.5/math.Sqrt(float64(2*draws)) {
			t.Errorf("sums of %d: the attacker was right in %.3f of all cases, want at most %.3f", n, share, limit)
		}
		if n == 700 && (observed < 0.8 || share < 0.55) {
			t.Errorf("got a loss of %.2f and %.3f right guesses, want an attacker that uses what there is: at least 0.8 and 0.55", observed, share)
		}
		t.Logf("sums of %d: largest loss of a document %.4f, by frequency %.2f; the attacker was right in %.3f of all cases", n, most, observed, share)
	}
}

func count(in map[float64][2]float64, key float64, truth int) {
	n := in[key]
	n[truth]++
	in[key] = n
}

// checkFrequencies checks that no event is more than e times as frequent in one world as in the
// other, and returns the largest loss.
func checkFrequencies(t *testing.T, events map[float64][2]float64) (most float64) {
	for event, n := range events {
		if min(n[0], n[1]) < 100 { // too few to compare
			if max(n[0], n[1]) > 600 {
				t.Errorf("event %v: got it %v times without and %v times with the network", event, n[0], n[1])
			}
			continue
		}
		found, deviation := math.Abs(math.Log(n[1]/n[0])), math.Sqrt(1/n[0]+1/n[1])
		if found > 1+4*deviation {
			t.Errorf("event %v: got a loss of %.2f ± %.2f, want at most 1", event, found, deviation)
		}
		if deviation < 0.05 {
			most = max(most, found)
		}
	}
	return most
}

// TestPrivacyLossOfWeeks compares documents of two weeks: their noise is independent, so that
// the difference of two weeks reveals no more about a network that reports in one of them, and at
// most twice as much about one that reports in both.
func TestPrivacyLossOfWeeks(t *testing.T) {
	of, random := worlds(700), seeded(9)
	one, both := map[float64][2]float64{}, map[float64][2]float64{}
	line := func(w world) float64 {
		return float64(New(testProduct, w.week(), testLines, 1, random).Lines[0].Networks)
	}
	for range draws / 2 {
		base := line(of[0])
		count(one, line(of[0])-base, 0)
		count(one, line(of[1])-base, 1)
		count(both, line(of[0])+base, 0)
		count(both, line(of[1])+line(of[1]), 1)
	}
	checkFrequencies(t, one)
	for event, n := range both {
		if found, deviation := math.Abs(math.Log(n[1]/n[0])), math.Sqrt(1/n[0]+1/n[1]); min(n[0], n[1]) >= 100 && found > 2+4*deviation {
			t.Errorf("two weeks, event %v: got a loss of %.2f ± %.2f, want at most 2", event, found, deviation)
		}
	}
}

// TestForgedReports checks that m forged networks move a cell by at most m, also if the sets
// are full, and reveal nothing more about the network.
func TestForgedReports(t *testing.T) {
	for _, forged := range []int64{0, 1, 9, 1000} {
		of := worlds(700 + 7*forged)
		random, most := seeded(byte(forged)+20), 0.0
		for range 2000 {
			most = max(most, math.Abs(loss(New(testProduct, of[1].week(), testLines, threshold, random), of)))
		}
		if most > 1+1e-9 {
			t.Errorf("%d forged networks: got a loss of %.3f, want at most 1", forged, most)
		}
	}
	for _, limit := range []int{3, 100} {
		for m := range byte(6) {
			var events []event
			for range 7 {
				for network := range m {
					events = append(events, event{network: 100 + network, line: "forged"})
				}
				for network := range byte(3) {
					events = append(events, event{network: 1 + network, line: []string{"a", "b", "forged"}[network]})
				}
				events = append(events, event{tick: 24 * 3600e9})
			}
			with, _ := play(events, limit, always)
			events = nil
			for range 7 {
				for network := range byte(3) {
					events = append(events, event{network: 1 + network, line: []string{"a", "b", "forged"}[network]})
				}
				events = append(events, event{tick: 24 * 3600e9})
			}
			without, _ := play(events, limit, always)
			for _, line := range []string{"a", "b", "forged"} {
				if change := with.Lines[line] - without.Lines[line]; max(change, -change) > 7*int64(m) {
					t.Errorf("limit %d, %d forged networks: got line %s moved by %d, want at most %d", limit, m, line, change, 7*m)
				}
			}
		}
	}
}

// TestRoundingLoses is the control: the rule that counts are rounded down to a multiple of the
// threshold, which needs no noise. The attacker adds forged reports until one more would
// change the rounded count, and is right each time.
func TestRoundingLoses(t *testing.T) {
	const threshold = 10
	rounded := func(count int64) int64 { return count - count%threshold }
	right := 0
	for try := range int64(draws) {
		others, reported := 100+try%1000, try*7919%2
		forged := threshold - 1 - others%threshold
		before := rounded(others + forged)
		if guess := rounded(others+forged+reported) > before; guess == (reported == 1) {
			right++
		}
	}
	if limit := math.E / (1 + math.E); float64(right)/draws <= limit {
		t.Errorf("got %d right guesses of %d, want more than a share of %.3f, because the rule leaks", right, draws, limit)
	}
	if right != draws {
		t.Errorf("got %d right guesses of %d, want all", right, draws)
	}
}

// TestDocument checks what a document contains: all cells above the threshold, and nothing that
// depends on reports besides.
func TestDocument(t *testing.T) {
	week := &Week{First: monday, Runs: []Run{{1, monday, 24 * 3600}, {2, monday + 6, 12 * 3600}}, Counts: map[int64]Cells{
		1: {Lines: map[string]int64{"v1.1": 7000, "v0.9": 3000, "acme": 500}, OS: map[string]int64{"linux": 9000, "beos": 1500}, Arch: map[string]int64{"amd64": 10500}},
		2: {Lines: map[string]int64{"v1.1": 700}, OS: map[string]int64{"windows": 700}, Arch: map[string]int64{"arm64": 700}},
	}}
	d := New(testProduct, week, []string{"v1.2", "v1.1", "v0.9"}, threshold, seeded(3))
	if d.Hours != 36 || d.From != monday.String() || d.To != (monday+6).String() {
		t.Errorf("got week %s to %s of %d hours, want %s to %s of 36", d.From, d.To, d.Hours, monday, monday+6)
	}
	for _, want := range []struct {
		in    []Figure
		name  string
		about int64
	}{{d.Lines, "v1.1", 1100}, {d.Lines, "v0.9", 429}, {d.Lines, rollup.Other, 71}, {d.OS, "linux", 1286}, {d.OS, rollup.Other, 214}, {d.OS, "windows", 100}, {d.Arch, "amd64", 1500}, {d.Arch, "arm64", 100}} {
		got := int64(0)
		for _, f := range want.in {
			if f.Name == want.name {
				got = f.Networks
			}
		}
		if got < want.about-60 || got > want.about+60 {
			t.Errorf("%s: got %d, want about %d", want.name, got, want.about)
		}
	}
	for _, figures := range [][]Figure{d.Lines, d.OS, d.Arch} {
		for _, f := range figures {
			if f.Networks < threshold || f.Name == "acme" || f.Name == "beos" {
				t.Errorf("got figure %v, want %d or more of a published name", f, threshold)
			}
		}
	}
	again, err := Decode(d.Encode())
	if err != nil || string(again.Encode()) != string(d.Encode()) {
		t.Errorf("got another document after decoding it (error %v)", err)
	}
	if empty := New(testProduct, &Week{First: monday}, nil, threshold, seeded(4)); empty.Lines == nil || empty.Product != testProduct {
		t.Errorf("got %+v, want empty lists", empty)
	}
	shown := map[int]int{}
	random := seeded(5)
	for range 20_000 {
		shown[len(New(testProduct, &Week{First: monday}, nil, threshold, random).Lines)]++
	}
	if expected := 20_000 * chanceShown(); math.Abs(float64(shown[1])-expected) > 5*math.Sqrt(expected)+1 {
		t.Errorf("got %d of 20,000 cells without networks shown, want about %.0f", shown[1], expected)
	}
}

// chanceShown returns the probability that a cell without networks is shown.
func chanceShown() float64 { return 1 - chanceOf(0, 0) }
