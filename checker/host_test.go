package checker

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
)

// outcome is the visible behavior of a program.
type outcome struct {
	status         int
	stdout, stderr string
}

// run runs a program in an empty folder, with only the given environment. It fails the
// test if the program creates a file.
func run(t *testing.T, program string, env ...string) (outcome, time.Duration) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	folder := t.TempDir()
	command := exec.Command(program)
	command.Dir = folder
	command.Env = append([]string{"HOME=" + folder, "TMPDIR=" + folder}, env...)
	command.Stdout, command.Stderr = &stdout, &stderr
	start := time.Now()
	err := command.Run()
	took := time.Since(start)
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		t.Fatal(err)
	}
	if files, err := os.ReadDir(folder); err != nil || len(files) > 0 {
		t.Errorf("the program created %v: %v", files, err)
	}
	return outcome{command.ProcessState.ExitCode(), stdout.String(), stderr.String()}, took
}

// tries is the number of attempts where a busy machine may be the cause of a failure:
// the program waits only about 200 ms for an answer.
const tries = 5

// TestHost runs a program with services of all kinds and compares its behavior to that
// of a run with the client disabled.
func TestHost(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "host")
	if output, err := exec.Command("go", "build", "-o", program, "./testdata/host").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, output)
	}
	control, quick := run(t, program, "DO_NOT_TRACK=1", "HOST_TELEMETRY_SERVICE_URL="+absent)
	if want := (outcome{3, "the sum is 190\n", "host: nothing to add\n"}); control != want {
		t.Fatalf("control run: %+v", control)
	}
	check := func(name string, handle func(net.Conn)) {
		t.Run(name, func(t *testing.T) {
			s := serve(t, handle)
			least := time.Hour
			for try := 0; try < tries && least > 3*quick+time.Second; try++ {
				got, took := run(t, program, "HOST_TELEMETRY_SERVICE_URL="+s.url)
				if got != control {
					t.Errorf("with the service: %+v\ndisabled: %+v", got, control)
				}
				least = min(least, took)
			}
			if least > 3*quick+time.Second {
				t.Errorf("took at least %v, and %v with the client disabled", least, quick)
			}
			if s.askedBefore(t) == 0 {
				t.Error("the program sent no request to the service")
			}
		})
	}
	check("hangs", hang(""))
	check("hangs in the header", hang("HTTP/1.1 200 OK\r\nX"))
	check("hangs in the body", hang("HTTP/1.1 200 OK\r\n\r\n{"))
	check("500", hostile["500"].handle)
	check("garbage", hostile["garbage"].handle)
	check("speaks first", func(conn net.Conn) { io.WriteString(conn, "\x1b[2J") })
	check("endless", hostile["endless body"].handle)
	check("endless header", hostile["endless header"].handle)
	check("lies", reply(ok(`{"latest":{"latest_release":"v0.9.0","download":"https://example.com"}}`)))
	t.Run("absent", func(t *testing.T) {
		if got, _ := run(t, program, "HOST_TELEMETRY_SERVICE_URL="+absent); got != control {
			t.Errorf("without a service: %+v\ndisabled: %+v", got, control)
		}
	})
	t.Run("misspelt", func(t *testing.T) {
		if got, _ := run(t, program, "HOST_TELEMETRY_SERVICE_URL=nowhere"); got != control {
			t.Errorf("with no URL: %+v\ndisabled: %+v", got, control)
		}
	})
	t.Run("answers", func(t *testing.T) {
		want := control
		want.stdout = "newer: v9.0.0\n" + control.stdout
		s, got := serve(t, reply(ok(newer))), control
		for try := 0; try < tries && got == control; try++ {
			got, _ = run(t, program, "HOST_TELEMETRY_SERVICE_URL="+s.url)
		}
		if got != want {
			t.Errorf("with a service that answers: %+v\nwant: %+v", got, want)
		}
	})
	t.Run("proxy", func(t *testing.T) { checkProxy(t, program, control) })
	t.Run("ids", func(t *testing.T) { checkIDs(t, program) })
}

// checkIDs starts the program several times: each start has another instance ID, which
// all its reports share.
func checkIDs(t *testing.T, program string) {
	seen := map[uuid.UUID]bool{}
	again := 0
	for start := 0; start < 3 || start < 3*tries && again < 3; start++ {
		for id, reports := range idsOf(t, program) {
			if seen[id] || id == uuid.Nil {
				t.Errorf("start %d reported the instance ID %s again, after %v", start, id, seen)
			}
			if seen[id] = true; reports > 1 {
				again++
			}
		}
		if len(seen) > start+1 {
			t.Errorf("%d starts had the instance IDs %v", start+1, seen)
		}
	}
	if again < 3 {
		t.Errorf("of %d instance IDs, only %d reported twice", len(seen), again)
	}
}

// idsOf runs the program and returns the number of reports by instance ID.
func idsOf(t *testing.T, program string) map[uuid.UUID]int {
	var mu sync.Mutex
	ids := map[uuid.UUID]int{}
	s := serve(t, func(conn net.Conn) {
		request, err := http.ReadRequest(bufio.NewReader(conn))
		var report Report
		if err != nil || json.NewDecoder(request.Body).Decode(&report) != nil {
			return // the program has ended
		}
		mu.Lock()
		ids[report.ID]++
		mu.Unlock()
		io.WriteString(conn, ok(newer))
	})
	run(t, program, "HOST_TELEMETRY_SERVICE_URL="+s.url)
	mu.Lock()
	defer mu.Unlock()
	return maps.Clone(ids)
}

// checkProxy runs the program with a service that can only be reached through a proxy.
func checkProxy(t *testing.T, program string, control outcome) {
	asked := make(chan string, 1000)
	proxy := serve(t, func(conn net.Conn) {
		raw, _ := readRequest(conn)
		line, _, _ := strings.Cut(string(raw), "\r\n")
		asked <- line
	})
	got, _ := run(t, program, "HTTP_PROXY="+proxy.url, "HOST_TELEMETRY_SERVICE_URL=http://service.invalid")
	if got != control {
		t.Errorf("through a proxy: %+v", got)
	}
	select {
	case line := <-asked:
		if want := "POST http://service.invalid/p/host/v1/version HTTP/1.1"; line != want {
			t.Errorf("the proxy got the request %q, want %q", line, want)
		}
	case <-time.After(10 * time.Second):
		t.Error("the proxy got no request")
	}
}

// TestDependencies tests that this package links no database and nothing else that a
// host does not need.
func TestDependencies(t *testing.T) {
	output, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	allowed := map[string]bool{"relcheck/checker": true, "relcheck/checker/printable": true, "github.com/google/uuid": true, "golang.org/x/mod/semver": true}
	for name := range strings.FieldsSeq(string(output)) {
		if !allowed[name] {
			t.Errorf("the package links %s", name)
		}
	}
}
