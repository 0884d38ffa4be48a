package db_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"relcheck/checker"
	"relcheck/checker/stats/fleet"
	"relcheck/checker/stats/rollup"
	"relcheck/db"
	"relcheck/db/backup"
	"relcheck/db/pgtest"
)

// The counts of installations are exactly those of the reports in the log, however often the
// processes that record are killed. No acknowledged report is missing.
func testInstallationsKilled(t *testing.T, name string) {
	skipRace(t)
	s, d := open(t, name), raw(t, name)
	servers := 1
	if strings.HasPrefix(name, "postgres://") {
		servers = 2
	}
	day := rollup.DayOf(time.Now())
	sent, acknowledged := map[uuid.UUID]checker.Last{}, map[uuid.UUID]bool{}
	for range 8 {
		var children []*child
		for range servers {
			children = append(children, startRecording(t, "remember "+name))
		}
		time.Sleep(rand.N(40 * time.Millisecond)) // any point of its work
		for _, c := range children {
			c.kill()
			for _, line := range c.output() {
				words := strings.Fields(line)
				if len(words) != 3 {
					continue
				}
				last, err := strconv.Atoi(words[2])
				id, err2 := uuid.Parse(words[1])
				if err != nil || err2 != nil {
					t.Fatalf("got line %q, want an instance ID and a day", line)
				}
				sent[id] = checker.Last(last)
				acknowledged[id] = acknowledged[id] || words[0] == "acknowledged"
			}
		}
		if today := rollup.DayOf(time.Now()); today != day {
			t.Skip("midnight has passed")
		}
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			var want rollup.Installations
			for _, r := range recorded(t, s, "opa") {
				want.Add(rollup.CountLast(sent[r.ID], day))
				delete(acknowledged, r.ID)
			}
			got := countedInstallations(t, d)
			if got == want {
				break
			}
			if time.Now().After(deadline) { // PostgreSQL may commit the last transactions after the kill
				t.Fatalf("got %+v, and %+v in the log", got, want)
			}
		}
		for id, ok := range acknowledged {
			if ok {
				t.Fatalf("report %s was acknowledged and is missing", id)
			}
		}
	}
	fold(t, s)
	var daily int64
	totals := readTotals(t, s, 1)
	for _, b := range totals.Builds {
		for _, n := range b.Installations {
			daily += n.Daily
		}
	}
	if want := countedInstallations(t, d).Daily; daily != want || want == 0 || len(totals.Builds) != 2 {
		t.Errorf("got %d installations of %d builds, want %d of 2", daily, len(totals.Builds), want)
	}
}

// The counts of installations stay the same in copies of a store to either engine, in
// backups, and when reports are deleted. They are deleted with the rollups and the product.
func testInstallationsKept(t *testing.T, name string) {
	ctx := context.Background()
	s := open(t, name)
	populate(t, s, fleet.Fleet{Seed: 8, Days: 70, End: today - 1, Instances: unlessRace(60, 20), Every: 12 * time.Hour, Remember: 0.5})
	unfolded := readTotals(t, s, 70)
	counts := func(f *rollup.Totals) string {
		var all []string
		for _, b := range f.Builds {
			if len(b.Installations) > 0 {
				all = append(all, fmt.Sprint(b.Build, b.Installations))
			}
		}
		return strings.Join(all, "\n")
	}
	fold(t, s)
	want := readTotals(t, s, 70)
	if got := counts(unfolded); got != counts(want) || got == "" || unfolded.Remembered != want.Remembered {
		t.Errorf("before folding: got installations\n%s\nwant\n%s", got, counts(want))
	}
	for _, to := range []string{filepath.Join(t.TempDir(), "copy.db"), pgtest.Database(t)} {
		if _, err := s.Copy(ctx, to, schema(t), noProgress); err != nil {
			t.Fatal(err)
		}
		checkTotals(t, "totals of a copy to "+to, readTotals(t, open(t, to), 70), want)
	}
	backupFile, restored := filepath.Join(t.TempDir(), "backup.db"), filepath.Join(t.TempDir(), "restored.db")
	_, err := backup.Create(ctx, s, backupFile, schema(t), noProgress)
	if err == nil {
		_, err = backup.Restore(ctx, backupFile, restored, schema(t), noProgress)
	}
	if err != nil {
		t.Fatal(err)
	}
	checkTotals(t, "totals of a restored backup", readTotals(t, open(t, restored), 70), want)

	now := time.Now()
	sweep := func(keep db.Retention, hours time.Duration) {
		t.Helper()
		if err := s.SweepAt(ctx, keep, now.Add(hours*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	sweep(db.Retention{}, 0)
	sweep(db.Retention{}, 32) // the clock has jumped, so nothing is deleted for an hour
	sweep(db.Retention{Reports: 24 * time.Hour}, 33)
	if n := len(recorded(t, s, "opa")); n != 0 {
		t.Errorf("got %d reports after their retention, want none", n)
	}
	checkTotals(t, "totals without reports", readTotals(t, s, 70), want)
	sweep(db.Retention{Rollups: 40 * 24 * time.Hour}, 34)
	if f := readTotals(t, s, 70); f.Remembered.From <= want.Remembered.From || f.Remembered.From < f.Known.From || f.Remembered.To != want.Remembered.To {
		t.Errorf("after the retention of rollups: got installations of %v, want a later start than %v", f.Remembered, want.Remembered)
	}
	if err := s.RemoveProduct(ctx, "opa", true); err != nil {
		t.Fatal(err)
	}
	if n := countedInstallations(t, raw(t, name)); !n.IsZero() {
		t.Errorf("without the product: got %+v, want nothing", n)
	}
}
