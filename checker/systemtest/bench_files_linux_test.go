package systemtest

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"relcheck/checker/catalog"
	"relcheck/checker/mirror"
	"relcheck/checker/simulate"
	"relcheck/db/pgtest"
)

// The files that are downloaded, and the required ratios.
const (
	largeFile, smallFile = 100 << 20, 10 << 10 // bytes
	smallFiles           = 10_000
	perRelease           = 1000

	leastLarge, leastSmall = 0.9, 0.7 // rate, relative to nginx
	leastBesideDownload    = 0.8      // rate of reports during a download, relative to the rate without one
	downloadSpeed          = 50 << 20 // bytes a second
)

// files measures downloads of a large file and of many small files, compared with nginx. It
// also measures how many reports are recorded during a download.
func (b *bench) files() {
	b.logProgress("storing %d files", smallFiles+1)
	store, folder, web := filepath.Join(b.TempDir(), "files.db"), b.TempDir(), b.TempDir()
	requests := b.hostFiles(store, folder, web)
	if err := os.WriteFile(filepath.Join(folder, mirror.Owner), nil, 0o600); err != nil { // the store lists files in it
		b.Fatal(err)
	}
	served := serve(b, store, "--files", folder)
	defer served.kill()
	const large, small, other = "download of 100 MB", "downloads of 10,000 files of 10 KB", ", nginx"
	trials := []trial{{large, func() sample { return b.downloads(served.url) }}, {small, func() sample { return b.smallDownloads(served, requests) }}}
	nginx := b.nginx(web)
	if nginx != nil {
		trials = append(trials, trial{large + other, func() sample { return b.downloads(nginx.url) }}, trial{small + other, func() sample { return b.smallDownloads(nginx, requests) }})
	}
	b.downloads(served.url) // the first one verifies the file
	b.smallDownloads(served, requests)
	b.logProgress("downloads")
	measured := b.alternate(rounds, trials...)
	for _, r := range []row{{name: large, unit: "MB/s", least: leastLarge}, {name: small, unit: "files/s", least: leastSmall}} {
		if nginx == nil {
			r.least = 0
		} else {
			b.add(row{name: r.name + other, figure: measured.median(r.name+other, rateOf), unit: r.unit})
			r.ratio = measured.ratio(r.name, r.name+other, rateOf)
		}
		if r.figure = measured.median(r.name, rateOf); r.name == small {
			r.note = fmt.Sprintf("%.0f µs of CPU time each", measured.median(small, cpuOf))
		}
		b.add(r)
	}
	b.reportsBesideDownload(served)
}

func fileName(i int) string { return fmt.Sprintf("file%05d", i) }

