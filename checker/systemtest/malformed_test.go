package systemtest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"
)

var malformed = flag.Int("malformed", 30_000, "number of mutated requests that TestMalformed sends; a tenth under the race detector")

// poison ends everything that a mutant may have left open: a header, a line, a chunk. It
// is no valid request, so the server closes the connection.
const poison = "\r\n\r\n\x00poison\r\n\r\n"

const bodyLimit = 16 << 10

// bodyPoison is for a server that waits for the rest of a body. It is longer than what
// net/http reads of an unread body before it closes the connection: twice 256 KB.
var bodyPoison = bytes.Repeat([]byte(poison), 600<<10/len(poison))

// outcome is what a server responded on a connection.
type outcome struct {
	statuses []int
	recorded int // number of recorded reports
}

var (
	statusLine       = regexp.MustCompile(`(?m)^HTTP/1\.[01] (\d{3}) `)
	recordedResponse = regexp.MustCompile(`HTTP/1\.[01] 200 OK\r\n((?:[^\r\n]+\r\n)+)\r\n\{"latest":`)
)

// outcomeOf parses everything that a server sent on one connection.
func outcomeOf(answer []byte) (o outcome) {
	for _, m := range statusLine.FindAllSubmatch(answer, -1) {
		status, _ := strconv.Atoi(string(m[1]))
		o.statuses = append(o.statuses, status)
	}
	for _, m := range recordedResponse.FindAllSubmatch(answer, -1) {
		if !bytes.Contains(m[1], []byte("Relcheck-Recorded: no\r\n")) {
			o.recorded++
		}
	}
	return o
}

// attack sends a mutant and reads until the server closes the connection.
func attack(addr string, mutant []byte) (outcome, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return outcome{}, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	conn.Write(append(mutant, poison...)) // the server may close the connection before it has read everything
	more := time.AfterFunc(20*time.Millisecond, func() { conn.Write(bodyPoison) })
	defer more.Stop()
	answer, err := io.ReadAll(conn)
	if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
		return outcome{}, fmt.Errorf("no end of the response after 30 s: %w", err)
	}
	return outcomeOf(answer), nil
}

// reportsIn returns the maximum number of valid reports in bytes sent on one connection.
// It parses them with the standard library.
func reportsIn(sent []byte) (n int) {
	in := bufio.NewReader(bytes.NewReader(sent))
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return n
		}
		body, err := io.ReadAll(io.LimitReader(r.Body, bodyLimit+1))
		if r.Method == "POST" && len(body) <= bodyLimit && err == nil && validReport(body) {
			n++
		}
		if err != nil {
			return n
		}
	}
}

var (
	validID      = regexp.MustCompile(`^"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-4[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}"$`)
	validVersion = regexp.MustCompile(`^"[0-9A-Za-z.+_-]{1,80}"$`)
	validHeap    = regexp.MustCompile(`^("[0-9]+"|[0-9]+)$`)
)

// validReport implements the protocol independently of the server.
func validReport(body []byte) bool {
	var fields map[string]json.RawMessage
	if !utf8.Valid(body) || json.Unmarshal(body, &fields) != nil {
		return false
	}
	id, version, heap := unescape(fields["id"]), unescape(fields["version"]), unescape(fields["heap_usage_bytes"])
	return validID.Match(id) && validVersion.Match(version) && (heap == nil || string(heap) == "null" || validHeap.Match(heap))
}

// unescape removes unnecessary escapes from a JSON string.
func unescape(value json.RawMessage) []byte {
	var s *string
	if json.Unmarshal(value, &s) != nil || s == nil {
		return value
	}
	return []byte(`"` + *s + `"`)
}

// TestMalformed sends mutations of valid requests. The server must not fail, must
// answer each without an internal error, and must record exactly the valid reports
// that it acknowledges.
func TestMalformed(t *testing.T) {
	store := filepath.Join(t.TempDir(), "relcheck.db")
	s := serve(t, store)
	seed := rand.Uint64()
	var left, recorded atomic.Int64
	var mu sync.Mutex
	statuses := map[int]int{}
	mutants := *malformed
	if race {
		mutants /= 10
	}
	left.Store(int64(mutants))
	var senders sync.WaitGroup
	for sender := range 64 {
		r := rand.New(rand.NewPCG(seed, uint64(sender)))
		senders.Go(func() {
			for left.Add(-1) >= 0 && !t.Failed() {
				mutant := mutate(r)
				o, err := attack(s.addr, mutant)
				if err != nil {
					t.Errorf("%q: %v", mutant, err)
					continue
				}
				if valid := reportsIn(append(mutant, poison...)); o.recorded > valid {
					t.Errorf("%q: got %d recorded reports, want up to %d", mutant, o.recorded, valid)
				}
				recorded.Add(int64(o.recorded))
				mu.Lock()
				for _, status := range o.statuses {
					statuses[status]++
					if status >= 500 && status != http.StatusNotImplemented && status != http.StatusHTTPVersionNotSupported {
						t.Errorf("%q: got status %d, want less than 500", mutant, status)
					}
				}
				mu.Unlock()
			}
		})
	}
	senders.Wait()
	t.Logf("seed %d: %d mutants, responses by status %v, %d recorded", seed, mutants, statuses, recorded.Load())
	if statuses[400] == 0 || statuses[404] == 0 || statuses[405] == 0 || statuses[415] == 0 || statuses[431] == 0 || recorded.Load() == 0 {
		t.Errorf("got responses by status %v, want all kinds of errors and recorded reports", statuses)
	}
	checkHealthy(t, s, store, recorded.Load())
}

