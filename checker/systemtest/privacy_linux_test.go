package systemtest

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"relcheck/checker/stats"
)

// canary is a word that must not be stored, wherever a client sends it.
const canary = "Kanarie7q"

// control is a version that is stored. Each search must find it, otherwise it searches
// the wrong place.
const control = "1.0.0-control7q"

// clientAddr is the address of the clients, and claimedAddrs are the addresses in their headers.
var (
	clientAddr   = netip.MustParseAddr("127.66.77.88")
	claimedAddrs = []netip.Addr{netip.MustParseAddr("203.0.113.77"), netip.MustParseAddr("2001:db8:ca11:ab1e:77::7")}
)

// traces are the possible stored forms of texts and addresses: texts, ignoring case, and
// bytes.
type traces struct {
	texts []string
	bytes [][]byte
}

// add adds a text, also in hexadecimal and base64.
func (f *traces) add(text string) {
	f.texts = append(f.texts, strings.ToLower(text), hex.EncodeToString([]byte(text)))
	for shift := range 3 { // the position of the text in a group of three bytes
		s := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + text))
		f.bytes = append(f.bytes, []byte(s[[]int{0, 2, 3}[shift]:len(s)-1]))
	}
}

// addNumber adds bytes in both orders, also in hexadecimal.
func (f *traces) addNumber(b []byte) {
	reversed := slices.Clone(b)
	slices.Reverse(reversed)
	f.texts = append(f.texts, hex.EncodeToString(b), hex.EncodeToString(reversed))
	f.bytes = append(f.bytes, b, reversed)
}

// in returns the first form that occurs in some bytes, or "".
func (f *traces) in(b []byte) string {
	lower := bytes.ToLower(b)
	for _, text := range f.texts {
		if bytes.Contains(lower, []byte(text)) {
			return text
		}
	}
	for _, form := range f.bytes {
		if bytes.Contains(b, form) {
			return fmt.Sprintf("%q", form)
		}
	}
	return ""
}

// privateTraces returns the forms of everything that must not be stored.
func privateTraces() *traces {
	f := new(traces)
	f.add(canary)
	for _, a := range append(claimedAddrs, clientAddr) {
		f.texts = append(f.texts, a.String(), strings.ReplaceAll(a.String(), ".", "-"))
		f.addNumber(a.AsSlice()[:min(8, len(a.AsSlice()))])
	}
	return f
}

// onCanaryHost returns a command that runs with a canary as host name and user name. If
// the test may not change the host name, it searches for the real one instead, unless
// that is short.
func onCanaryHost(t *testing.T, f *traces, args ...string) *exec.Cmd {
	t.Helper()
	for _, name := range []string{"USER", "LOGNAME", "HOSTNAME", "HOME"} {
		t.Setenv(name, "/home/"+canary)
	}
	if unshare, err := exec.LookPath("unshare"); err == nil && os.Geteuid() == 0 {
		rename := `echo ` + canary + ` > /proc/sys/kernel/hostname && exec "$0" "$@"`
		return exec.Command(unshare, append([]string{"--uts", "sh", "-c", rename, os.Args[0]}, args...)...)
	}
	if name, err := os.Hostname(); err == nil && len(name) > 6 {
		f.add(name)
	}
	return exec.Command(os.Args[0], args...)
}

// sendRaw sends bytes from the address of the clients and returns the response.
func sendRaw(t *testing.T, to, request string) string {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: clientAddr.AsSlice()}, Timeout: 10 * time.Second}
	conn, err := dialer.Dial("tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	io.WriteString(conn, request)
	answer, _ := io.ReadAll(conn)
	return string(answer)
}

// request returns a request with a canary in everything that a request can contain.
func request(method, target, agent, body string, headers ...string) string {
	all := []string{"Host: " + canary + ".example", "User-Agent: " + agent, "Cookie: relcheck=" + canary + "; " + canary + "=" + canary,
		"X-Forwarded-For: " + canary + ", " + claimedAddrs[0].String(), "X-Real-IP: " + claimedAddrs[0].String(), "CF-Connecting-IP: " + claimedAddrs[1].String(),
		"Forwarded: for=\"[" + claimedAddrs[1].String() + "]\";by=" + canary + ";host=" + canary, "Via: 1.1 " + canary, "From: " + canary + "@example.com",
		"Referer: http://" + canary + ".example/" + canary + "?" + canary, "Accept: text/html, " + canary + "/x", "Accept-Language: " + canary,
		"If-None-Match: \"" + canary + "\"", "Traceparent: 00-" + canary, "X-Request-Id: " + canary, "X-" + canary + ": x", "X-Remote-User: " + canary,
		"Connection: close", fmt.Sprintf("Content-Length: %d", len(body))}
	return method + " " + target + " HTTP/1.1\r\n" + strings.Join(append(all, headers...), "\r\n") + "\r\n\r\n" + body
}

