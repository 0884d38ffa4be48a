package rollup

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"relcheck/checker"
)

// randomCells returns the cells of one period, with counts around the threshold.
func randomCells(random *rand.Rand, threshold int64) (cells []Cell) {
	p := Period{OneDay, Day(20_000 + random.IntN(100))}
	for i := range random.IntN(6) {
		c := Cell{Period: p, Build: Build{fmt.Sprintf("v1.%d.0", i), checker.Platform{OS: "linux", Arch: "amd64"}}}
		if random.IntN(10) == 0 {
			c.Build = OtherBuild
		}
		for _, n := range c.Numbers() {
			*n = random.Int64N(3*threshold + 1)
			if random.IntN(3) == 0 {
				*n %= 3
			}
		}
		n := &c.Installations
		n.Monthly = n.New + n.Back28 + random.Int64N(2*threshold)
		n.Back7 = n.Back28 + random.Int64N(threshold)
		n.Weekly = max(n.Monthly, n.New+n.Back7) + random.Int64N(2*threshold)
		n.Daily = n.Weekly + random.Int64N(2*threshold)
		for range random.IntN(int(3*threshold + 1)) {
			c.Heaps.Add(1000+random.IntN(40), 1+random.Int64N(2))
		}
		cells = append(cells, c)
	}
	return cells
}

func sum(cells []Cell) (all Cell) {
	for _, c := range cells {
		all.Add(&c)
	}
	return all
}

func TestHideSmall(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	released := func(v string) bool { return v < "v1.3.0" }
	for range 20_000 {
		threshold := 1 + random.Int64N(12)
		cells := randomCells(random, threshold)
		before, named := sum(cells), map[string]bool{}
		for _, c := range cells {
			named[c.Version] = threshold == 1 || c.has(threshold)
		}
		shown := HideSmall(slices.Clone(cells), threshold, released)
		after := sum(shown)
		if !after.Installations.Possible() {
			t.Fatalf("threshold %d: all builds have impossible counts %+v", threshold, after.Installations)
		}
		wants := before.Numbers()
		for i, n := range after.Numbers() {
			want := *wants[i] - *wants[i]%threshold
			if *n != want && (n != &after.Reports || *n > want) {
				t.Fatalf("threshold %d: count %d of all builds: got %d, want %d", threshold, i, *n, want)
			}
		}
		if got, want := after.Heaps.Total(), before.Heaps.Total()/threshold*threshold; got > want {
			t.Fatalf("threshold %d: got %d heaps, want at most %d", threshold, got, want)
		}
		if slices.ContainsFunc(shown, func(c Cell) bool { return c.Build == OtherBuild && c.has(1) || threshold == 1 }) && after.Reports != before.Reports/threshold*threshold {
			t.Fatalf("threshold %d: got %d reports, want %d", threshold, after.Reports, before.Reports/threshold*threshold)
		}
		for _, c := range shown {
			if err := c.Check(); err != nil {
				t.Fatalf("threshold %d: %s: %v", threshold, c.Version, err)
			}
			for i, n := range c.Numbers() {
				if *n < 0 || *n%threshold != 0 {
					t.Fatalf("threshold %d: %s has count %d of %d, want a multiple of the threshold", threshold, c.Version, i, *n)
				}
			}
			for bucket, n := range c.Heaps.All() {
				if n < threshold || n%threshold != 0 {
					t.Fatalf("threshold %d: %s has %d heaps in bucket %d, want a multiple of the threshold", threshold, c.Version, n, bucket)
				}
			}
			checks := Cell{Checks: c.Checks}
			onlyChecks := *checks.Numbers()[2] != 0 && c.Reports == 0 && c.Instances == 0 && c.Installations == (Installations{}) && c.Heaps.Total() == 0
			if c.Version != Other && !named[c.Version] && (!onlyChecks || !released(c.Version)) {
				t.Fatalf("threshold %d: got %+v, want its build hidden", threshold, c)
			}
		}
	}
}

// With threshold 1, nothing is hidden.
func TestHideNothing(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 1000 {
		byBuild := map[Build]*Cell{}
		for _, c := range randomCells(random, 5) {
			if c.IsZero() {
				continue
			}
			if byBuild[c.Build] == nil {
				byBuild[c.Build] = &Cell{Period: c.Period, Build: c.Build}
			}
			byBuild[c.Build].Add(&c)
		}
		var cells []Cell
		for _, c := range byBuild {
			cells = append(cells, *c)
		}
		slices.SortFunc(cells, func(a, b Cell) int { return a.Compare(&b) })
		shown := HideSmall(cells, 1, func(string) bool { return false })
		if len(shown) != len(cells) {
			t.Fatalf("got %d cells, want %d", len(shown), len(cells))
		}
		for i, c := range shown {
			want := maps.Collect(cells[i].Heaps.All())
			if got := maps.Collect(c.Heaps.All()); !maps.Equal(got, want) {
				t.Fatalf("got heaps %v, want %v", got, want)
			}
			c.Heaps = cells[i].Heaps
			if fmt.Sprint(c) != fmt.Sprint(cells[i]) {
				t.Fatalf("got %+v, want %+v", c, cells[i])
			}
		}
	}
}

// A small count cannot be computed from what is shown: not if it is alone, and not as the
// difference of other and a total, or of nested counts.
func TestHideSmallAlone(t *testing.T) {
	day := Period{OneDay, 20_000}
	cell := func(version string, instances, daily, new int64) Cell {
		return Cell{Period: day, Build: Build{version, checker.Platform{OS: "linux", Arch: "amd64"}}, Reports: instances + daily, Instances: instances, Installations: Installations{Daily: daily, New: new}}
	}
	for _, test := range []struct {
		name  string
		cells []Cell
		want  string // instances, daily, new
	}{
		{"only a small one", []Cell{cell("v1", 9, 9, 9)}, ""},
		{"one small one beside a large one", []Cell{cell("v1", 9, 0, 0), cell("v2", 500, 0, 0)}, "v2 500 0 0"},
		{"two small ones", []Cell{cell("v1", 9, 0, 0), cell("v2", 3, 0, 0)}, "other 10 0 0"},
		{"nested counts", []Cell{cell("v1", 0, 20, 19)}, "other 0 10 0; v1 0 10 10"},
		{"no more new ones than all", []Cell{cell("v1", 0, 40, 15), cell("v2", 0, 40, 16)}, "other 0 20 10; v1 0 30 10; v2 0 30 10"},
		{"the rest of large ones", []Cell{cell("v1", 19, 0, 0), cell("v2", 18, 0, 0)}, "other 10 0 0; v1 10 0 0; v2 10 0 0"},
		{"both populations small", []Cell{cell("v1", 6, 6, 0)}, ""},
	} {
		got := ""
		for i, c := range HideSmall(test.cells, 10, func(string) bool { return true }) {
			if i > 0 {
				got += "; "
			}
			got += fmt.Sprint(c.Version, " ", c.Instances, c.Daily, c.New)
		}
		if got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}

func TestMedians(t *testing.T) {
	var h Heaps
	for bucket, n := range []int64{0, 1, 1, 1, 25, 0, 2, 3} {
		h.Add(bucket, n)
	}
	medians, rest := h.medians(5)
	// 1 2 3 4 4 | 20 times 4 | 4 4 4 6 6 | 7 7 7
	if got, want := fmt.Sprint(maps.Collect(medians.All()), maps.Collect(rest.All())), "map[3:5 4:25] map[7:3]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
