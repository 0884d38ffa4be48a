package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"relcheck/db/pgtest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"relcheck": main})
}

// TestScript runs the scripts of command lines in testdata/script with the real program.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:   "testdata/script",
		Setup: setup,
		Condition: func(name string) (bool, error) { // whether nothing may be skipped
			if name != "ci" {
				return false, fmt.Errorf("unknown condition %q", name)
			}
			return os.Getenv("CI") == "true", nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status": status,
			"await":  await,
			"get":    get,
			"post":   post,
			"put":    put,
			"delete": del,

			"await-export": awaitExport,
			"until":        until,
			"sign-in":      signIn,
			"revoke":       revoke,
			"readme":       readme,
			"tokens":       tokens,
			"damage":       damage,
			"same":         same,
		},
	})
}

// setup sets the environment of a script: two free addresses, a Go proxy in the script's
// folder, and a server of the files in its folder upstream.
func setup(env *testscript.Env) error {
	upstream := httptest.NewServer(http.FileServer(http.Dir(filepath.Join(env.WorkDir, "upstream"))))
	env.Defer(upstream.Close)
	env.Setenv("UPSTREAM", upstream.URL)
	addr, err := pgtest.FreeAddr()
	metrics, err2 := pgtest.FreeAddr()
	env.Setenv("ADDR", addr)
	env.Setenv("URL", "http://"+addr)
	env.Setenv("METRICS", metrics)
	env.Setenv("GORACE", "atexit_sleep_ms=0") // otherwise each command sleeps for a second before it exits
	env.Setenv("GOPROXY", "file://"+env.WorkDir+"/goproxy")
	return errors.Join(err, err2)
}

// status N COMMAND… runs a command and expects exit status N.
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N COMMAND…")
	}
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit := (*exec.ExitError)(nil)
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("exit status %d, want %s", got, args[0])
	}
}

// pollTimeout is how long a script waits for a condition. It is generous because the
// machine may be busy.
const pollTimeout = time.Minute

// await PATH TEXT requests PATH until the answer contains TEXT; ! negates it.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: await PATH TEXT")
	}
	var body string
	for deadline := time.Now().Add(pollTimeout); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		res, err := http.Get(ts.Getenv("URL") + args[0])
		if err == nil {
			body = read(ts, res)
		}
		if err == nil && strings.Contains(body, args[1]) != neg {
			return
		}
	}
	ts.Fatalf("GET %s: want %q (negated: %t), got:\n%s", args[0], args[1], neg, body)
}

// await-export N PRODUCT TEXT waits until N recorded reports contain TEXT.
func awaitExport(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: await-export N PRODUCT TEXT")
	}
	for deadline := time.Now().Add(pollTimeout); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		ts.Check(ts.Exec("relcheck", "export", args[1]))
		if strings.Count(ts.ReadFile("stdout"), args[2]) >= atoi(ts, args[0]) {
			return
		}
	}
	ts.Fatalf("export %s: want %s reports with %s, got:\n%s", args[1], args[0], args[2], ts.ReadFile("stdout"))
}

// until TEXT COMMAND… runs a command until its output contains TEXT.
func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until TEXT COMMAND…")
	}
	for deadline := time.Now().Add(pollTimeout); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		ts.Check(ts.Exec(args[1], args[2:]...))
		if strings.Contains(ts.ReadFile("stdout"), args[0]) {
			return
		}
	}
	ts.Fatalf("%v: want %q, got:\n%s", args[1:], args[0], ts.ReadFile("stdout"))
}

func atoi(ts *testscript.TestScript, s string) int {
	n, err := strconv.Atoi(s)
	ts.Check(err)
	return n
}

// get PATH [TOKEN-FILE] prints the answer, and with a token its status first.
func get(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) == 1 {
		res, err := http.Get(ts.Getenv("URL") + args[0])
		ts.Check(err)
		fmt.Fprint(ts.Stdout(), read(ts, res))
		return
	}
	withToken(ts, "GET", args[1], args[0], "")
}

