package systemtest

import (
	"database/sql"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"relcheck/checker"
	"relcheck/checker/stats/rollup"
)

// TestProcessesShareInstallation starts 1,000 processes that report at the same time and
// share a state file, which does not exist yet. They count as one installation. Then more
// processes share it, some days later: the file is changed to an earlier day, because the
// day is the server's.
func TestProcessesShareInstallation(t *testing.T) {
	program := filepath.Join(t.TempDir(), "reporter")
	if output, err := exec.Command("go", "build", "-o", program, "./testdata/reporter").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, output)
	}
	store := filepath.Join(t.TempDir(), "relcheck.db")
	relcheck(t, "product", "add", "app", "--db", store)
	url, state := serve(t, store).url, filepath.Join(t.TempDir(), "state")
	today := rollup.DayOf(time.Now())

	reportTogether(t, 1000, program, url, state)
	want := rollup.CountLast(checker.NeverAnswered, today)
	checkInstallations(t, store, want)
	for _, ago := range []rollup.Day{0, 1, 7, 28, 400} {
		ageState(t, state, today-ago)
		reportTogether(t, 40, program, url, state)
		want.Add(rollup.CountLast(checker.Last(today-ago), today))
		checkInstallations(t, store, want)
	}
	if rollup.DayOf(time.Now()) != today {
		t.Skip("the day changed during the test")
	}
}

// atOnce is the number of processes that report at the same time. If all did, some would get
// no answer in time on a busy machine, and the next one would count as new again.
const atOnce = 50

// reportTogether starts processes, lets them report once all run, and waits for their end.
func reportTogether(t *testing.T, processes int, program string, args ...string) {
	t.Helper()
	wait, begin, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer begin.Close()
	ended := make(chan error, processes)
	for range processes {
		c := exec.Command(program, args...)
		c.Env = append(os.Environ(), "GOMAXPROCS=1")
		c.Stdin = wait
		out, err := c.StderrPipe()
		if err == nil {
			err = c.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			text, _ := io.ReadAll(out)
			if err := c.Wait(); err != nil {
				ended <- fmt.Errorf("%w: %s", err, text)
				return
			}
			ended <- nil
		}()
	}
	wait.Close()
	begin.Write(make([]byte, min(processes, atOnce))) // a process reads one byte
	for range processes {
		if err := <-ended; err != nil {
			t.Error(err)
		}
		begin.Write([]byte{0})
	}
}

// ageState changes the day in a state file, which must be today.
func ageState(t *testing.T, path string, to rollup.Day) {
	t.Helper()
	text, err := os.ReadFile(path)
	date, service, found := strings.Cut(string(text), " ")
	if today := time.Now().UTC().Format(time.DateOnly); err != nil || !found || date != today {
		t.Fatalf("state file: got %q (error %v), want a line with %s", text, err, today)
	}
	if err := os.WriteFile(path, []byte(to.Time().Format(time.DateOnly)+" "+service), 0o600); err != nil {
		t.Fatal(err)
	}
}

// checkInstallations compares the sums of a store's counters of installations.
func checkInstallations(t *testing.T, store string, want rollup.Installations) {
	t.Helper()
	d, err := sql.Open("sqlite", "file:"+store+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var got rollup.Installations
	err = d.QueryRow("SELECT sum(daily), sum(weekly), sum(monthly), sum(new), sum(back7), sum(back28) FROM installation_count").
		Scan(&got.Daily, &got.Weekly, &got.Monthly, &got.New, &got.Back7, &got.Back28)
	if err != nil || got != want {
		t.Fatalf("installations: got %+v (error %v), want %+v", got, err, want)
	}
}
