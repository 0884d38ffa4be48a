package command

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"time"

	"relcheck/checker/catalog"
	"relcheck/checker/printable"
	"relcheck/checker/simulate"
	"relcheck/checker/stats"
	"relcheck/checker/stats/rollup"
)

// outcome is the result of a simulation, as it is shown.
type outcome struct {
	*simulateOptions
	*simulate.Result
	releases []catalog.Release
}

// percentiles are the percentiles of latency that are shown.
var percentiles = []struct {
	name string
	q    float64
}{{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"max", 1}}

// latency returns a percentile; 1 is the maximum.
func latency(r *simulate.Result, q float64) time.Duration {
	switch {
	case r.Latency.Total() == 0:
		return 0
	case q == 1:
		return r.MaxLatency
	}
	return min(r.MaxLatency, time.Duration(r.Latency.Quantile(q)))
}

// milliseconds formats a duration with about three digits.
func milliseconds(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	decimals := 0
	switch {
	case ms < 10:
		decimals = 2
	case ms < 100:
		decimals = 1
	}
	return strconv.FormatFloat(ms, 'f', decimals, 64)
}

func showProgress(p progress, before, r *simulate.Result) {
	rate := float64(r.Sent-before.Sent) / max(1e-3, (r.Elapsed-before.Elapsed).Seconds())
	line := fmt.Sprintf("%.1f s  %s/s  %s errors ", r.Elapsed.Seconds(), stats.ShowNumber(int64(math.Round(rate))), stats.ShowNumber(r.Sent-r.Succeeded()))
	for _, q := range percentiles {
		line += " " + q.name + " " + milliseconds(latency(r, q.q))
	}
	p.show("%s ms", line)
}

// failure returns the error that makes the exit status 1, or nil. Requests that were due
// when a signal interrupted the simulation are not failures.
func (o *outcome) failure(interrupted bool) error {
	failed := o.Sent - o.Succeeded() - o.GivenUp
	switch {
	case failed > 0:
		return fmt.Errorf("%s of %s failed; the first: %w", stats.ShowNumber(failed), counted(o.Sent, "request"), o.FirstError)
	case o.Unsent > 0 && !interrupted:
		return fmt.Errorf("%s could not be sent when due, because too many others were unanswered", counted(o.Unsent, "request"))
	}
	return nil
}

// view returns the statistics of the recorded reports, as relcheck stats shows them.
func (o *outcome) view() *stats.View {
	today := rollup.DayOf(time.Now())
	on := rollup.Range{From: today, To: today}
	p := catalog.Product{Name: o.product}
	return stats.NewView(p, p.Rank(o.releases), stats.Query{Range: on}, o.Figures(on), today)
}

func (o *outcome) print(w io.Writer) error {
	s, v := newScreen(w), o.view()
	s.print(plain(fmt.Sprintf("%s to %s in %.1f s: %s per second", counted(o.Sent, "request"), masked(o.url), o.Elapsed.Seconds(),
		stats.ShowNumber(int64(math.Round(float64(o.Sent)/max(1e-3, o.Elapsed.Seconds()))))), ""))
	s.print(beside(s.grid(o.counts()), s.grid(o.latencies()), 2*gap))
	if o.Recorded > 0 {
		versions, platforms := v.Table("versions"), platformNames(v.Table("platforms"))
		s.print(append(block{text{}}, s.rows(top(versions, mostVersions, stats.ColVersion, stats.ColInstances, stats.ColShare, stats.ColReports), s.width)...))
		s.print(append(block{text{}}, s.rows(platforms.Select(colPlatform, stats.ColInstances, stats.ColShare, stats.ColReports), s.width)...))
	}
	if o.Unrecorded > 0 {
		s.print(append(block{text{}}, plain(printable.Wrap(fmt.Sprintf("%s exceeded the rate limit per client IP, and the service did not record them. "+
			"To record all, run: relcheck serve --source-rate 0", counted(o.Unrecorded, "report")), s.width)...)...))
	}
	return s.flush()
}

