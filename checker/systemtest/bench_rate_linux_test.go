package systemtest

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/simulate"
	"relcheck/db/pgtest"
)

// subject is a server that is measured, and the request that it gets.
type subject struct {
	name    string
	request string
	conns   []int
	*process
	other  bool    // not relcheck
	status int     // class of the status of the answers; 0 for 2xx
	least  float64 // minimum rate, relative to the handler that does nothing; 0 for none
}

// at returns the name of a measurement with a number of connections.
func at(name string, conns int) string { return fmt.Sprintf("%s, %d connections", name, conns) }

const nothing, durable, mixed = "nothing", "durable reports", "a fleet's reports"

// remembering are reports of installations that remember the day of their last answer.
const remembering = "durable reports with the day of the last answer"

// leastRemembering is the minimum rate of these reports, relative to those without a day.
const leastRemembering = 0.95

// withLast returns a captured report with the day before today as the day of the last answer.
func withLast(b *bench, report string) string {
	head, body, ok := strings.Cut(report, "\r\n\r\n")
	length := fmt.Sprintf("Content-Length: %d", len(body))
	if !ok || !strings.Contains(head, length) {
		b.Fatalf("the captured report has no %s", length)
	}
	body = `{"last":"` + time.Now().UTC().AddDate(0, 0, -1).Format(time.DateOnly) + `",` + strings.TrimPrefix(body, "{")
	return strings.Replace(head, length, fmt.Sprintf("Content-Length: %d", len(body)), 1) + "\r\n\r\n" + body
}

// serving measures the rate of requests of a handler that does nothing, of durable
// reports in SQLite and PostgreSQL, of requests that record nothing, and of one INSERT
// per request, and the resources that the servers use. It returns the rate of durable
// reports over 256 connections.
func (b *bench) serving() (durableRate float64) {
	dir := b.TempDir()
	naive, served := filepath.Join(dir, "naive.db"), filepath.Join(dir, "served.db")
	serve(b, naive).kill() // leaves the schema behind
	bare, synced, sqlite, insert := start(b, "nothing"), start(b, "sync", filepath.Join(dir, "synced")), serve(b, served), start(b, "insert", naive)
	relcheck(b, "release", "add", "opa", "v0.70.0", "--db", served)
	unchanged := b.addTool(served, sqlite)
	report := captured(b, "opa-v0.70.0")
	all, some := []int{1, 64, 256, 1024}, []int{64, 256}
	subjects := []subject{
		{name: nothing, request: report, conns: all, process: bare, other: true},
		{name: "a file is synced", request: report, conns: all, process: synced, other: true},
		{name: durable, request: report, conns: all, process: sqlite},
		{name: remembering, request: withLast(b, report), conns: some, process: sqlite},
		{name: "GitHub's API", request: captured(b, "opa-v1.22.2"), conns: some, process: sqlite},
		{name: "a list of GitHub's API that has not changed", request: unchanged, conns: some, process: sqlite, status: 3, least: leastCached},
		{name: "a cached answer of a dialect", request: rawGet("/p/tool/gitea.json"), conns: some, process: sqlite, least: leastCached},
		{name: "/healthz", request: "GET /healthz HTTP/1.1\r\nHost: relcheck\r\n\r\n", conns: some, process: sqlite},
		{name: "INSERT a request", request: report, conns: []int{1, 64, 256}, process: insert, other: true},
	}
	if _, err := pgtest.Program("initdb"); err != nil {
		b.logProgress("missing: %v; not measured", err)
	} else {
		subjects = append(subjects, subject{name: "PostgreSQL", request: report, conns: some, process: serve(b, database(b))})
	}
	if p := b.peer(); p != nil {
		subjects = append(subjects, subject{name: peer, request: upgradeRequest, conns: some, process: p, other: true})
	}
	measured := b.measure(subjects)
	for _, n := range some {
		b.add(row{name: at(remembering, n) + ", to those without", ratio: measured.ratio(at(remembering, n), at(durable, n), rateOf), least: leastRemembering})
	}
	b.openLoop(bare, sqlite)
	b.processor(measured)
	b.memory(sqlite, bare)
	b.commits(naive, sqlite)
	sqlite.stop(b)
	for _, s := range subjects {
		s.kill()
	}
	b.disk(served)
	return measured.median(at(durable, 256), rateOf)
}

const (
	peer = "upgrade-responder, which records nothing"
	// upgradeRequest is a request of Longhorn, sent through a proxy.
	upgradeRequest = "POST /v1/checkupgrade HTTP/1.1\r\nHost: peer\r\nUser-Agent: Go-http-client/1.1\r\nContent-Length: 40\r\n" +
		"Content-Type: application/json\r\nX-Forwarded-For: 203.0.113.7\r\n\r\n" + `{"appVersion":"v1.0.0","extraInfo":null}`
	upgradeAnswer = `{"versions": [{"name": "v1.9.0", "releaseDate": "2025-05-27T00:00:00Z", "tags": ["latest"]}]}`
)

