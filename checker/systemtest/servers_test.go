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
			begin := time.Duration(i+1) * every / 3 // the servers are killed in turn
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
			t.Errorf("instance ID %s: got %d reports, want 1", id, n)
		}
	}
	if len(acked.ids) < 500 || kills < wanted || refused > 0 {
		t.Errorf("got %d acknowledged reports, %d other responses, %d killed servers, want at least 500, 0, at least %d", len(acked.ids), refused, kills, wanted)
	}
	t.Logf("%d reports acknowledged, %d servers killed, all reports recorded", len(acked.ids), kills)
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
	waitFor(t, "folded reports", func() bool {
		return strings.Contains(relcheckOutput(t, "doctor", "--db", name), "every report is in the statistics")
	})
	served.stop(t)
	if out := relcheckOutput(t, "doctor", "--db", name); !strings.Contains(out, "behind a connection pooler") || strings.Contains(out, "PROBLEM") {
		t.Errorf("doctor: got problems, or no connection pooler:\n%s", out)
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
	if fastest := slices.Min(took); fastest > 2*time.Second { // on a busy machine, some changes take longer
		t.Errorf("got the fastest change on all servers after %v, want up to 2 s", fastest)
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
			t.Errorf("relcheck %v: got exit status %d and output %s, want 2, PGPASSWORD and no password", args[0], status, out)
		}
	}
	t.Setenv("RELCHECK_DB", name)
	out, status := relcheckStatus(t, "release", "add", "opa", "v1.0.0")
	if status != 0 || strings.Contains(out, pgtest.Password) || !strings.Contains(out, "created postgres://relcheck@") {
		t.Errorf("URL in the environment: got exit status %d and output %s, want 0 and no password", status, out)
	}
	out, status = relcheckStatus(t, "release", "add", "opa", "v1.0.0", "--db", strings.Replace(pgtest.WithoutPassword(name), "relcheck@", "nobody@", 1))
	if status != 1 || strings.Contains(out, pgtest.Password) {
		t.Errorf("unknown user: got exit status %d and output %s, want 1 and no password", status, out)
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
		t.Errorf("report without a database: got %s and body %s, want 503 with Retry-After and release v9.0.0", res.Status, body)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	awaitStatus(t, p, http.StatusOK)
	relcheck(t, "release", "add", "opa", "v9.0.1", "--db", name)
	awaitRelease(t, p, "v9.0.1")
}

// awaitStatus waits until /readyz has a status.
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
			t.Fatalf("/readyz: got %v (error %v) after %v, want %d", res, err, waitTimeout, want)
		}
	}
}