// counts lists the results of the requests. Zeros are omitted, except of failures.
func (o *outcome) counts() *grid {
	g := &grid{heads: []string{"Requests", ""}, right: []bool{false, true}}
	row := func(name string, n int64, always bool) {
		if n != 0 || always {
			g.row(newText(name), newText(stats.ShowNumber(n)))
		}
	}
	row("sent", o.Sent, true)
	for class, n := range o.Status {
		row(fmt.Sprintf("answered %dxx", class), n, class == 2)
	}
	row("no answer", o.Failed, true)
	row("given up", o.GivenUp, false)
	row("due, but not sent", o.Unsent, false)
	row("reports recorded", o.Recorded, true)
	row("reports not recorded", o.Unrecorded, false)
	row("checks", o.Checks, false)
	row("instances", o.Instances, true)
	return g
}

func (o *outcome) latencies() *grid {
	g := &grid{heads: []string{"Latency", "ms"}, right: []bool{false, true}}
	for _, p := range percentiles {
		g.row(newText(p.name), newText(milliseconds(latency(o.Result, p.q))))
	}
	return g
}

// outcomeJSON is the format of --json. Its members must not change.
type outcomeJSON struct {
	Product   string             `json:"product"` // empty for a replay
	URL       string             `json:"url"`
	Seed      uint64             `json:"seed"`
	Instances int                `json:"instances"`
	Seconds   float64            `json:"seconds"`
	Requests  map[string]int64   `json:"requests"`
	Status    map[string]int64   `json:"status"`
	Reports   map[string]int64   `json:"reports"`
	LatencyMS map[string]float64 `json:"latency_ms"`
	Versions  []countJSON        `json:"versions"`
	Platforms []countJSON        `json:"platforms"`
}

// countJSON counts the recorded reports of a version or platform.
type countJSON struct {
	Version   string `json:"version,omitempty"`
	OS        string `json:"os,omitempty"`
	Arch      string `json:"arch,omitempty"`
	Instances int64  `json:"instances"`
	Reports   int64  `json:"reports"`
}

func (o *outcome) writeJSON(streams IO) error {
	d := outcomeJSON{
		Product: o.product, URL: o.url, Seed: o.seed, Instances: o.instances, Seconds: o.Elapsed.Seconds(),
		Requests: map[string]int64{"sent": o.Sent, "succeeded": o.Succeeded(), "failed": o.Sent - o.Succeeded() - o.GivenUp,
			"given_up": o.GivenUp, "unsent": o.Unsent},
		Status:    map[string]int64{"none": o.Failed},
		Reports:   map[string]int64{"recorded": o.Recorded, "unrecorded": o.Unrecorded, "checks": o.Checks, "instances": o.Instances},
		LatencyMS: map[string]float64{}, Versions: []countJSON{}, Platforms: []countJSON{},
	}
	if len(o.replay) > 0 {
		d.Product = ""
	}
	for class := 2; class < len(o.Status); class++ {
		d.Status[fmt.Sprintf("%dxx", class)] = o.Status[class]
	}
	for _, p := range percentiles {
		d.LatencyMS[p.name] = float64(latency(o.Result, p.q).Microseconds()) / 1000
	}
	v := o.view()
	for r := range v.Table("versions").All() {
		d.Versions = append(d.Versions, countJSON{Version: r.Text(stats.ColVersion), Instances: r.Number(stats.ColInstances), Reports: r.Number(stats.ColReports)})
	}
	for r := range v.Table("platforms").All() {
		d.Platforms = append(d.Platforms, countJSON{OS: r.Text(stats.ColOS), Arch: r.Text(stats.ColArch), Instances: r.Number(stats.ColInstances), Reports: r.Number(stats.ColReports)})
	}
	return printJSON(streams, d)
}