// leastCached is the minimum rate of cached answers to other clients.
const leastCached = 0.8

// rawGet returns a GET request as clients written in Go send it, with more header lines.
func rawGet(path string, header ...string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: relcheck\r\nUser-Agent: Go-http-client/1.1\r\n" + strings.Join(append(header, "Accept-Encoding: gzip\r\n\r\n"), "\r\n")
}

// addTool adds a product with a page of releases to the store of a server. It returns a
// request of that page by a client that has it.
func (b *bench) addTool(file string, p *process) string {
	s := b.open(file)
	var releases []catalog.Release
	for i := range 30 {
		r := catalog.Release{Tag: fmt.Sprintf("v1.%d.0", i)}
		for _, platform := range checker.Platforms()[:10] {
			r.Files = append(r.Files, catalog.File{Name: "tool_" + platform.OS + "_" + platform.Arch, URL: "https://example.com/" + r.Tag, SHA256: strings.Repeat("0", 64)})
		}
		releases = append(releases, r)
	}
	err := s.AddProduct(b.Context(), catalog.Product{Name: "tool", Title: "Tool", Repo: "me/tool", Dialects: "gitea"})
	if err == nil {
		_, err = s.ImportReleases(b.Context(), "tool", catalog.ListOf("list", releases...), true)
	}
	if err := errors.Join(err, s.Close()); err != nil {
		b.Fatal(err)
	}
	const list = "/repos/me/tool/releases"
	var etag string
	waitFor(b, "the releases of a product", func() bool {
		r, err := http.NewRequest("GET", p.url+list, nil)
		if err != nil {
			b.Fatal(err)
		}
		r.Header.Set("Accept-Encoding", "gzip")
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			b.Fatal(err)
		}
		res.Body.Close()
		etag = res.Header.Get("ETag")
		return res.StatusCode == http.StatusOK
	})
	return rawGet(list, "If-None-Match: "+etag)
}

// peer starts a comparable service with one release. It has no database and cannot look
// up the client's location, which is the least work that it can do.
func (b *bench) peer() *process {
	const dir = "../../.cache/peer/"
	_, err := os.Stat(dir + "peer")
	if _, e := os.Stat(dir + "geodb"); errors.Join(err, e) != nil {
		b.logProgress("missing: upgrade-responder, which make peer builds; not measured")
		return nil
	}
	config := filepath.Join(b.TempDir(), "versions.json")
	if err := os.WriteFile(config, []byte(upgradeAnswer), 0o644); err != nil {
		b.Fatal(err)
	}
	return startBy(b, "upgrade-responder", exec.Command(dir+"peer", config, dir+"geodb"))
}

// measure runs requests to all subjects in turn, one number of connections after the
// other.
func (b *bench) measure(subjects []subject) samples {
	b.logProgress("requests a second, with %d servers", len(subjects))
	var trials []trial
	for _, n := range subjects[0].conns {
		for _, s := range subjects {
			if slices.Contains(s.conns, n) {
				trials = append(trials, trial{at(s.name, n), func() sample {
					return b.runLoadFor(s.process, loadOf(b, s.addr, s.request, n, nil), cmp.Or(s.status, 2))
				}})
			}
		}
	}
	measured := b.alternate(rounds, trials...)
	for _, s := range subjects {
		for _, n := range s.conns {
			own := at(s.name, n)
			r := row{name: own, figure: measured.median(own, rateOf), unit: "requests/s", other: s.other, least: s.least, note: measured.latencies(own)}
			if s.name != nothing {
				r.ratio = measured.ratio(own, at(nothing, n), rateOf)
			}
			b.add(r)
		}
	}
	return measured
}

// runLoad sends a load to a server. All requests must succeed.
func (b *bench) runLoad(p *process, l simulate.Load) sample {
	b.Helper()
	return b.runLoadFor(p, l, 2)
}

// runLoadFor sends a load to a server. All answers must have a status of a class.
func (b *bench) runLoadFor(p *process, l simulate.Load, class int) sample {
	b.Helper()
	l.Duration = *benchFor
	before := processorTime(b, p.cmd.Process.Pid)
	r, err := l.Run(b.Context())
	if err != nil || r.Sent != r.Status[class] {
		b.Fatalf("%s: got result %+v (error %v), want only answers with a status of %dxx", p.cmd, r, err, class)
	}
	cpu := processorTime(b, p.cmd.Process.Pid) - before
	return sample{
		rate: float64(r.Sent) / r.Elapsed.Seconds(), cpu: float64(cpu.Microseconds()) / float64(r.Sent),
		p50: r.Latency.Quantile(0.5) / 1e6, p99: r.Latency.Quantile(0.99) / 1e6, longest: r.MaxLatency.Seconds() * 1e3,
	}
}

