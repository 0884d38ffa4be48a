package systemtest

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"relcheck/checker/catalog"
)

// The size of the large catalog, and the required ratios.
const (
	benchProducts, benchReleases = catalog.MaxProducts, catalog.MaxReleases - 500 // leaves room for releases added by the benchmark

	mostAtLimit  = 5   // maximum time of a change, relative to one with 100 releases
	leastBesides = 0.9 // minimum rate of reports during changes, relative to the rate without changes
)

// catalog measures how long a change takes with 100 releases and with the maximum number
// of products and releases, and how many reports are recorded in the latter store while
// ten changes a second are made.
func (b *bench) catalog() {
	b.logProgress("filling a catalog")
	small, large := b.catalogOf(2, 100), b.catalogOf(benchProducts, benchReleases)
	defer small.stop(b)
	defer large.stop(b)
	const release, product = "a release is put", "a product is put"
	timed := func(c *catalogServer, name string, put func() error) trial {
		return trial{name, func() sample { return b.medianTime(put) }}
	}
	const few, most = ", few releases", ", as many as there may be"
	measured := b.alternate(rounds,
		timed(small, release+few, small.putRelease), timed(large, release+most, large.putRelease),
		timed(small, product+few, small.putProduct), timed(large, product+most, large.putProduct))
	for _, name := range []string{release, product} {
		b.add(row{name: name + few, figure: measured.median(name+few, tookOf), unit: "ms"})
		b.add(row{name: name + most, figure: measured.median(name+most, tookOf), unit: "ms", ratio: measured.ratio(name+most, name+few, tookOf), small: true, most: mostAtLimit})
	}
	const alone, besides = "reports, as many releases as there may be", "reports, ten releases a second are put"
	reports := b.alternate(2*rounds+1, trial{alone, func() sample { return b.loadWithJobs(large.process, nil) }},
		trial{besides, func() sample { return b.loadWithJobs(large.process, []*job{large.tenPutsASecond()}) }})
	b.add(row{name: alone, figure: reports.median(alone, rateOf), unit: "reports/s", note: reports.latencies(alone)})
	b.add(row{name: besides, figure: reports.median(besides, rateOf), unit: "reports/s", ratio: reports.ratio(besides, alone, rateOf),
		least: leastBesides, note: reports.latencies(besides)})
}

// catalogOf starts a server with a number of products and releases.
func (b *bench) catalogOf(products, releases int) *catalogServer {
	file := filepath.Join(b.TempDir(), "catalog.db")
	fillCatalog(b, file, products, releases, 1)
	token := strings.TrimSpace(relcheck(b, "token", "add", "pipeline", "--scope", "admin", "--db", file))
	return &catalogServer{process: b.serve(file), token: token}
}

// medianTime returns the median time of a change.
func (b *bench) medianTime(put func() error) sample {
	var all []float64
	for begin := time.Now(); len(all) < 30 && (len(all) == 0 || time.Since(begin) < *benchFor); {
		began := time.Now()
		if err := put(); err != nil {
			b.Fatal(err)
		}
		all = append(all, time.Since(began).Seconds()*1e3)
	}
	slices.Sort(all)
	return sample{took: all[len(all)/2]}
}

// putRelease publishes a release that is newer than all others.
func (c *catalogServer) putRelease() error {
	c.puts++
	return c.put(fmt.Sprintf("/api/v1/products/opa/releases/v2.%d.0", c.puts), `{"assets":{"linux/amd64":"https://example.com/linux"}}`, http.StatusCreated)
}

// tenPutsASecond returns a job that publishes ten releases a second.
func (c *catalogServer) tenPutsASecond() *job {
	next := rate.NewLimiter(10, 1)
	return &job{do: func() error {
		if err := next.Wait(context.Background()); err != nil {
			return err
		}
		return c.putRelease()
	}}
}

// putProduct changes a product.
func (c *catalogServer) putProduct() error {
	c.puts++
	return c.put("/api/v1/products/relcheck", fmt.Sprintf(`{"title":"Title %d","repo":"relcheck/relcheck%[1]d"}`, c.puts), http.StatusOK)
}
