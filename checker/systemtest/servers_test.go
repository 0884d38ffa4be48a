package systemtest

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"relcheck/db/pgtest"
)

// database returns the name of a new PostgreSQL store for a command line. The password
// is in the environment.
func database(t testing.TB) string {
	t.Helper()
	name := pgtest.WithoutPassword(pgtest.Database(t))
	t.Setenv("PGPASSWORD", pgtest.Password)
	return name
}

// TestServersKilledUnderLoad kills three servers of one database in turn. Each
// acknowledged report must be recorded exactly once.
func TestServersKilledUnderLoad(t *testing.T) {
	wanted, every := int64(unlessRace(12, 6)), time.Second
	if testing.Short() {
		wanted = 5
	}
	name := database(t)
	var acked acknowledged
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	var kills, refused int64
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() {
			begin := time.Duration(i+1) * every / 3 // so that they die in turn
			for life := every + begin; ctx.Err() == nil; life = 3 * every {
				served := serve(t, name)
				living, die := context.WithCancel(ctx)
				death := time.AfterFunc(life, func() {
					served.cmd.Process.Kill()
					die()
				})
				bad := sendUntil(living, newLoad(t, served.addr, 16, acked.add))
				died := !death.Stop()
				die()
				served.kill()
				mu.Lock()
				if died {
					kills++
				}
				if kills >= wanted {
					cancel()
				}
				refused += bad
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	seen := exportedIDs(t, name)
	acked.wantRecordedOnce(t, seen)
	for id, n := range seen {
		if n > 1 {
			t.Errorf("%s is there %d times", id, n)
		}
	}
	if len(acked.ids) < 500 || kills < wanted || refused > 0 {
		t.Errorf("%d reports acknowledged, %d answers other than 200, %d servers killed", len(acked.ids), refused, kills)
	}
	t.Logf("%d reports acknowledged by servers of which %d were killed, all there", len(acked.ids), kills)
}

// TestServersBehindPgBouncer checks servers and commands behind a PgBouncer in
// transaction mode.
func TestServersBehindPgBouncer(t *testing.T) {
	name := pgtest.WithoutPassword(pgtest.Pooled(t, "transaction"))
	t.Setenv("PGPASSWORD", pgtest.Password)
	killed, served := serve(t, name), serve(t, name)
	c, last := startReporters(t, served.addr), startReporters(t, killed.addr)
	c.await(t, 300)
	last.await(t, 300)
	killed.kill()
	last.stop()
	relcheck(t, "release", "add", "opa", "v9.0.0", "--db", name)
	awaitRelease(t, served, "v9.0.0")
	c.finish(t)
	seen := exportedIDs(t, name)
	c.wantRecordedOnce(t, seen)
	last.wantRecordedOnce(t, seen)
	waitFor(t, "the reports are folded", func() bool {
		return strings.Contains(relcheckOutput(t, "doctor", "--db", name), "every report is in the statistics")
	})
	served.stop(t)
	if out := relcheckOutput(t, "doctor", "--db", name); !strings.Contains(out, "behind a connection pooler") || strings.Contains(out, "PROBLEM") {
		t.Errorf("the doctor finds:\n%s", out)
	}
}

// TestServersShareReleases checks that all servers answer with a change within two
// seconds.
func TestServersShareReleases(t *testing.T) {
	name := database(t)
	var servers []*process
	for range 3 {
		servers = append(servers, serve(t, name))
	}
	var took []time.Duration
	for i := range 3 {
		tag := fmt.Sprintf("v9.0.%d", i)
		relcheck(t, "release", "add", "opa", tag, "--db", name)
		begin := time.Now()
		for _, p := range servers {
			awaitRelease(t, p, tag)
		}
		took = append(took, time.Since(begin))
	}
	if soonest := slices.Min(took); soonest > 2*time.Second { // the others may have had to wait for a processor
		t.Errorf("it took %v at the soonest until all servers knew of a release", soonest)
	}
}

// TestPasswordOnCommandLine checks that a password on the command line is rejected,
// and never printed.
func TestPasswordOnCommandLine(t *testing.T) {
	name := pgtest.Database(t)
	for _, args := range [][]string{
		{"serve", "--db", name},
		{"copy", "--from", "a.db", "--to", name},
		{"copy", "--from=" + name, "--to", "a.db"},
		{"serve", name},
		{"release", "add", "opa", "v1.0.0", "--db", "host=localhost user=relcheck password=" + pgtest.Password},
	} {
		out, status := relcheckStatus(t, args...)
		if status != 2 || strings.Contains(out, pgtest.Password) || !strings.Contains(out, "PGPASSWORD") {
			t.Errorf("relcheck %v: status %d, %s", args[0], status, out)
		}
	}
	t.Setenv("RELCHECK_DB", name)
	out, status := relcheckStatus(t, "release", "add", "opa", "v1.0.0")
	if status != 0 || strings.Contains(out, pgtest.Password) || !strings.Contains(out, "created postgres://relcheck@") {
		t.Errorf("with the URL in the environment: status %d, %s", status, out)
	}
	out, status = relcheckStatus(t, "release", "add", "opa", "v1.0.0", "--db", strings.Replace(pgtest.WithoutPassword(name), "relcheck@", "nobody@", 1))
	if status != 1 || strings.Contains(out, pgtest.Password) {
		t.Errorf("refused by the database: status %d, %s", status, out)
	}
}

// TestServerWithoutDatabase checks that a server that loses its database is not ready,
// answers with the latest release, and recovers.
func TestServerWithoutDatabase(t *testing.T) {
	server, err := pgtest.New()
	pgtest.RequireInstalled(t, err)
	t.Cleanup(server.Remove)
	t.Setenv("PGPASSWORD", pgtest.Password)
	name := pgtest.WithoutPassword(server.Database(t))
	relcheck(t, "release", "add", "opa", "v9.0.0", "--db", name)
	p := serve(t, name)
	awaitStatus(t, p, http.StatusOK)
	server.Stop(syscall.SIGQUIT)
	awaitStatus(t, p, http.StatusServiceUnavailable)
	res, err := http.Post("http://"+p.addr+"/v1/version", "application/json",
		strings.NewReader(`{"id":"`+uuid.NewString()+`","version":"0.70.0"}`))
	if err != nil {
		t.Fatal(err)
	}
	body := readAll(t, res)
	if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" || !strings.Contains(body, `"latest_release":"v9.0.0"`) {
		t.Errorf("without a database: %s %s", res.Status, body)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	awaitStatus(t, p, http.StatusOK)
	relcheck(t, "release", "add", "opa", "v9.0.1", "--db", name)
	awaitRelease(t, p, "v9.0.1")
}

// awaitStatus waits until /readyz answers with a status.
func awaitStatus(t *testing.T, p *process, want int) {
	t.Helper()
	for deadline := time.Now().Add(waitTimeout); ; time.Sleep(20 * time.Millisecond) {
		res, err := http.Get("http://" + p.addr + "/readyz")
		if err == nil {
			res.Body.Close()
			if res.StatusCode == want {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("/readyz does not answer %d: %v, %v", want, res, err)
		}
	}
}