const (
	plainAgent = "Open Policy Agent/0.70.0 (linux, amd64)"
	asJSON     = "Content-Type: application/json"
	latestPath = "/repos/open-policy-agent/opa/releases/latest"
)

// agents are User-Agent headers with a canary in each part that is neither version nor
// platform.
var agents = []string{canary, canary + "/0.70.0 (linux, amd64)", plainAgent + " " + canary, "Open Policy Agent/0.70.0 (" + canary + ", amd64)",
	"Open Policy Agent/0.70.0 (linux, " + canary + ")", "Open Policy Agent/0.70.0 (linux, amd64; " + canary + ")", "OPA/0.70.0 " + canary + " (linux, amd64)"}

// refusedBodies returns bodies of invalid reports with a canary.
func refusedBodies() []string {
	id := uuid.NewString()
	return []string{canary, `{"` + canary, `["` + canary + `"]`, `{"id":"` + canary + `","version":"0.70.0"}`, `{"id":"` + id + `","version":"` + canary + `<>"}`,
		`{"id":"` + id + `","version":"0.70.0","heap_usage_bytes":"` + canary + `"}`, `{"id":"` + id + `","version":"0.70.0"}` + canary,
		`{"id":"` + id + `","id":"` + canary + `","version":"0.70.0"}`, `{"` + canary + `":1,"` + canary + `":2}`, strings.Repeat(canary, 2000)}
}

// report returns the body of a report that is recorded.
func report(version, more string) string {
	return `{"id":"` + uuid.NewString() + `","version":"` + version + `","heap_usage_bytes":"596000"` + more + `}`
}

// sendCanaries sends requests with canaries to all routes, and returns the number of
// reports that must be recorded.
func sendCanaries(t *testing.T, to string, routes []string) (recorded int) {
	t.Helper()
	wantStatus := func(want, request string) {
		t.Helper()
		if answer := sendRaw(t, to, request); !strings.HasPrefix(answer, "HTTP/1.1 "+want) {
			t.Errorf("%.80q: got response %.40q, want status %s", request, answer, want)
		}
	}
	unknown := `,"` + canary + `":"` + canary + `","min_compatible_version":{"` + canary + `":["` + canary + `",7]}`
	for _, agent := range agents {
		for _, path := range []string{"/v1/version", "/p/opa/v1/version?" + canary + "=" + canary} {
			wantStatus("200", request("POST", path, agent, report("0.70.0", unknown), asJSON))
			recorded++
		}
		wantStatus("200", request("GET", latestPath, agent, ""))
		wantStatus("200", request("GET", "/p/opa"+latestPath+"?"+canary, agent, ""))
	}
	for _, path := range []string{"/v1/version", "/p/opa/v1/version"} { // from a web page: not recorded
		wantStatus("200", request("POST", path, plainAgent, report("0.70.0", unknown), asJSON, "Origin: https://"+canary+".example", "Sec-Fetch-Site: cross-site"))
		wantStatus("204", request("OPTIONS", path, plainAgent, "", "Origin: https://"+canary+".example", "Access-Control-Request-Method: POST"))
	}
	wantStatus("404", request("POST", "/p/"+canary+"/v1/version", plainAgent, report("0.70.0", ""), asJSON))
	for _, body := range refusedBodies() {
		wantStatus("4", request("POST", "/v1/version", plainAgent, body, asJSON))
	}
	wantStatus("415", request("POST", "/v1/version", plainAgent, report("0.70.0", ""), "Content-Type: application/"+canary))
	wantStatus("415", request("POST", "/v1/version", plainAgent, report("0.70.0", ""), asJSON, "Content-Encoding: "+canary))
	wantStatus("303", request("POST", "/sign-out", plainAgent, "token="+canary, "Content-Type: application/x-www-form-urlencoded"))
	wantStatus("403", request("POST", "/sign-in", plainAgent, "token=rcr_"+canary+"&next=/"+canary, "Content-Type: application/x-www-form-urlencoded"))
	wantStatus("401", request("POST", "/sign-in", plainAgent, "token=rcr_"+canary+"&next=/"+canary, "Content-Type: application/x-www-form-urlencoded", "Cookie: relcheck-form=1; relcheck="+canary))
	wantStatus("401", request("GET", "/sign-in?link=rcl_"+canary+"&next=/"+canary, plainAgent, ""))
	for _, malformed := range []string{canary + "\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n" + canary + " : x\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: " + canary + "\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat(canary, 5000) + "\r\n\r\n", "GET / HTTP/1.1\r\nHost: " + canary + "/\x01\r\n\r\n"} {
		wantStatus("4", malformed)
	}
	wantStatus("505", "GET /"+canary+" HTTP/7.7\r\n\r\n")
	wantStatus("501", "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "+canary+"\r\n\r\n")
	for _, route := range routes {
		sendCanariesToRoute(t, to, route)
	}
	wantStatus("200", request("POST", "/v1/version", plainAgent, report(control, unknown), asJSON))
	return recorded + 1
}

