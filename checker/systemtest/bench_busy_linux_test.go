package systemtest

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
)

// busy measures durable reports while a page of a year is read without a pause, and while
// one backup after the other is made.
func (b *bench) busy(file string) {
	b.logProgress("reports while a server is busy")
	served := b.serve(file)
	defer served.stop(b)
	page := pageOf(served.url+"/products/opa?days=365", strings.TrimSpace(relcheck(b, "token", "add", "reader", "--db", file)))
	backups := backupOf(file, filepath.Join(b.TempDir(), "backup.db"))
	cases := []struct {
		name string
		jobs []*job
	}{
		{"busy, with nothing else", nil},
		{"busy, a year's page is read", []*job{page}},
		{"busy, backups are made", []*job{backups}},
		{"busy, both", []*job{page, backups}},
	}
	var trials []trial
	for _, c := range cases {
		trials = append(trials, trial{c.name, func() sample { return b.loadWithJobs(served, c.jobs) }})
	}
	measured := b.alternate(rounds, trials...)
	for i, c := range cases {
		r := row{name: c.name, figure: measured.median(c.name, rateOf), unit: "reports/s", note: measured.latencies(c.name)}
		if i > 0 {
			r.ratio = measured.ratio(c.name, cases[0].name, rateOf)
		}
		b.add(r)
	}
	b.logProgress("meanwhile, %d pages were read and %d backups were made", page.done, backups.done)
}

// job is work that is repeated while reports are sent.
type job struct {
	do   func() error
	done int
}

// loadWithJobs sends reports while jobs run, and waits for the jobs to end.
func (b *bench) loadWithJobs(p *process, jobs []*job) sample {
	var wg sync.WaitGroup
	var ended atomic.Bool
	defer wg.Wait()
	defer ended.Store(true)
	for _, j := range jobs {
		wg.Go(func() {
			for ; !ended.Load(); j.done++ {
				if err := j.do(); err != nil {
					b.Errorf("job while reports are sent: %v", err)
					return
				}
			}
		})
	}
	return b.runLoad(p, newLoad(b, p.addr, 64, nil))
}

// pageOf requests a page with a token. Such pages show more than public ones and are
// cached for a shorter time.
func pageOf(url, token string) *job {
	return &job{do: func() error {
		r, err := http.NewRequest("GET", url, nil)
		if err != nil {
			return err
		}
		r.Header.Set("Authorization", "Bearer "+token)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("%s has status %d", url, res.StatusCode)
		}
		_, err = io.Copy(io.Discard, res.Body)
		return err
	}}
}

// backupOf makes a backup and removes it.
func backupOf(store, to string) *job {
	return &job{do: func() error {
		cmd := exec.Command(os.Args[0], "backup", to, "--db", store)
		cmd.Env = environment("relcheck")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return os.Remove(to)
	}}
}
