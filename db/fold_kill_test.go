package db_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"

	"relcheck/checker/stats/fleet"
	"relcheck/db"
)

// foldRole is an environment variable that makes the test binary fold the store of that name
// in small steps. The process prints a line when it begins and when it is done.
const foldRole = "RELCHECK_TEST_FOLD"

func foldUntilKilled(name string) {
	ctx := context.Background()
	db.SetFoldPage(5)
	s, err := db.OpenExisting(ctx, name)
	if err != nil {
		panic(err)
	}
	fmt.Println("begin")
	if _, err := s.Fold(ctx); err != nil {
		panic(err)
	}
	fmt.Println("done")
	select {}
}

var foldKills = flag.Int("fold-kills", 50, "number of times that a fold is killed; make test-crash kills it 200 times")

// TestFoldKilled kills a fold repeatedly, and compares the result with that of an undisturbed
// fold of the same reports.
func TestFoldKilled(t *testing.T) {
	skipRace(t)
	for engine, newStore := range engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			name := newStore(t)
			s := open(t, name)
			f := fleet.Fleet{Seed: 7, Days: 60, End: today - 1, Instances: 3 * *foldKills / 4, Every: 6 * time.Hour}
			reports := populate(t, s, f)
			mark := raw(t, name)
			kills, maxDelay, folded, progressed := *foldKills, 10*time.Millisecond, int64(0), 0
			for killed := range kills {
				if runAndKill(t, foldRole, name, rand.N(maxDelay)) {
					// A busy machine delivers kills late, and more steps pass before each.
					if killed < kills/2 {
						t.Fatalf("the fold of %d reports was complete after %d kills, want it to need at least %d", reports, killed, kills/2)
					}
					kills = killed
					break
				}
				var steps int64
				if err := mark.QueryRow("SELECT COALESCE(SUM(step), 0) FROM fold").Scan(&steps); err != nil {
					t.Fatal(err)
				}
				switch { // adapt to the machine: one or two steps before each kill
				case steps == folded:
					maxDelay = maxDelay * 5 / 4
				case steps > folded+2:
					maxDelay = maxDelay * 3 / 4
				}
				if steps > folded {
					progressed++
				}
				folded = steps
			}
			t.Logf("%d of %d kills came after at least one step; the last maximum delay was %v", progressed, kills, maxDelay)
			if progressed < kills/4 {
				t.Errorf("got %d kills after at least one step, want %d", progressed, kills/4)
			}
			fold(t, s)
			got := readTotals(t, s, 60)
			reference := open(t, newStore(t))
			if n := populate(t, reference, f); n != reports {
				t.Fatalf("got %d reports for the reference, want %d", n, reports)
			}
			if n := fold(t, reference); n != reports {
				t.Errorf("reference: folded %d reports, want %d", n, reports)
			}
			checkTotals(t, "totals after the kills", got, readTotals(t, reference, 60))
		})
	}
}

// runAndKill executes a role of the test binary on a store, and kills the process some time
// after it has begun.
func runAndKill(t *testing.T, role, name string, after time.Duration) (done bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), role+"="+name)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "begin" {
		t.Fatalf("%s: got first line %q, want begin", role, lines.Text())
	}
	kill := time.AfterFunc(after, func() { cmd.Process.Kill() })
	defer kill.Stop()
	done = lines.Scan()
	cmd.Process.Kill()
	cmd.Wait()
	return done
}
