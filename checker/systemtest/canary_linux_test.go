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

// canary is a word of which nothing may be kept, wherever a caller puts it.
const canary = "Kanarie7q"

// hasControl is a version, which is kept: the control of each search.
const control = "1.0.0-control7q"

// Where callers come from, and where they say they come from.
var (
	clientAddr = netip.MustParseAddr("127.66.77.88")
	claimedAddrs = []netip.Addr{netip.MustParseAddr("203.0.113.77"), netip.MustParseAddr("2001:db8:ca11:ab1e:77::7")}
)

// traces are the forms in which something may have been kept: texts, whatever
// the case of their letters, and bytes.
type traces struct {
	texts []string
	bytes [][]byte
}

// add takes up a text, in hexadecimal and base64 too.
func (f *traces) add(text string) {
	f.texts = append(f.texts, strings.ToLower(text), hex.EncodeToString([]byte(text)))
	for shift := range 3 { // the text may begin at any of three places
		s := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + text))
		f.bytes = append(f.bytes, []byte(s[[]int{0, 2, 3}[shift]:len(s)-1]))
	}
}

// addNumber takes up bytes, in either order, and their hexadecimal form.
func (f *traces) addNumber(b []byte) {
	back := slices.Clone(b)
	slices.Reverse(back)
	f.texts = append(f.texts, hex.EncodeToString(b), hex.EncodeToString(back))
	f.bytes = append(f.bytes, b, back)
}

// in returns the first form that stands in some bytes, or "".
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

// privateTraces is all that must not be kept.
func privateTraces() *traces {
	f := new(traces)
	f.add(canary)
	for _, a := range append(claimedAddrs, clientAddr) {
		f.texts = append(f.texts, a.String(), strings.ReplaceAll(a.String(), ".", "-"))
		f.addNumber(a.AsSlice()[:min(8, len(a.AsSlice()))])
	}
	return f
}

// onCanaryHost returns a command on a machine whose host name and user name are
// canaries. Without the right to rename the host, its real name is searched for
// instead, unless that is a common word.
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

// sendRaw sends bytes as they are from the callers' address and returns the answer.
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

// request is one with a canary in everything that a request can have.
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

// agents have a canary in each part of the header that is not version or platform.
var agents = []string{canary, canary + "/0.70.0 (linux, amd64)", plainAgent + " " + canary, "Open Policy Agent/0.70.0 (" + canary + ", amd64)",
	"Open Policy Agent/0.70.0 (linux, " + canary + ")", "Open Policy Agent/0.70.0 (linux, amd64; " + canary + ")", "OPA/0.70.0 " + canary + " (linux, amd64)"}

// refusedBodies are those of reports with a canary that are not right.
func refusedBodies() []string {
	id := uuid.NewString()
	return []string{canary, `{"` + canary, `["` + canary + `"]`, `{"id":"` + canary + `","version":"0.70.0"}`, `{"id":"` + id + `","version":"` + canary + `<>"}`,
		`{"id":"` + id + `","version":"0.70.0","heap_usage_bytes":"` + canary + `"}`, `{"id":"` + id + `","version":"0.70.0"}` + canary,
		`{"id":"` + id + `","id":"` + canary + `","version":"0.70.0"}`, `{"` + canary + `":1,"` + canary + `":2}`, strings.Repeat(canary, 2000)}
}

// report is a body that is recorded.
func report(version, more string) string {
	return `{"id":"` + uuid.NewString() + `","version":"` + version + `","heap_usage_bytes":"596000"` + more + `}`
}

// sendCanaries sends canaries in all that there is. It returns how many reports must
// have been recorded.
func sendCanaries(t *testing.T, to string, routes []string) (recorded int) {
	t.Helper()
	status := func(want, request string) {
		t.Helper()
		if answer := sendRaw(t, to, request); !strings.HasPrefix(answer, "HTTP/1.1 "+want) {
			t.Errorf("%.80q is answered %.40q, want %s", request, answer, want)
		}
	}
	unknown := `,"` + canary + `":"` + canary + `","min_compatible_version":{"` + canary + `":["` + canary + `",7]}`
	for _, agent := range agents {
		for _, path := range []string{"/v1/version", "/p/opa/v1/version?" + canary + "=" + canary} {
			status("200", request("POST", path, agent, report("0.70.0", unknown), asJSON))
			recorded++
		}
		status("200", request("GET", latestPath, agent, ""))
		status("200", request("GET", "/p/opa"+latestPath+"?"+canary, agent, ""))
	}
	for _, path := range []string{"/v1/version", "/p/opa/v1/version"} { // from a web page, which is not recorded
		status("200", request("POST", path, plainAgent, report("0.70.0", unknown), asJSON, "Origin: https://"+canary+".example", "Sec-Fetch-Site: cross-site"))
		status("204", request("OPTIONS", path, plainAgent, "", "Origin: https://"+canary+".example", "Access-Control-Request-Method: POST"))
	}
	status("404", request("POST", "/p/"+canary+"/v1/version", plainAgent, report("0.70.0", ""), asJSON))
	for _, body := range refusedBodies() {
		status("4", request("POST", "/v1/version", plainAgent, body, asJSON))
	}
	status("415", request("POST", "/v1/version", plainAgent, report("0.70.0", ""), "Content-Type: application/"+canary))
	status("415", request("POST", "/v1/version", plainAgent, report("0.70.0", ""), asJSON, "Content-Encoding: "+canary))
	status("303", request("POST", "/sign-out", plainAgent, "token="+canary, "Content-Type: application/x-www-form-urlencoded"))
	status("403", request("POST", "/sign-in", plainAgent, "token=rcr_"+canary+"&next=/"+canary, "Content-Type: application/x-www-form-urlencoded"))
	status("401", request("POST", "/sign-in", plainAgent, "token=rcr_"+canary+"&next=/"+canary, "Content-Type: application/x-www-form-urlencoded", "Cookie: relcheck-form=1; relcheck="+canary))
	status("401", request("GET", "/sign-in?link=rcl_"+canary+"&next=/"+canary, plainAgent, ""))
	for _, malformed := range []string{canary + "\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n" + canary + " : x\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: " + canary + "\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat(canary, 5000) + "\r\n\r\n", "GET / HTTP/1.1\r\nHost: " + canary + "/\x01\r\n\r\n"} {
		status("4", malformed)
	}
	status("505", "GET /"+canary+" HTTP/7.7\r\n\r\n")
	status("501", "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "+canary+"\r\n\r\n")
	for _, route := range routes {
		sendCanariesToRoute(t, to, route)
	}
	status("200", request("POST", "/v1/version", plainAgent, report(control, unknown), asJSON))
	return recorded + 1
}