var wildcard = regexp.MustCompile(`{[^}]*}`)

// sendCanariesToRoute sends requests to a route and to similar paths, with all methods,
// and with invalid passwords and tokens.
func sendCanariesToRoute(t *testing.T, to, route string) {
	t.Helper()
	_, path, _ := strings.Cut(route, " ")
	path = strings.ReplaceAll(path, "{$}", "")
	for _, path := range []string{wildcard.ReplaceAllString(path, "opa"), wildcard.ReplaceAllString(path, canary), path + "/" + canary} {
		target := path + "?version=" + canary + "&token=rcr_" + canary + "&next=/" + canary + "&" + canary + "=" + canary
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", strings.ToUpper(canary)} {
			for _, authorization := range []string{"Bearer rcr_" + canary, "Basic " + base64.StdEncoding.EncodeToString([]byte(canary+":"+canary))} {
				answer := sendRaw(t, to, request(method, target, plainAgent, canary, "Authorization: "+authorization))
				if !strings.HasPrefix(answer, "HTTP/1.1 ") || strings.HasPrefix(answer, "HTTP/1.1 500") {
					t.Errorf("%s %s: got response %.80q, want a status other than 500", method, target, answer)
				}
			}
		}
	}
}

// output is a file, page or text that may contain a canary.
type output struct {
	name       string
	text       []byte
	hasControl bool // it must contain the control
}

// unfoldedOutputs is how many of the outputs of a store can be checked before reports are
// folded.
const unfoldedOutputs = 7

// storeOutputs returns the files of a store while another process has it open, and the
// output of commands.
func storeOutputs(t *testing.T, store string) (all []output) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(filepath.Dir(store), "*"))
	if err != nil {
		t.Fatal(err)
	}
	var files []byte
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, b...)
	}
	backup := filepath.Join(t.TempDir(), "backup.db")
	backupOutput := relcheckOutput(t, "backup", backup, "--db", store)
	saved, err := os.ReadFile(backup)
	if err != nil {
		t.Fatal(err)
	}
	doctorOutput, status := relcheckStatus(t, "doctor", "--db", store)
	if status != 0 || !strings.Contains(doctorOutput, "every report is in the statistics") && !strings.Contains(doctorOutput, "not in the statistics yet") {
		t.Errorf("doctor: got exit status %d, want 0: %s", status, doctorOutput)
	}
	return []output{
		{fmt.Sprintf("the files %q", names), files, true},
		{"relcheck export", []byte(relcheck(t, "export", "opa", "--db", store)), true},
		{"a backup", saved, true},
		{"relcheck backup", []byte(backupOutput), false},
		{"relcheck doctor", []byte(doctorOutput), false},
		{"relcheck audit", []byte(relcheck(t, "audit", "--db", store)), false},
		{"relcheck audit --json", []byte(relcheck(t, "audit", "--json", "--db", store)), false},
		{"relcheck stats", []byte(relcheck(t, "stats", "opa", "--db", store)), true},
		{"relcheck stats --json", []byte(relcheck(t, "stats", "opa", "--json", "--db", store)), false},
		{"relcheck product list", []byte(relcheck(t, "product", "list", "--db", store)), false},
		{"relcheck token list", []byte(relcheck(t, "token", "list", "--db", store)), false},
	}
}

// serverOutputs returns the pages and statistics that a server shows with a token.
func serverOutputs(t *testing.T, url, token string) (all []output) {
	t.Helper()
	paths := map[string]bool{"/": false, "/connect": false, "/privacy": false, "/products/opa": true, "/products/opa/releases": false,
		"/products/opa/connect": false, "/api/v1/products": false, "/api/v1/products/opa/stats": false, "/metrics": false, latestPath: false}
	for _, table := range stats.TableNames {
		paths["/api/v1/products/opa/stats/"+table+"?days=1"] = table == "versions"
	}
	for path, kept := range paths {
		all = append(all, output{path, []byte(fetch(t, url+path, token)), kept})
	}
	return all
}

