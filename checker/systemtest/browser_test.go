package systemtest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/simulate"
	"relcheck/checker/stats/fleet"
	"relcheck/checker/stats/public"
	"relcheck/checker/stats/rollup"
	"relcheck/db"
)

// screenshots is where TestBrowser writes pictures of the pages.
var screenshots = flag.String("screenshots", "", "write screenshots of all pages to this `directory`")

// pageServer is a running server, as the browser reaches it.
type pageServer struct {
	Base string `json:"base"`
	Link string `json:"link,omitempty"` // sign-in link
}

// TestBrowser checks the pages of running servers in Chromium, see testdata/browser.
func TestBrowser(t *testing.T) {
	t.Parallel()
	modules := browserModules(t)
	file := filepath.Join(t.TempDir(), "full.db")
	fill(t, file, knownFleet())
	public := filepath.Join(t.TempDir(), "public.db")
	if filled, err := os.ReadFile(file); err != nil || os.WriteFile(public, filled, 0o600) != nil {
		t.Fatalf("cannot copy the store: %v", err)
	}
	publishWeeks(t, public, 30)
	installed := filepath.Join(t.TempDir(), "installed.db")
	remembering := knownFleet()
	remembering.Instances, remembering.Remember = 200, 0.8
	fill(t, installed, remembering)
	full := servePages(t, file)
	publicServer := servePages(t, public, "--public-stats")
	unpublished := servePages(t, filepath.Join(t.TempDir(), "unpublished.db"), "--public-stats")
	publicServer.Link, unpublished.Link = "", ""
	spares := make([]string, 3)
	for i := range spares {
		spares[i] = strings.TrimSpace(relcheck(t, "token", "link", "--db", file, "--base-url", full.Base))
	}
	config, err := json.Marshal(map[string]any{
		"full": full, "installed": servePages(t, installed), "one": servePages(t, oneReport(t)), "empty": servePages(t, filepath.Join(t.TempDir(), "empty.db")),
		"public": publicServer, "unpublished": unpublished, "managed": managedPages(t),
		"odd": servePages(t, oddStore(t)), "hosting": hostingPages(t), "secure": servePages(t, filepath.Join(t.TempDir(), "secure.db"), "--base-url", "https://relcheck.test"),
		"spares": spares, "below": "v1.0.0", "affected": affected(t, full.Base, strings.TrimSpace(relcheck(t, "token", "add", "api", "--db", file)), "v1.0.0"),
	})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", "testdata/browser/test.mjs", modules, *screenshots)
	cmd.Stdin = bytes.NewReader(config)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Error(err)
	}
	t.Logf("%s", out)
}

// browserModules returns the folder with the packages that control the browser. make check
// installs them.
func browserModules(t *testing.T) string {
	t.Helper()
	modules, err := filepath.Abs("../../.cache/browser")
	if err == nil {
		_, err = os.Stat(filepath.Join(modules, "node_modules/axe-core"))
	}
	if err != nil {
		missing(t, "playwright-core and axe-core; make check installs them")
	}
	for _, program := range []string{"node", "/usr/bin/chromium"} {
		if _, err := exec.LookPath(program); err != nil {
			missing(t, program+"; make check installs it")
		}
	}
	return modules
}

// servePages serves a store, and reads the base URL and the sign-in link from the output.
func servePages(t *testing.T, file string, flags ...string) pageServer {
	t.Helper()
	cmd := exec.Command(os.Args[0], append([]string{"serve", "--listen", "127.0.0.1:0", "--db", file}, flags...)...)
	cmd.Env = environment("relcheck")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup((&process{cmd: cmd}).kill)
	var s pageServer
	lines := bufio.NewScanner(out)
	for s.Link == "" && lines.Scan() {
		if base, ok := strings.CutPrefix(lines.Text(), "listening on "); ok {
			s.Base = base
		} else if link, ok := strings.CutPrefix(lines.Text(), "sign in at "); ok {
			s.Link = link
		}
	}
	if s.Link == "" || s.Base == "" {
		t.Fatal("serve prints no sign-in link")
	}
	return s
}

