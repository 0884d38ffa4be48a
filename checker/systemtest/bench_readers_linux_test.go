package systemtest

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/stats"
	"relcheck/db"
)

const (
	// manyReleases is the number of releases of a product with a very long history, and
	// fewReleases that of a usual product.
	manyReleases, fewReleases = 50_000, 100
	// nonReaders is the number of clients that request a page at the same time and do not
	// read it.
	nonReaders = 60
)

// readers measures the cost of a product with a very long history: the page of its
// releases relative to that of a usual product, and the memory of a server whose clients
// request large responses without reading them.
func (b *bench) readers() {
	b.logProgress("pages of %s releases", stats.ShowNumber(manyReleases))
	many, token := b.released(manyReleases)
	few, _ := b.released(fewReleases)
	defer many.stop(b)
	defer few.stop(b)
	idle := float64(resident(b, many.cmd.Process.Pid))
	page := func(n int, p *process) trial {
		return trial{pageName(n), func() sample {
			begin := time.Now()
			size, err := download(p.url + releasesPage)
			if err != nil {
				b.Fatal(err)
			}
			return sample{took: time.Since(begin).Seconds() * 1e3, size: float64(size)}
		}}
	}
	measured := b.alternate(3*rounds, page(manyReleases, many), page(fewReleases, few))
	size := func(name string) string { return digits(measured.median(name, sizeOf)/1e3) + " KB" }
	own, floor := pageName(manyReleases), pageName(fewReleases)
	b.add(row{name: floor, figure: measured.median(floor, tookOf), unit: "ms", note: size(floor)})
	b.add(row{name: own, figure: measured.median(own, tookOf), unit: "ms", ratio: measured.ratio(own, floor, tookOf), small: true, note: size(own)})
	for _, c := range []struct{ what, path string }{{"a page", releasesPage}, {"a table", "/api/v1/products/opa/stats/deprecation?format=csv"}} {
		most := 0.0
		requestWithoutReading(b, many, c.path, token, nonReaders, func() { most = max(most, float64(resident(b, many.cmd.Process.Pid))) })
		b.add(row{name: fmt.Sprintf("memory, %d clients that do not read %s", nonReaders, c.what), figure: most / (1 << 20), unit: "MB", ratio: most / idle, small: true,
			note: fmt.Sprintf("to %s MB before", digits(idle/(1<<20)))})
	}
}

const releasesPage = "/products/opa/releases"

func pageName(releases int) string {
	return fmt.Sprintf("the page of %s releases", stats.ShowNumber(int64(releases)))
}

// released starts a server with public statistics of a product with n releases. It also
// returns a token.
func (b *bench) released(n int) (p *process, token string) {
	file := filepath.Join(b.TempDir(), "released.db")
	if err := release(b.Context(), file, n); err != nil {
		b.Fatal(err)
	}
	return serve(b, file, "--public-stats"), strings.TrimSpace(relcheck(b, "token", "add", "reader", "--db", file))
}

// release creates a store with n releases of a product and one report.
func release(ctx context.Context, file string, n int) error {
	s, err := db.Open(ctx, file, readSchema())
	if err != nil {
		return err
	}
	defer s.Close()
	all := make([]catalog.Release, n)
	for i := range all {
		all[i] = catalog.Release{Tag: fmt.Sprintf("v1.%d.%d", i/100, i%100), Date: time.Now().Add(time.Duration(i-n) * time.Hour).UTC().Truncate(time.Second)}
	}
	if _, err = s.ImportReleases(ctx, "opa", catalog.ListOf("test", all...), true); err != nil {
		return err
	}
	heap := int64(20e6)
	report := db.Recorded{At: time.Now().AddDate(0, 0, -1), Platform: checker.Platform{OS: "linux", Arch: "amd64"},
		Report: checker.Report{ID: uuid.New(), Version: all[n-1].Tag, HeapUsageBytes: &heap}}
	if _, err = s.Backfill(ctx, "opa", slices.Values([]db.Recorded{report}), none[db.Checked]); err != nil {
		return err
	}
	_, err = s.Fold(ctx)
	return err
}

// download reads a page without compression.
func download(url string) (size int64, err error) {
	r, err := http.NewRequest("GET", url, nil)
	if err != nil {
		return 0, err
	}
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Accept-Encoding", "identity")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	size, err = io.Copy(io.Discard, res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s has status %d", url, res.StatusCode)
	}
	return size, err
}

// requestWithoutReading sends requests from several clients that read only the first byte
// of each response. It calls look repeatedly until the last response has begun.
func requestWithoutReading(t testing.TB, p *process, path, token string, clients int, look func()) {
	t.Helper()
	dialer := net.Dialer{Control: smallBuffer}
	var begun sync.WaitGroup
	for range clients {
		c, err := dialer.DialContext(t.Context(), "tcp", p.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\nAuthorization: Bearer "+token+"\r\n\r\n")
		c.SetReadDeadline(time.Now().Add(12 * time.Second)) // the server closes a connection that reads nothing for 10 s
		begun.Go(func() { c.Read(make([]byte, 1)) })
	}
	ended := make(chan struct{})
	go func() {
		begun.Wait()
		close(ended)
	}()
	for going := true; going; look() {
		select {
		case <-ended:
			going = false
		case <-time.After(10 * time.Millisecond):
		}
	}
}
