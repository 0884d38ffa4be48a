package systemtest

import (
	"strings"
	"testing"
)

// TestDoctorBesideServer checks that doctor raises no false alarm while a server records,
// and does not disturb the server.
func TestDoctorBesideServer(t *testing.T) {
	store := newFilledStore(t, unlessRace(15_000, 5_000))
	relcheck(t, "release", "add", "opa", "v1.0.0", "--db", store)
	relcheck(t, "token", "add", "ann", "--db", store)
	served := serve(t, store, "--trusted-proxy", "127.0.0.1")
	c := startReporters(t, served.addr)
	for range 2 {
		out, status := relcheckStatus(t, "doctor", "--db", store)
		for line := range strings.Lines(out) {
			if status != 0 || strings.HasPrefix(line, "PROBLEM") || strings.HasPrefix(line, "warning") && !strings.Contains(line, " process ") {
				t.Errorf("got exit status %d and line %s, want 0 and no problems", status, line)
			}
		}
		if !strings.Contains(out, "records into it") || !strings.Contains(out, "compared with complete days") {
			t.Errorf("got output without the running server or the comparison of complete days:\n%s", out)
		}
	}
	c.finish(t)
	if n := countMissing(t, store, c.snapshot()); n > 0 {
		t.Errorf("got %d lost reports, want 0", n)
	}
}

// TestDoctorOnTerminal checks that every line fits on a terminal and that problems
// stand out.
func TestDoctorOnTerminal(t *testing.T) {
	store := newFilledStore(t, 1000)
	for _, columns := range []int{80, 140} {
		t.Setenv("NO_COLOR", "")
		text := runOnTerminal(t, columns, "doctor", "--db", store, "--backup-dir", t.TempDir())
		if !strings.Contains(text, "\x1b[1mwarning\x1b[0m") || !strings.Contains(text, "\x1b[2mok\x1b[0m") {
			t.Errorf("%d columns: got no emphasis, want some:\n%s", columns, text)
		}
		var lines []string
		for line := range strings.Lines(color.ReplaceAllString(text, "")) { // without progress that was overwritten
			line = strings.TrimSuffix(line, "\n")
			lines = append(lines, line[strings.LastIndex(line, "\x1b[K")+len("\x1b[K"):])
			if !strings.Contains(line, "\x1b[K") {
				lines[len(lines)-1] = line
			}
		}
		checkPrintable(t, "doctor", strings.Join(lines, "\n"), columns)
	}
	text := relcheck(t, "doctor", "--db", store)
	checkPrintable(t, "piped", text, 0)
	if n := strings.Count(text, "\n"); n > 20 {
		t.Errorf("got %d lines, want up to 20:\n%s", n, text)
	}
}