var wildcard = regexp.MustCompile(`{[^}]*}`)

// sendCanariesToRoute asks for a route, known or not, by methods that it takes and others,
// with passwords and tokens that are none.
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
					t.Errorf("%s %s: %.80q", method, target, answer)
				}
			}
		}
	}
}

// output is something in which a canary might be found.
type output struct {
	name string
	text []byte
	hasControl bool // the control is there
}

// unfoldedOutputs is how many of what is stored there is before reports are folded.
const unfoldedOutputs = 7

// storeOutputs are the files of a store, whatever their names, while another process
// has it open, and what commands print and make of it.
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
	said := relcheckOutput(t, "backup", backup, "--db", store)
	saved, err := os.ReadFile(backup)
	if err != nil {
		t.Fatal(err)
	}
	found, status := relcheckStatus(t, "doctor", "--db", store)
	if status != 0 || !strings.Contains(found, "every report is in the statistics") && !strings.Contains(found, "not in the statistics yet") {
		t.Errorf("the doctor ends with status %d: %s", status, found)
	}
	return []output{
		{fmt.Sprintf("the files %q", names), files, true},
		{"relcheck export", []byte(relcheck(t, "export", "opa", "--db", store)), true},
		{"a backup", saved, true},
		{"relcheck backup", []byte(said), false},
		{"relcheck doctor", []byte(found), false},
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
		t.Errorf("%s: %s\n%s", url, res.Status, body)
	}
	return body
}

// checkOutputs searches each place, and checks that what is kept is where it should be.
func checkOutputs(t *testing.T, forbidden *traces, places []output) {
	t.Helper()
	for _, p := range places {
		if found := forbidden.in(p.text); found != "" {
			t.Errorf("%s: there is %s", p.name, found)
		}
		if p.hasControl && !bytes.Contains(p.text, []byte(control)) {
			t.Errorf("%s: the version %s is not there, so this looks in the wrong place", p.name, control)
		}
	}
}

// routesOf returns the routes by which a server counts requests.
func routesOf(t *testing.T, metrics string) (all []string) {
	t.Helper()
	for _, m := range regexp.MustCompile(`relcheck_http_requests_total{class="2xx",route="([A-Z]+ [^"]*)"}`).FindAllStringSubmatch(metrics, -1) {
		all = append(all, m[1])
	}
	if len(all) < 10 {
		t.Fatalf("only the routes %q", all)
	}
	return all
}

// checkRoutesUsed checks that every route has answered a request.
func checkRoutesUsed(t *testing.T, metrics string, routes []string) {
	t.Helper()
	for _, route := range routes {
		if !regexp.MustCompile(`route="` + regexp.QuoteMeta(route) + `"} [1-9]`).MatchString(metrics) {
			t.Errorf("nobody has asked for %s", route)
		}
	}
}

// TestNothingPrivateIsStored plants canaries in all that callers send, and in the
// names of host and user, and searches all that is kept and shown of it: while the
// server runs, and once reports are folded by another, which logs to a terminal. The
// first believes nobody of whom they pass on reports, and the second all.
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
		t.Errorf("%d reports were recorded, want %d", n, recorded)
	}
	checkOutputs(t, forbidden, storeOutputs(t, store)[:unfoldedOutputs]) // the rest is folded below
	out := s.stop(t)
	checkOutputs(t, forbidden, []output{{"standard output", []byte(out), false}, {"standard error", []byte(s.errs.String()), false}})
	if !strings.Contains(s.errs.String(), `"msg":"stopped"`) {
		t.Errorf("the log is not whole: %s", s.errs.String())
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
			t.Fatal("the reports are not folded")
		}
	}
	checkOutputs(t, forbidden, storeOutputs(t, store))
	checkOutputs(t, forbidden, serverOutputs(t, s.url, token))
	out = s.stop(t)
	text := <-logged
	checkOutputs(t, forbidden, []output{{"standard output", []byte(out), false}, {"the terminal", text, false}})
	if !bytes.Contains(text, []byte("msg=stopped")) {
		t.Errorf("the log is not whole: %s", text)
	}
	checkOutputs(t, forbidden, storeOutputs(t, store))
}
