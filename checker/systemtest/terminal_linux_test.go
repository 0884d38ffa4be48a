package systemtest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"relcheck/checker/catalog"
	"relcheck/checker/command"
	"relcheck/checker/simulate"
	"relcheck/checker/stats"
	"relcheck/checker/stats/fleet"
	"relcheck/checker/stats/rollup"
	"relcheck/db"
)

// newTerminal returns the two ends of a terminal with a number of columns.
func newTerminal(t *testing.T, columns int) (master, terminal *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		missing(t, fmt.Sprint("pseudo-terminals: ", err))
	}
	t.Cleanup(func() { master.Close() })
	fd := int(master.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Col: uint16(columns), Row: 40})
	}
	if err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return master, terminal
}

// runOnTerminal runs a command on a terminal and returns its output.
func runOnTerminal(t *testing.T, columns int, args ...string) string {
	t.Helper()
	return captureTerminal(t, columns, func(terminal *os.File) error {
		if status := command.Run(context.Background(), args, command.IO{Out: terminal, Err: terminal}); status != 0 {
			return fmt.Errorf("exit status %d", status)
		}
		return nil
	})
}

func captureTerminal(t *testing.T, columns int, run func(terminal *os.File) error) string {
	t.Helper()
	master, terminal := newTerminal(t, columns)
	shown := make(chan string)
	go func() {
		b, _ := io.ReadAll(master) // returns an error when the other end is closed
		shown <- string(b)
	}()
	err := run(terminal)
	terminal.Close()
	text := strings.ReplaceAll(<-shown, "\r\n", "\n")
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return text
}

func runPiped(t *testing.T, args ...string) string {
	t.Helper()
	var b strings.Builder
	if status := command.Run(context.Background(), args, command.IO{Out: &b, Err: &b}); status != 0 {
		t.Fatalf("exit status %d\n%s", status, b.String())
	}
	return b.String()
}

// TestHelpFitsTerminal checks that topics of the manual are wrapped at the width of the
// terminal, except their code.
func TestHelpFitsTerminal(t *testing.T) {
	for _, columns := range []int{60, 80, 200} {
		lines := strings.Split(runOnTerminal(t, columns, "help", "quick-start"), "\n")
		widest := 0
		for _, line := range lines {
			if !strings.HasPrefix(line, "    ") {
				widest = max(widest, utf8.RuneCountInString(line))
			}
		}
		if widest > columns || widest < min(columns, 100)-12 {
			t.Errorf("%d columns: the widest line has %d", columns, widest)
		}
	}
}

// TestListsFitTerminal checks that lists are as wide as the terminal at most.
func TestListsFitTerminal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relcheck.db")
	s, err := db.Open(t.Context(), path, readSchema())
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	t.Setenv("RELCHECK_DB", path)
	t.Setenv("NO_COLOR", "1")
	const product = "a-product-with-a-long-name"
	for _, args := range [][]string{
		{"product", "add", product, "--title", "A product whose title has many words, so that it is long", "--repo", "some-organization/some-repository", "--upstream", "github:some-organization/some-repository"},
		{"product", "channel", "add", product, "stable", "--match", "^1.4"},
		{"release", "add", product, "v1.2.3+a.build.with.a.long.name"},
		{"token", "add", "a token whose name describes at some length what it is for"},
	} {
		runPiped(t, args...)
	}
	for _, args := range [][]string{
		{"product", "list"}, {"product", "channel", "list", product}, {"release", "list", product}, {"token", "list"}, {"audit"}, {"preset", "list"}, {"dialect", "list"},
	} {
		for _, columns := range []int{80, 200} {
			checkPrintable(t, fmt.Sprint(args, " in ", columns, " columns"), runOnTerminal(t, columns, args...), columns)
		}
	}
}

const hostileTitle = "Evil\x1b[2J\x1b]0;owned\a\u009b31m\u202e\r\b\x00\n<script>"