// put TOKEN-FILE PATH FILE sends FILE in a PUT request, and prints status and answer.
func put(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: put TOKEN-FILE PATH FILE")
	}
	withToken(ts, "PUT", args[0], args[1], ts.ReadFile(args[2]))
}

// del is the command delete TOKEN-FILE PATH: it sends a DELETE request, and prints
// status and answer.
func del(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: delete TOKEN-FILE PATH")
	}
	withToken(ts, "DELETE", args[0], args[1], "")
}

// withToken sends a request with the token in a file, and prints status and answer.
func withToken(ts *testscript.TestScript, method, token, path, body string) {
	req, err := http.NewRequest(method, ts.Getenv("URL")+path, strings.NewReader(body))
	ts.Check(err)
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(ts.ReadFile(token)))
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	ts.Check(err)
	fmt.Fprintln(ts.Stdout(), res.StatusCode)
	fmt.Fprint(ts.Stdout(), read(ts, res))
}

// post PATH FILE USER-AGENT sends a report, and prints status and answer.
func post(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: post PATH FILE USER-AGENT")
	}
	req, err := http.NewRequest("POST", ts.Getenv("URL")+args[0], strings.NewReader(ts.ReadFile(args[1])))
	ts.Check(err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", args[2])
	res, err := http.DefaultClient.Do(req)
	ts.Check(err)
	fmt.Fprintln(ts.Stdout(), res.StatusCode)
	fmt.Fprint(ts.Stdout(), read(ts, res))
}

// signIn is the command sign-in FILE STATUS: it submits the sign-in form with the token
// or link in FILE, and expects STATUS.
func signIn(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: sign-in FILE STATUS")
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	form := url.Values{"token": {ts.ReadFile(args[0])}}
	req, err := http.NewRequest("POST", ts.Getenv("URL")+"/sign-in", strings.NewReader(form.Encode()))
	ts.Check(err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Cookie", "relcheck-form=1; __Host-relcheck-form=1")
	res, err := client.Do(req)
	ts.Check(err)
	if body := read(ts, res); strconv.Itoa(res.StatusCode) != args[1] {
		ts.Fatalf("sign in: status %s, want %s\n%s", res.Status, args[1], body)
	}
}

// revoke FILE revokes the token in FILE.
func revoke(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: revoke FILE")
	}
	ts.Check(ts.Exec("relcheck", "token", "revoke", strings.Split(ts.ReadFile(args[0]), "_")[1]))
}

// tokens HOST TOKEN-FILE FILE writes a file for --token-file with one token.
func tokens(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: tokens HOST TOKEN-FILE FILE")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(args[0]+" "+ts.ReadFile(args[1])), 0o600))
}

func read(ts *testscript.TestScript, res *http.Response) string {
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	ts.Check(err)
	return string(body)
}

// damage FOLDER NAME changes the content of the hosted file with a name in the folder of
// files.
func damage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: damage FOLDER NAME")
	}
	ts.Check(ts.Exec("relcheck", "file", "list"))
	for line := range strings.Lines(ts.ReadFile("stdout")) {
		if fields := strings.Fields(line); fields[2] == args[1] {
			sum := fields[len(fields)-1]
			ts.Check(os.WriteFile(filepath.Join(ts.MkAbs(args[0]), "sha256", sum[:2], sum), []byte("damaged"), 0o600))
			return
		}
	}
	ts.Fatalf("%s is not hosted:\n%s", args[1], ts.ReadFile("stdout"))
}

// same FILE compares the JSON of an answer, which follows a line with its status, with that in
// FILE.
func same(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: same FILE")
	}
	_, body, _ := strings.Cut(ts.ReadFile("stdout"), "\n")
	var got, want any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &got))
	ts.Check(json.Unmarshal([]byte(body), &want))
	if !reflect.DeepEqual(got, want) {
		ts.Fatalf("got %v\nwant %v", got, want)
	}
}