// fetch requests a path with a token.
func fetch(t *testing.T, url, token string) string {
	t.Helper()
	r, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	body := readAll(t, res)
	if res.StatusCode >= 500 || res.StatusCode == http.StatusUnauthorized {
		t.Errorf("GET %s: got %s, want neither 401 nor 5xx\n%s", url, res.Status, body)
	}
	return body
}

// checkOutputs checks that outputs contain no forbidden trace, and the control where
// expected.
func checkOutputs(t *testing.T, forbidden *traces, places []output) {
	t.Helper()
	for _, p := range places {
		if found := forbidden.in(p.text); found != "" {
			t.Errorf("%s: got %s in it, want no trace of private data", p.name, found)
		}
		if p.hasControl && !bytes.Contains(p.text, []byte(control)) {
			t.Errorf("%s: got no version %s: the test searches the wrong place", p.name, control)
		}
	}
}

// routesOf returns the routes in the metrics of a server.
func routesOf(t *testing.T, metrics string) (all []string) {
	t.Helper()
	for _, m := range regexp.MustCompile(`relcheck_http_requests_total{class="2xx",route="([A-Z]+ [^"]*)"}`).FindAllStringSubmatch(metrics, -1) {
		all = append(all, m[1])
	}
	if len(all) < 10 {
		t.Fatalf("got routes %q, want at least 10", all)
	}
	return all
}

// checkRoutesUsed checks that every route has answered a request.
func checkRoutesUsed(t *testing.T, metrics string, routes []string) {
	t.Helper()
	for _, route := range routes {
		if !regexp.MustCompile(`route="` + regexp.QuoteMeta(route) + `"} [1-9]`).MatchString(metrics) {
			t.Errorf("%s: got no request in the metrics, want some", route)
		}
	}
}

// TestNothingPrivateIsStored sends canaries in everything that clients send, and in the
// names of host and user, and searches everything that is stored and shown: while the
// server runs, and after a second server, which logs to a terminal, has folded the
// reports. Only the second server trusts the X-Forwarded-For header.
func TestNothingPrivateIsStored(t *testing.T) {
	store := filepath.Join(t.TempDir(), "relcheck.db")
	forbidden := privateTraces()
	arguments := []string{"serve", "--listen", "127.0.0.1:0", "--public-stats", "--base-url", "http://releases.example", "--source-rate", "1000000", "--db", store}
	relcheck(t, "release", "add", "opa", "v0.70.0", "--db", store)
	s := startBy(t, "relcheck", onCanaryHost(t, forbidden, arguments...))
	token := strings.TrimSpace(relcheck(t, "token", "add", "reader", "--db", store))
	routes := routesOf(t, fetch(t, s.url+"/metrics", token))
	recorded := sendCanaries(t, s.addr, routes)
	checkRoutesUsed(t, fetch(t, s.url+"/metrics", token), routes)
	if n := len(exportedIDs(t, store)); n != recorded {
		t.Errorf("got %d recorded reports, want %d", n, recorded)
	}
	checkOutputs(t, forbidden, storeOutputs(t, store)[:unfoldedOutputs]) // the others need folded reports
	out := s.stop(t)
	checkOutputs(t, forbidden, []output{{"standard output", []byte(out), false}, {"standard error", []byte(s.errs.String()), false}})
	if !strings.Contains(s.errs.String(), `"msg":"stopped"`) {
		t.Errorf("got a log without its end: %s", s.errs.String())
	}

	master, terminal := newTerminal(t, 200)
	cmd := onCanaryHost(t, forbidden, append(arguments, "--trusted-proxy", clientAddr.String())...)
	cmd.Stderr = terminal
	logged := make(chan []byte)
	go func() {
		b, _ := io.ReadAll(master)
		logged <- b
	}()
	s = startBy(t, "relcheck", cmd)
	terminal.Close()
	sendCanaries(t, s.addr, nil)
	for deadline := time.Now().Add(30 * time.Second); !strings.Contains(relcheck(t, "stats", "opa", "--db", store), control); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("reports are not folded after 30 s")
		}
	}
	checkOutputs(t, forbidden, storeOutputs(t, store))
	checkOutputs(t, forbidden, serverOutputs(t, s.url, token))
	out = s.stop(t)
	text := <-logged
	checkOutputs(t, forbidden, []output{{"standard output", []byte(out), false}, {"the terminal", text, false}})
	if !bytes.Contains(text, []byte("msg=stopped")) {
		t.Errorf("got a log without its end: %s", text)
	}
	checkOutputs(t, forbidden, storeOutputs(t, store))
}