// hostileStore returns a store with the reports of a fleet with hostile versions, for
// a product with a hostile title.
func hostileStore(t *testing.T) string {
	t.Helper()
	path := t.TempDir() + "/relcheck.db"
	ctx := context.Background()
	s, err := db.Open(ctx, path, readSchema())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	now := time.Now()
	f := fleet.Fleet{Seed: 3, Days: 40, End: rollup.DayOf(now), Instances: unlessRace(200, 60), Every: 12 * time.Hour}
	if err := s.AddProduct(ctx, catalog.Product{Name: "evil", Title: hostileTitle}); err != nil {
		t.Fatal(err)
	}
	past := simulate.Backfill{Fleet: f, Product: "evil", Until: now}
	if err = past.Publish(ctx, s); err == nil {
		_, err = past.Run(ctx, s)
	}
	if err == nil {
		_, err = s.Fold(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var color = regexp.MustCompile("\x1b\\[(0|1|2|34)m")

// checkPrintable checks that a text contains no control characters and no line that is
// too long.
func checkPrintable(t *testing.T, what, text string, columns int) {
	t.Helper()
	for _, line := range strings.Split(text, "\n") {
		if columns > 0 && utf8.RuneCountInString(line) > columns {
			t.Errorf("%s: got line %q, want up to %d columns", what, line, columns)
		}
		if i := strings.IndexFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
			t.Errorf("%s: got control character %q at %d of %q", what, line[i:i+1], i, line)
		}
	}
}

func TestStatsOnTerminal(t *testing.T) {
	path := hostileStore(t)
	widths, ranges := []int{80, 120, 200}, []string{"1", "7", "28", "30", "90", "3660"}
	if race {
		widths, ranges = []int{80, 200}, []string{"1", "28", "3660"}
	}
	for _, columns := range widths {
		for _, days := range ranges {
			t.Setenv("NO_COLOR", "")
			what := fmt.Sprintf("%s days in %d columns", days, columns)
			text := runOnTerminal(t, columns, "stats", "evil", "--db", path, "--days", days)
			if !color.MatchString(text) || !strings.Contains(text, "█") {
				t.Errorf("%s: got no colors or no bars:\n%s", what, text)
			}
			text = color.ReplaceAllString(text, "")
			checkPrintable(t, what, text, columns)
			if lines := strings.Count(text, "\n"); lines > 40 {
				t.Errorf("%s: got %d lines, want up to 40\n%s", what, lines, text)
			}
			t.Setenv("NO_COLOR", "1")
			if got := runOnTerminal(t, columns, "stats", "evil", "--db", path, "--days", days); got != text {
				t.Errorf("%s: without colors: got\n%q\nwant\n%q", what, got, text)
			}
		}
	}
	for _, table := range stats.TableNames {
		checkPrintable(t, table, runOnTerminal(t, 120, "stats", "evil", "--db", path, "--by", table), 120)
		checkPrintable(t, table, runPiped(t, "stats", "evil", "--db", path, "--by", table), 0)
		checkPrintable(t, table, runPiped(t, "stats", "evil", "--db", path, "--by", table, "--json"), 0)
		checkPrintable(t, table, strings.ReplaceAll(runPiped(t, "stats", "evil", "--db", path, "--by", table, "--csv"), "\r\n", "\n"), 0)
	}
	text := runPiped(t, "stats", "evil", "--db", path)
	checkPrintable(t, "piped", text, 0)
	if strings.ContainsAny(text, "█▁▏\x1b") || !strings.Contains(text, "<script>") {
		t.Errorf("piped: got bars or no title:\n%s", text)
	}
}

// TestStatsOfChecksOnTerminal checks that checks are shown if there are no instances.
func TestStatsOfChecksOnTerminal(t *testing.T) {
	t.Setenv("NO_COLOR", "1")
	text := runOnTerminal(t, 100, "stats", "opa", "--db", oddStore(t))
	checkPrintable(t, "checks", text, 100)
	for _, want := range []string{"No instances, but 25 checks", "CHECKS PER DAY, MAX 25", "█"} {
		if !strings.Contains(text, want) {
			t.Errorf("got no %q in\n%s", want, text)
		}
	}
}

// TestSimulateOnTerminal checks that the result of a simulation fits on a screen,
// after its progress.
func TestSimulateOnTerminal(t *testing.T) {
	t.Setenv("NO_COLOR", "1")
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer s.Close()
	text := runOnTerminal(t, 80, "simulate", "--url", s.URL, "--rate", "1000", "--duration", "1200ms")
	last := strings.LastIndex(text, "\r\x1b[K")
	if last < 0 {
		t.Fatalf("got no progress:\n%s", text)
	}
	for _, line := range strings.Split(text[:last], "\r\x1b[K")[1:] {
		if !strings.Contains(line, "/s  0 errors  p50 ") || !strings.Contains(line, " max ") || utf8.RuneCountInString(line) > 79 {
			t.Errorf("got progress %q, want rate, errors and latencies in up to 79 columns", line)
		}
	}
	result := text[last+len("\r\x1b[K"):]
	checkPrintable(t, "result", result, 80)
	for _, want := range []string{"1,200 requests", "p99", " others ", "linux/amd64", "█"} {
		if !strings.Contains(result, want) {
			t.Errorf("got no %q in\n%s", want, result)
		}
	}
	if lines := strings.Count(result, "\n"); lines > 40 {
		t.Errorf("got %d lines, want up to 40\n%s", lines, result)
	}
}