// hostFiles fills a store and a folder with files, and another folder with the same files
// for nginx. It returns a request for each small file.
func (b *bench) hostFiles(store, folder, web string) (requests []simulate.Capture) {
	ctx := context.Background()
	s := b.open(store)
	defer s.Close()
	d, err := sql.Open("sqlite", "file:"+store+"?_busy_timeout=5000")
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	host := func(tx *sql.Tx, tag, name string, content []byte) { // without the syncs that a folder needs
		sum := sha256Of(content)
		file, target := filepath.Join(folder, "sha256", sum[:2], sum), filepath.Join(web, "files", "opa", tag, name)
		err := cmp.Or(os.MkdirAll(filepath.Dir(file), 0o755), os.MkdirAll(filepath.Dir(target), 0o755), os.WriteFile(file, content, 0o644), os.Link(file, target))
		if err == nil {
			_, err = tx.Exec(`INSERT INTO hosted_file (product, tag, name, url, sha256, sha512, size, verified, fetched, damaged, staged)
				SELECT id, $1, $2, '', $3, '', $4, false, 1, 0, false FROM product WHERE name = 'opa'`, tag, name, sum, len(content))
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	for i := range smallFiles/perRelease + 1 {
		if _, err := s.ImportReleases(ctx, "opa", catalog.ListOf(fmt.Sprint("list", i), catalog.Release{Tag: fmt.Sprintf("v1.%d.0", i)}), true); err != nil {
			b.Fatal(err)
		}
	}
	tx, err := d.Begin()
	if err != nil {
		b.Fatal(err)
	}
	content := randomBytes(largeFile)
	host(tx, fmt.Sprintf("v1.%d.0", smallFiles/perRelease), "large", content)
	for i := range smallFiles {
		tag := fmt.Sprintf("v1.%d.0", i/perRelease)
		at := i * (len(content) - smallFile) / smallFiles
		host(tx, tag, fileName(i), content[at:at+smallFile])
		c, err := simulate.ReadCapture(strings.NewReader("GET /files/opa/" + tag + "/" + fileName(i) + " HTTP/1.1\r\nHost: relcheck\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n"))
		if err != nil {
			b.Fatal(err)
		}
		requests = append(requests, c)
	}
	err = cmp.Or(tx.Commit(), os.Mkdir(filepath.Join(folder, "check"), 0o755))
	for i := range 256 { // the daily verification, which would run during the downloads
		err = cmp.Or(err, os.WriteFile(filepath.Join(folder, "check", fmt.Sprintf("%02x", i)), nil, 0o644))
	}
	if err != nil {
		b.Fatal(err)
	}
	return requests
}

// downloads downloads the large file again and again.
func (b *bench) downloads(base string) sample {
	begun, bytes := time.Now(), int64(0)
	for bytes == 0 || time.Since(begun) < *benchFor {
		n, err := b.download(base, math.MaxInt64)
		if err != nil || n != largeFile {
			b.Fatalf("download from %s: got %d bytes (error %v), want %d", base, n, err, largeFile)
		}
		bytes += n
	}
	return sample{rate: float64(bytes) / (1 << 20) / time.Since(begun).Seconds()}
}

// download downloads the large file at a speed in bytes a second.
func (b *bench) download(base string, speed int64) (n int64, err error) {
	res, err := http.Get(base + fmt.Sprintf("/files/opa/v1.%d.0/large", smallFiles/perRelease))
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	buffer, begun := make([]byte, 256<<10), time.Now()
	for err == nil {
		var got int
		got, err = res.Body.Read(buffer)
		n += int64(got)
		if ahead := float64(n)/float64(speed) - time.Since(begun).Seconds(); ahead > 0.001 {
			time.Sleep(time.Duration(ahead * float64(time.Second)))
		}
	}
	if err == io.EOF {
		err = nil
	}
	return n, err
}

// smallDownloads downloads small files in random order.
func (b *bench) smallDownloads(p *process, requests []simulate.Capture) sample {
	rand.Shuffle(len(requests), func(i, j int) { requests[i], requests[j] = requests[j], requests[i] })
	service := &url.URL{Scheme: "http", Host: p.addr}
	return b.runLoad(p, simulate.Load{Service: service, Connections: 64, Timeout: waitTimeout, Requests: simulate.Replay(requests, rand.Uint64(), math.MaxInt, service)})
}

// nginx starts nginx for a folder. If it is not installed, the benchmark fails, but goes on.
// The configuration is that of Debian's package, with one worker per core, without an access
// log, and without a limit of requests per connection. Debian sets no open_file_cache.
func (b *bench) nginx(web string) *process {
	if _, err := os.Stat("/usr/sbin/nginx"); err != nil {
		b.Error("missing: nginx, which make bench installs; downloads are not compared with it")
		return nil
	}
	addr, err := pgtest.FreeAddr()
	if err != nil {
		b.Fatal(err)
	}
	return startNginx(b, fmt.Sprintf("sendfile on; tcp_nopush on; keepalive_requests 1000000000;\nserver { listen %s; root %s; }", addr, web), addr)
}

// reportsBesideDownload measures how many reports are recorded during a download.
func (b *bench) reportsBesideDownload(served *process) {
	b.logProgress("reports beside a download")
	const alone, beside = "reports, no download", "reports, a download of 50 MB/s"
	download := &job{do: func() error {
		begun := time.Now()
		n, err := b.download(served.url, downloadSpeed)
		if took := time.Since(begun).Seconds(); err == nil && float64(n)/took > 1.1*downloadSpeed {
			err = fmt.Errorf("the download was too fast: %d bytes in %v s", n, took)
		}
		return err
	}}
	measured := b.alternate(rounds, trial{alone, func() sample { return b.loadWithJobs(served, nil) }}, trial{beside, func() sample { return b.loadWithJobs(served, []*job{download}) }})
	b.add(row{name: alone, figure: measured.median(alone, rateOf), unit: "reports/s", note: measured.latencies(alone)})
	b.add(row{name: beside, figure: measured.median(beside, rateOf), unit: "reports/s", ratio: measured.ratio(beside, alone, rateOf), least: leastBesideDownload,
		note: measured.latencies(beside)})
}