// openLoop sends reports at half of the highest rate, which each round measures first,
// without waiting for responses: of one build, of a fleet, and to the handler that does
// nothing.
func (b *bench) openLoop(bare, sqlite *process) {
	b.logProgress("reports at half of the highest rate")
	var half float64
	load := func(p *process) func() sample {
		return func() sample {
			l := newLoad(b, p.addr, 0, nil)
			l.Rate = half
			return b.runLoad(p, l)
		}
	}
	highest := func() sample {
		s := b.runLoad(sqlite, newLoad(b, sqlite.addr, 256, nil))
		half = s.rate / 2
		return s
	}
	served, fleet := b.fleet(&half)
	measured := b.alternate(2*rounds+1, trial{"the highest rate", highest}, trial{nothing, load(bare)}, trial{durable, load(sqlite)}, trial{mixed, fleet})
	served.kill()
	for _, name := range []string{durable, mixed} {
		prefix := name + " at half of the highest rate, "
		b.add(row{name: prefix + "p50", figure: measured.median(name, p50Of), unit: "ms", ratio: measured.ratio(name, nothing, p50Of), small: true,
			note: digits(measured.median(name, rateOf)) + " a second"})
		b.add(row{name: prefix + "p99", figure: measured.median(name, p99Of), unit: "ms", ratio: measured.ratio(name, nothing, p99Of), small: true})
		b.add(row{name: prefix + "most", figure: measured.longest(name), unit: "ms"})
	}
}

// fleet returns a server and a trial that sends it the reports of a large fleet with some
// hundred builds, at a rate.
func (b *bench) fleet(rate *float64) (*process, func() sample) {
	file, _ := releasedStore(b.T)
	s := b.open(file)
	releases, err := s.Releases(b.Context(), "opa")
	if err := errors.Join(err, s.Close()); err != nil {
		b.Fatal(err)
	}
	served, seed := serve(b, file), uint64(0)
	service := &url.URL{Scheme: "http", Host: served.addr}
	return served, func() sample {
		seed++
		return b.runLoad(served, simulate.Load{Service: service, Rate: *rate, Requests: simulate.Reports(seed, 100_000, releases, "opa", service)})
	}
}

// processor reports the CPU time per request, which other work on the machine influences
// least.
func (b *bench) processor(measured samples) {
	for _, n := range []int{64, 256} {
		own, floor := at(durable, n), at(nothing, n)
		b.add(row{name: "processor time, " + floor, figure: measured.median(floor, cpuOf), unit: "µs a request"})
		b.add(row{name: "processor time, " + own, figure: measured.median(own, cpuOf), unit: "µs a request", ratio: measured.ratio(own, floor, cpuOf), small: true})
	}
}

// memory reports the peak memory of a server.
func (b *bench) memory(sqlite, bare *process) {
	own, floor := float64(mostResident(b, sqlite.cmd.Process.Pid)), float64(mostResident(b, bare.cmd.Process.Pid))
	b.add(row{name: "memory at most, durable reports", figure: own / (1 << 20), unit: "MB", ratio: own / floor, small: true})
}

// commits compares a single report with a durable row without network.
func (b *bench) commits(file string, sqlite *process) {
	b.logProgress("one report at a time, and one commit")
	insert := insertInto(file)
	const commit, single = "one commit", "one report at a time"
	measured := b.alternate(rounds, trial{commit, func() sample {
		begin, n := time.Now(), 0
		for ; time.Since(begin) < *benchFor; n++ {
			if err := insert(uuid.New(), 2664880); err != nil {
				b.Fatal(err)
			}
		}
		return sample{took: time.Since(begin).Seconds() * 1e3 / float64(n)}
	}}, trial{single, func() sample {
		s := b.runLoad(sqlite, newLoad(b, sqlite.addr, 1, nil))
		return sample{took: 1e3 / s.rate}
	}})
	b.add(row{name: commit, figure: measured.median(commit, tookOf), unit: "ms"})
	b.add(row{name: single, figure: measured.median(single, tookOf), unit: "ms", ratio: measured.ratio(single, commit, tookOf), small: true})
}

// disk reports the bytes of a file per report, including statistics, relative to the 16
// bytes of an instance ID.
func (b *bench) disk(file string) {
	info, err := os.Stat(file)
	if err != nil {
		b.Fatal(err)
	}
	reports := strings.Count(relcheck(b, "export", "opa", "--db", file), "\n")
	each := float64(info.Size()) / float64(reports)
	b.add(row{name: "on disk", figure: each, unit: "bytes a report", ratio: each / 16, small: true, note: fmt.Sprintf("of %d", reports)})
}
