package db_test

import (
	"math"
	"testing"
	"time"

	"github.com/google/uuid"

	"relcheck/checker"
	"relcheck/db"
)

// If there are too many instances, only a sample of them is followed. The extrapolated counts
// are about right, whether an instance reports again in the same fold or in a later one.
func TestSampledInstances(t *testing.T) {
	const most, instances, parts = 500, 2000, 4
	defer db.SetMaxLives(most)()
	name := t.TempDir() + "/relcheck.db"
	s := open(t, name)
	morning := (today - 1).Time().Add(time.Hour)
	var again []db.Recorded
	for range parts {
		var reports []db.Recorded
		for i := range instances {
			r := db.Recorded{At: morning, Platform: linux, Report: checker.Report{ID: uuid.New(), Version: "1.0.0"}}
			reports = append(reports, r)
			if r.At = morning.Add(2 * time.Hour); i%4 == 0 {
				reports = append(reports, r)
			} else if i%4 == 1 {
				again = append(again, r)
			}
		}
		backfill(t, s, reports)
		if fold(t, s); countLives(t, name) > most {
			t.Fatalf("got %d followed instances, want at most %d", countLives(t, name), most)
		}
	}
	backfill(t, s, again)
	if fold(t, s); countLives(t, name) < most/8 {
		t.Errorf("got %d followed instances, want at least %d", countLives(t, name), most/8)
	}
	var started, repeated int64
	for _, c := range readTotals(t, s, 7).Builds[0].Days {
		started += c.Started
		repeated += c.Repeated
	}
	near := func(what string, got, want int64) {
		if math.Abs(float64(got-want)) > 0.5*float64(want) { // many times the standard error of a sample of some hundred
			t.Errorf("instances that %s: got %d, want about %d", what, got, want)
		}
	}
	near("started", started, parts*instances)
	near("reported again", repeated, parts*instances/2)
}

// Two processes that fold alternately use each other's results, although each caches followed
// instances for up to an hour.
func testFoldByTwoProcesses(t *testing.T, name string) {
	const instances = 20
	at := (today - 1).Time()
	first := db.Recorded{At: at, Platform: linux, Report: checker.Report{ID: uuid.New(), Version: "1.0.0"}}
	var reports []db.Recorded
	for range instances {
		r := first
		r.ID = uuid.New()
		reports = append(reports, r)
	}
	a, b := open(t, name), open(t, name)
	backfill(t, a, []db.Recorded{first})
	fold(t, a)
	for turn, s := range []*db.Store{a, b, a} {
		for i := range reports {
			reports[i].At = at.Add(time.Duration(turn) * 2 * time.Minute)
		}
		backfill(t, s, reports)
		fold(t, s)
	}
	if c := readTotals(t, a, 7).Builds[0].Days[0]; c.Started != 1+instances || c.Repeated != instances || c.Instances != 1+instances || c.Reports != 1+3*instances {
		t.Errorf("%d instances with three reports and one with one report: got %+v", instances, c)
	}
}

func countLives(t *testing.T, name string) (lives int) {
	t.Helper()
	if err := raw(t, name).QueryRow("SELECT count(*) FROM life").Scan(&lives); err != nil {
		t.Fatal(err)
	}
	return lives
}
