package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
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

// TestScript plays sessions at the command line, with the real program.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:   "testdata/script",
		Setup: setup,
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
		},
	})
}

// setup gives each script two addresses that nothing listens on, and an
// environment in which nothing is switched off.
func setup(env *testscript.Env) error {
	addr, err := pgtest.FreeAddr()
	metrics, err2 := pgtest.FreeAddr()
	env.Setenv("ADDR", addr)
	env.Setenv("URL", "http://"+addr)
	env.Setenv("METRICS", metrics)
	env.Setenv("GORACE", "atexit_sleep_ms=0") // else each command sleeps for a second before it ends well
	env.Setenv("GOPROXY", "file://"+env.WorkDir+"/goproxy")
	return errors.Join(err, err2)
}

// status N COMMAND… runs a command, which must end with exit status N.
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

// patience is how long the scripts wait for what is to come about, on a machine that
// has much to do.
const patience = time.Minute

// await PATH TEXT asks until the answer contains the text.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: await PATH TEXT")
	}
	var body string
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		res, err := http.Get(ts.Getenv("URL") + args[0])
		if err == nil {
			body = read(ts, res)
		}
		if err == nil && strings.Contains(body, args[1]) != neg {
			return
		}
	}
	ts.Fatalf("GET %s does not say %q:\n%s", args[0], args[1], body)
}

// await-export N PRODUCT TEXT waits until N recorded reports have the text.
func awaitExport(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: await-export N PRODUCT TEXT")
	}
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		ts.Check(ts.Exec("relcheck", "export", args[1]))
		if strings.Count(ts.ReadFile("stdout"), args[2]) >= atoi(ts, args[0]) {
			return
		}
	}
	ts.Fatalf("fewer than %s reports of %s with %s", args[0], args[1], args[2])
}

// until TEXT COMMAND… runs a command until it prints the text.
func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until TEXT COMMAND…")
	}
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		ts.Check(ts.Exec(args[1], args[2:]...))
		if strings.Contains(ts.ReadFile("stdout"), args[0]) {
			return
		}
	}
	ts.Fatalf("%v does not print %q:\n%s", args[1:], args[0], ts.ReadFile("stdout"))
}

func atoi(ts *testscript.TestScript, s string) int {
	n, err := strconv.Atoi(s)
	ts.Check(err)
	return n
}

// get PATH [TOKEN-FILE] prints the answer.
func get(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) == 1 {
		res, err := http.Get(ts.Getenv("URL") + args[0])
		ts.Check(err)
		fmt.Fprint(ts.Stdout(), read(ts, res))
		return
	}
	withToken(ts, "GET", args[1], args[0], "")
}

// put TOKEN-FILE PATH FILE sends a change, and prints status and answer.
func put(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: put TOKEN-FILE PATH FILE")
	}
	withToken(ts, "PUT", args[0], args[1], ts.ReadFile(args[2]))
}

// delete TOKEN-FILE PATH does so, and prints status and answer.
func del(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: delete TOKEN-FILE PATH")
	}
	withToken(ts, "DELETE", args[0], args[1], "")
}

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

// post PATH FILE USER-AGENT sends a report and prints the answer.
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

// sign-in FILE STATUS sends the sign-in form with the token or the link in the file.
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
		ts.Fatalf("signing in gives %s, want %s\n%s", res.Status, args[1], body)
	}
}

// revoke FILE takes back the token in the file.
func revoke(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: revoke FILE")
	}
	ts.Check(ts.Exec("relcheck", "token", "revoke", strings.Split(ts.ReadFile(args[0]), "_")[1]))
}

func read(ts *testscript.TestScript, res *http.Response) string {
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	ts.Check(err)
	return string(body)
}
