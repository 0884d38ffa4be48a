package db_test

import (
	"math"
	"testing"
	"time"

	"github.com/google/uuid"

	"relcheck/checker"
	"relcheck/db"
)

// Of too many ids a sample is followed, and what it tells of all is about right,
// whether an id reports again in the same step or in a later one.
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
			t.Fatalf("%d ids are followed", countLives(t, name))
		}
	}
	backfill(t, s, again)
	if fold(t, s); countLives(t, name) < most/8 {
		t.Errorf("only %d ids are followed", countLives(t, name))
	}
	var started, twice int64
	for _, c := range readTotals(t, s, 7).Builds[0].Days {
		started += c.Started
		twice += c.Repeated
	}
	near := func(what string, got, want int64) {
		if math.Abs(float64(got-want)) > 0.5*float64(want) { // many times the error of a sample of some hundred
			t.Errorf("%d ids have %s, and it seems to be %d", want, what, got)
		}
	}
	near("started", started, parts*instances)
	near("reported again", twice, parts*instances/2)
}

// Two who fold by turns know what the other has found out in the meantime, also
// within the hour after which all is read anew.
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
	first2, other := open(t, name), open(t, name)
	backfill(t, first2, []db.Recorded{first})
	fold(t, first2)
	for turn, s := range []*db.Store{first2, other, first2} {
		for i := range reports {
			reports[i].At = at.Add(time.Duration(turn) * 2 * time.Minute)
		}
		backfill(t, s, reports)
		fold(t, s)
	}
	if c := readTotals(t, first2, 7).Builds[0].Days[0]; c.Started != 1+instances || c.Repeated != instances || c.Instances != 1+instances || c.Reports != 1+3*instances {
		t.Errorf("of %d ids that have reported three times, and one that has once, it is said: %+v", instances, c)
	}
}

func countLives(t *testing.T, name string) (lives int) {
	t.Helper()
	if err := raw(t, name).QueryRow("SELECT count(*) FROM life").Scan(&lives); err != nil {
		t.Fatal(err)
	}
	return lives
}