// checkHealthy checks that a server is ready, records, and stops without errors.
func checkHealthy(t *testing.T, s *process, store string, recorded int64) {
	t.Helper()
	if ready := get(t, s.url+"/readyz"); ready != "ready\n" {
		t.Errorf("/readyz: got %s, want ready", ready)
	}
	o, err := attack(s.addr, fmt.Appendf(nil, specimens[0], randomID(rand.New(rand.NewPCG(1, 2)))))
	if err != nil || o.recorded != 1 {
		t.Errorf("valid report at the end: got %+v (error %v), want it recorded", o, err)
	}
	rows := int64(0)
	for _, product := range []string{"opa", "relcheck"} {
		rows += int64(strings.Count(relcheck(t, "export", product, "--db", store), "\n"))
	}
	if rows != recorded+1 {
		t.Errorf("got %d reports in the export, want %d", rows, recorded+1)
	}
	peak := peakMemory(s.cmd.Process.Pid)
	t.Logf("peak memory %d MB", peak>>20)
	if peak > 200<<20 && !race { // the race detector needs more
		t.Errorf("got %d MB of peak memory, want up to 200", peak>>20)
	}
	s.stop(t)
	for _, sign := range []string{"panic", `"level":"ERROR"`} {
		if i := strings.Index(s.errs.String(), sign); i >= 0 {
			t.Errorf("got log with errors: %.2000s", s.errs.String()[max(0, i-200):])
		}
	}
	if !strings.Contains(s.errs.String(), `"msg":"stopped"`) {
		t.Errorf("got log without the regular stop: %.2000s", s.errs.String())
	}
}

// peakMemory returns the peak memory of a process in bytes, or 0 on systems without
// /proc.
func peakMemory(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	if m == nil {
		return 0
	}
	kb, _ := strconv.ParseInt(string(m[1]), 10, 64)
	return kb << 10
}

// TestMalformedParsers tests how TestMalformed parses responses and reports.
func TestMalformedParsers(t *testing.T) {
	const ok, body = "HTTP/1.1 200 OK\r\nA: b\r\n", `{"latest":{}}` + "\n"
	for response, want := range map[string]string{
		"":                 "[] 0",
		ok + "\r\n" + body: "[200] 1",
		ok + "Relcheck-Recorded: no\r\n\r\n" + body:                                     "[200] 0",
		ok + "\r\n" + body + ok + "\r\n" + body + "HTTP/1.1 400 Bad Request\r\n\r\n400": "[200 200 400] 2",
		ok + "\r\n<html>":                                "[200] 0",
		"HTTP/1.1 503 No\r\nA: b\r\n\r\n" + body:         "[503] 0",
		"HTTP/1.0 500 Internal Server Error\r\nA: b\r\n": "[500] 0",
	} {
		if o := outcomeOf([]byte(response)); fmt.Sprint(o.statuses, o.recorded) != want {
			t.Errorf("%q: got %+v, want %s", response, o, want)
		}
	}
	id := "08c1d850-6065-478a-b9b5-a8f9f464ad33"
	for i, s := range specimens {
		want := 0
		if i < 4 {
			want = 1
		}
		if n := reportsIn([]byte(strings.Replace(s, "%s", id, 1) + poison)); n != want {
			t.Errorf("specimen %d: got %d reports, want %d", i, n, want)
		}
	}
	for body, want := range map[string]bool{
		`{"id":"` + id + `","version":"1"}`: true, `{"\u0069d":"` + id + `","version":"\u0031"}`: true,
		`{"id":"` + id + `","version":"1","heap_usage_bytes":"-1"}`: false, `{"id":"` + strings.Replace(id, "478a", "178a", 1) + `","version":"1"}`: false,
		`{"id":"` + id + `","version":"1 "}`: false, `{"id":"` + id + `"}`: false, `{"id":"` + id + `","version":"1","heap_usage_bytes":null}`: true, `{"id":"` + id + `","version":null}`: false, `{"id":"` + id + `","version":"1"}x`: false, `{"id":"` + id + `","version":1}`: false,
	} {
		if validReport([]byte(body)) != want {
			t.Errorf("validReport(%s) = %t, want %t", body, !want, want)
		}
	}
}
