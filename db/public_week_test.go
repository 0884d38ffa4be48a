package db_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"relcheck/checker/catalog"
	"relcheck/checker/stats/public"
	"relcheck/checker/stats/rollup"
	"relcheck/db"
)

// The public document of a week is made once from the counts of several processes, also by two
// servers at the same time, and then the counts are gone. A product that is removed loses
// both.
func testPublicWeek(t *testing.T, name string) {
	ctx, now := context.Background(), time.Now()
	s, other := open(t, name), open(t, name)
	if err := s.AddProduct(ctx, catalog.Product{Name: "app", Title: "App"}); err != nil {
		t.Fatal(err)
	}
	id := productIDs(t, s)["app"]
	week := rollup.OneWeek.Start(rollup.DayOf(now)) - 7
	cells := func(n int64) map[int64]public.Cells {
		c := public.Cells{Lines: map[string]int64{"v1.0": n}, OS: map[string]int64{"linux": n}, Arch: map[string]int64{"arm64": n}}
		return map[int64]public.Cells{id: c, id + 1000: c} // one does not exist
	}
	add := func(r public.Run, changed map[int64]public.Cells) {
		t.Helper()
		if err := s.AddNetworkCounts(ctx, r, changed); err != nil {
			t.Fatal(err)
		}
	}
	add(public.Run{ID: 1, Day: week, Seconds: 60}, cells(1))
	add(public.Run{ID: 1, Day: week, Seconds: 120}, cells(2))
	add(public.Run{ID: 1, Day: week, Seconds: 180}, nil) // nothing has changed
	add(public.Run{ID: 2, Day: week + 6, Seconds: 60}, cells(5))
	add(public.Run{ID: 3, Day: week + 7, Seconds: 60}, cells(7)) // of the next week
	var read sync.Map
	var wg sync.WaitGroup
	for i, from := range []*db.Store{s, other, s, other} {
		wg.Go(func() {
			err := from.MakePublicWeek(ctx, id, week, now, func(w *public.Week) []byte {
				read.Store(fmt.Sprint(len(w.Runs), w.Counts[1].Lines, w.Counts[2].Lines, w.Counts[3].Lines), i)
				return fmt.Appendf(nil, `{"product":"app","hours":%d}`, i)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	read.Range(func(key, _ any) bool {
		if want := "2 map[v1.0:2] map[v1.0:5] map[]"; key != want {
			t.Errorf("got counts %v, want %s", key, want)
		}
		return true
	})
	weeks, err := other.PublicWeeks(ctx, "app")
	if err != nil || len(weeks) != 1 || !strings.HasPrefix(string(weeks[0]), `{"product":"app"`) {
		t.Fatalf("got documents %s (error %v), want one", weeks, err)
	}
	if counts, runs := countRows(t, name, "network_count"), countRows(t, name, "network_run"); counts != 1 || runs != 3 {
		t.Errorf("got %d counts of %d runs, want 1 of the next week, and 3", counts, runs)
	}
	err = s.MakePublicWeek(ctx, id, week-7, now, func(*public.Week) []byte {
		t.Error("a document is made of a week that no server has counted")
		return nil
	})
	if err == nil {
		err = s.MakePublicWeek(ctx, id+1000, week, now, func(*public.Week) []byte { t.Error("a document is made of no product"); return nil })
	}
	if err == nil {
		err = s.RemoveProduct(ctx, "app", true)
	}
	if counts, documents := countRows(t, name, "network_count"), countRows(t, name, "public_week"); err != nil || counts+documents != 0 {
		t.Errorf("after removal: got %d counts and %d documents (error %v), want none", counts, documents, err)
	}
}

// Counts of networks that no document was made from are removed after three weeks, and those of a
// clock that was wrong.
func testSweepNetworkCounts(t *testing.T, name string) {
	ctx, s := context.Background(), open(t, name)
	today := rollup.DayOf(time.Now())
	for i, day := range []rollup.Day{0, today - 22, today - 20, today, today + 100} {
		if err := s.AddNetworkCounts(ctx, public.Run{ID: int64(i), Day: day}, map[int64]public.Cells{productIDs(t, s)["opa"]: public.NewCells()}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.ExpireNetworkCounts(ctx, time.Now()); err != nil {
		t.Fatal(err)
	}
	if counts, runs := countRows(t, name, "network_count"), countRows(t, name, "network_run"); counts != 2 || runs != 2 {
		t.Errorf("got %d counts of %d runs, want 2", counts, runs)
	}
}

func countRows(t *testing.T, name, table string) (n int) {
	t.Helper()
	if err := raw(t, name).QueryRow("SELECT count(*) FROM " + table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func productIDs(t *testing.T, s *db.Store) map[string]int64 {
	t.Helper()
	c, err := s.Changes(context.Background(), catalog.Revision{})
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]int64{}
	for _, l := range c.Products {
		ids[l.Name] = l.ID
	}
	return ids
}
