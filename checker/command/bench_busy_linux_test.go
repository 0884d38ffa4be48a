package command_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"relcheck/db"
)

// busy measures durable reports while the figures of a year are read without a
// pause, and while one backup after the other is made.
func (b *bench) busy(file string) {
	b.say("reports while a server is busy")
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
		trials = append(trials, trial{c.name, func() sample { return b.beside(served, c.jobs) }})
	}
	measured := b.inTurns(rounds, trials...)
	for i, c := range cases {
		own := measured[c.name]
		r := row{name: c.name, figure: own.rate, unit: "reports/s", note: own.latencies()}
		if i > 0 {
			r.ratio = own.rate / measured[cases[0].name].rate
		}
		b.add(r)
	}
	if b.say("%d pages were read, and %d backups made", page.done, backups.done); page.done*backups.done == 0 {
		b.Error("the server was not busy")
	}
}

// job is what is done again and again, until the context ends.
type job struct {
	do   func(context.Context) error
	done int
}

// beside sends reports while jobs are done.
func (b *bench) beside(p *process, jobs []*job) sample {
	ctx, cancel := context.WithCancel(b.Context())
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	for _, j := range jobs {
		all.Go(func() {
			for ctx.Err() == nil {
				switch err := j.do(ctx); {
				case err == nil:
					j.done++
				case ctx.Err() == nil:
					b.Errorf("beside reports: %v", err)
					return
				}
			}
		})
	}
	return b.ask(p, newLoad(b, p.addr, 64, nil))
}

// pageOf reads a page as who has a token.
func pageOf(url, token string) *job {
	return &job{do: func(ctx context.Context) error {
		r, err := http.NewRequestWithContext(ctx, "GET", url, nil)
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

// backupOf makes a backup, and removes it or what there is of it.
func backupOf(store, to string) *job {
	return &job{do: func(ctx context.Context) error {
		cmd := exec.CommandContext(ctx, os.Args[0], "backup", to, "--db", store)
		cmd.Env = environment("relcheck")
		out, err := cmd.CombinedOutput()
		for _, file := range append(db.Leftovers(to), to) {
			os.Remove(file)
		}
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}}
}