// affected returns the number of instances below a version, from the API.
func affected(t *testing.T, base, token, below string) string {
	t.Helper()
	r, err := http.NewRequest("GET", base+"/api/v1/products/opa/stats/deprecation?below="+below, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var table struct {
		Rows []struct {
			Below     string
			Instances int64
			Share     float64
		}
	}
	if err := json.NewDecoder(res.Body).Decode(&table); err != nil {
		t.Fatal(err)
	}
	for _, row := range table.Rows {
		if row.Below == below {
			return fmt.Sprintf("%d instances (%.1f %%)", row.Instances, row.Share*100)
		}
	}
	t.Fatalf("no row for version %s: %+v", below, table)
	return ""
}

// knownFleet has about 120 instances a day at its end, which is today.
func knownFleet() fleet.Fleet {
	return fleet.Fleet{Seed: 7, Days: 200, Instances: 100, Every: 24 * time.Hour, End: rollup.DayOf(time.Now())}
}

// fill creates a store with the reports of a fleet and their statistics.
func fill(t testing.TB, file string, f fleet.Fleet) {
	t.Helper()
	ctx := context.Background()
	s, err := db.Open(ctx, file, readSchema())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	past := simulate.Backfill{Fleet: f, Product: "opa", Until: time.Now()}
	if err = past.Publish(ctx, s); err == nil {
		_, err = past.Run(ctx, s)
	}
	if err == nil {
		_, err = s.Fold(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// publishWeeks makes the public documents of the last n weeks of a store, of networks whose
// number grows.
func publishWeeks(t *testing.T, file string, n int) {
	t.Helper()
	ctx := context.Background()
	s, err := db.Open(ctx, file, readSchema())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	all, err := s.Changes(ctx, catalog.Revision{})
	last := rollup.OneWeek.Start(rollup.DayOf(time.Now())) - 7
	for i := range n {
		week, lines := last-7*rollup.Day(n-1-i), []string{"v1.8", "v1.7", "v1.6", "v1.5", "v1.4", "v1.3", "v1.2", "v1.1", "v1.0"}
		for _, p := range all.Products {
			cells, total := public.NewCells(), int64(7*(800+40*i))
			for at, share := range []int64{20, 30, 18, 12, 8, 5, 3, 2, 1} {
				cells.Lines[lines[at]] = total * share / 100
			}
			cells.OS = map[string]int64{"linux": total * 80 / 100, "darwin": total * 15 / 100, "windows": total * 5 / 100}
			cells.Arch = map[string]int64{"amd64": total * 70 / 100, "arm64": total * 28 / 100, "riscv64": total * 2 / 100}
			run := public.Run{ID: int64(week), Day: week, Seconds: 86400}
			if err == nil {
				err = s.AddNetworkCounts(ctx, run, map[int64]public.Cells{p.ID: cells})
			}
			if err == nil {
				err = s.MakePublicWeek(ctx, p.ID, week, time.Now(), func(w *public.Week) []byte {
					return public.New(p.Name, w, lines, 40, rand.Reader).Encode()
				})
			}
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// oneReport creates a store with two releases, and a report of the older one today.
func oneReport(t *testing.T) string {
	t.Helper()
	ctx := context.Background()
	file := filepath.Join(t.TempDir(), "one.db")
	s, err := db.Open(ctx, file, readSchema())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_, err = s.ImportReleases(ctx, "opa", catalog.ListOf("list", catalog.Release{Tag: "v1.0.0"}, catalog.Release{Tag: "v1.1.0"}), true)
	if err == nil {
		report := checker.Report{ID: uuid.MustParse("4c3f7f7e-7f0c-4d52-9a57-5a4b7d5f3c11"), Version: "v1.0.0", HeapUsageBytes: new(int64(20 << 20))}
		_, err = s.Backfill(ctx, "opa", slices.Values([]db.Recorded{{At: time.Now(), Platform: checker.Platform{OS: "linux", Arch: "amd64"}, Report: report}}), none[db.Checked])
	}
	if err == nil {
		_, err = s.Fold(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// oddStore creates a store with a product that has only checks and no releases, and one
// whose title and version are long words.
func oddStore(t *testing.T) string {
	t.Helper()
	ctx := context.Background()
	file := filepath.Join(t.TempDir(), "odd.db")
	s, err := db.Open(ctx, file, readSchema())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	linux, yesterday := checker.Platform{OS: "linux", Arch: "amd64"}, rollup.DayOf(time.Now()).Time().AddDate(0, 0, -1)
	_, err = s.Backfill(ctx, "opa", none[db.Recorded], slices.Values([]db.Checked{{Day: yesterday, Version: "v1.8.0", Platform: linux, Count: 25}}))
	if err == nil {
		err = s.AddProduct(ctx, catalog.Product{Name: "long", Title: strings.Repeat("W", 100)})
	}
	if err == nil {
		report := checker.Report{ID: uuid.MustParse("4c3f7f7e-7f0c-4d52-9a57-5a4b7d5f3c11"), Version: "v1.0.0-" + strings.Repeat("a", 65), HeapUsageBytes: new(int64(1 << 20))}
		_, err = s.Backfill(ctx, "long", slices.Values([]db.Recorded{{At: yesterday, Platform: linux, Report: report}}), none[db.Checked])
	}
	if err == nil {
		_, err = s.Fold(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func none[T any](func(T) bool) {}
