package db_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"relcheck/checker/stats/fleet"
	"relcheck/db"
	"relcheck/db/pgtest"
)

// foldRole makes the test's own binary fold the store of that name in small
// steps, and say when it begins and when it is done.
const foldRole = "RELCHECK_TEST_FOLD"

func foldUntilKilled(name string) {
	ctx := context.Background()
	db.SmallSteps(50)
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

// TestFoldKilled kills a fold 200 times, and compares what it comes to with what
// comes of the same log in one go.
func TestFoldKilled(t *testing.T) {
	const kills = 200
	for _, engine := range []struct {
		name   string
		place  func(*testing.T) string
		within time.Duration // several steps
	}{
		{"SQLite", func(t *testing.T) string { return filepath.Join(t.TempDir(), "a.db") }, 8 * time.Millisecond},
		{"PostgreSQL", func(t *testing.T) string { return pgtest.Database(t) }, 80 * time.Millisecond},
	} {
		t.Run(engine.name, func(t *testing.T) {
			t.Parallel()
			place := engine.place
			name := place(t)
			s := open(t, name)
			f := fleet.Fleet{Seed: 7, Days: 60, End: today, Instances: 150, Every: 6 * time.Hour}
			reports := populate(t, s, f)
			for killed := range kills {
				if foldAndKill(t, name, rand.N(engine.within)) {
					t.Fatalf("all %d reports were folded after %d kills, want %d", reports, killed, kills)
				}
			}
			rest := fold(t, s)
			t.Logf("%d of %d reports were folded between kills", reports-rest, reports)
			if folded := reports - rest; folded < reports/20 || rest == 0 {
				t.Error("hardly a kill came in between")
			}
			got := figures(t, s, 60)
			whole := open(t, place(t))
			if n := populate(t, whole, f); n != reports {
				t.Fatalf("%d reports, then %d", reports, n)
			}
			if n := fold(t, whole); n != reports {
				t.Errorf("folded %d reports of %d", n, reports)
			}
			sameFigures(t, "after the kills", got, figures(t, whole, 60))
		})
	}
}

// foldAndKill starts a fold and kills it some time later.
func foldAndKill(t *testing.T, name string, after time.Duration) (done bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), foldRole+"="+name)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "begin" {
		t.Fatalf("the fold says %q", lines.Text())
	}
	kill := time.AfterFunc(after, func() { cmd.Process.Kill() })
	defer kill.Stop()
	done = lines.Scan()
	cmd.Process.Kill()
	cmd.Wait()
	return done
}
