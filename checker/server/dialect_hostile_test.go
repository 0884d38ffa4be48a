package server_test

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"relcheck/checker/catalog"
	"relcheck/checker/server"
	"relcheck/checker/server/dialect"
	"relcheck/db"
)

// hostileValues are sent in everything that a dialect reads.
var hostileValues = []string{
	strings.Repeat("9", 300), "../../etc/passwd", "..", ".", "a/b", "%2f", "%2e%2e", "//evil.example/", "\r\nX-Injected: 1", "%0d%0aX-Injected: 1", "a\x00b", "\x1b[2J",
	"{{.}}", "{{.Latest.Tag}}", "$(IMAGE_TAG)", `"`, `'`, `\`, "`", "<script>", "]]>", "&amp;", "-->", "a: b", "- x", "# x", "\u2028", "\u202e", "\ufeff", "\xff\xfe", "🦀",
	"__proto__", "null", "true", "-1", "1e400", "https://evil.example/x", "nosuch",
}

// lookups are variables that name something. If it does not exist, the answer is 404.
var lookups = []string{"product", "tag", "file", "label", "channel", "feed"}

var patternVariable = regexp.MustCompile(`{([a-zA-Z0-9]+)[.]*}`)

// variables returns the variables of a dialect.
func variables(d *dialect.Dialect) (names []string) {
	for _, p := range d.Patterns {
		for _, m := range patternVariable.FindAllStringSubmatch(p.String(), -1) {
			names = append(names, m[1])
		}
	}
	for _, name := range []string{"version", "os", "arch", "platform", "product", "slugIn"} {
		if d.Declares(name) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// newDialectService returns a service that has a product for each dialect, with its name,
// and the product sample, which has GitHub's forms only.
func newDialectService(t testing.TB, log io.Writer) *service {
	t.Helper()
	return newServiceWith(t, serviceOptions{log: log, Options: server.Options{Base: "https://releases.example.com"}, fill: func(s *db.Store) {
		for _, name := range append(slices.Sorted(maps.Keys(dialect.BuiltIn())), "checkpoint", "upgrade-responder", "sample") {
			p := catalog.Product{Name: name, Title: name, Repo: "me/" + name, Dialects: name, Channels: "beta * prereleases\n"}
			switch name {
			case "sample":
				p.Dialects = ""
			case "linkerd":
				p.Prefixes = "stable-"
			}
			var releases []catalog.Release
			for _, version := range []string{"1.2.0", "1.1.0", "1.0.0"} {
				r := catalog.Release{Tag: strings.TrimSpace(p.Prefixes) + version, Date: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)}
				for _, file := range []string{"sample_linux_amd64.tar.gz", name + "-" + version + ".AppImage", "sample.exe"} {
					r.Files = append(r.Files, catalog.File{Name: file, URL: "https://example.com/" + file, SHA256: strings.Repeat("0", 64)})
				}
				releases = append(releases, r)
			}
			err := s.AddProduct(context.Background(), p)
			if err == nil {
				_, err = s.ImportReleases(context.Background(), name, catalog.ListOf("test", releases...), true)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}})
}

// hostileRequest is a request with a hostile value.
type hostileRequest struct {
	*http.Request
	what  string // where the value is
	value string
	named bool // the value names something that does not exist
}

// sampleRequest returns the sample request of a dialect with a value in a variable.
func sampleRequest(t *testing.T, d *dialect.Dialect, variable, value string) *http.Request {
	t.Helper()
	left := map[string]string{"version": "1.0.0", "product": d.Name}
	if variable != "" {
		left[variable] = value
	}
	r, err := d.NewRequest(left)
	if err != nil {
		t.Fatalf("%s: %v", d.Name, err)
	}
	if variable != "" && left[variable] != "" { // a query parameter that is sent in another form
		r.URL.RawQuery = url.Values{variable: {value}}.Encode()
	}
	r.URL.Path, r.URL.RawPath = "/p/"+d.Name+r.URL.Path, "/p/"+d.Name+r.URL.EscapedPath()
	return r
}

// hostileRequests returns requests with a value in each place that a dialect reads.
func hostileRequests(t *testing.T, value string) (all []hostileRequest) {
	t.Helper()
	add := func(what, method, target, body string, named bool, headers ...string) {
		r, err := http.NewRequest(method, target, strings.NewReader(body))
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		for i := 0; i < len(headers); i += 2 {
			r.Header[headers[i]] = []string{headers[i+1]}
		}
		all = append(all, hostileRequest{r, what, value, named})
	}
	for name, d := range dialect.BuiltIn() {
		for _, v := range variables(d) {
			all = append(all, hostileRequest{sampleRequest(t, d, v, value), name + ", " + v, value, slices.Contains(lookups, v)})
		}
	}
	path, query := url.PathEscape(value), url.QueryEscape(value)
	quoted, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	const releases = "/p/sample/repos/me/sample/releases"
	for _, below := range []string{"/tags/", "/", "/assets/", "/tags/1.2.0/"} {
		add("GitHub, "+below, "GET", releases+below+path, "", true)
		add("GitHub without a product, "+below, "GET", "/api/v3/repos/me/sample/releases"+below+path, "", true)
	}
	add("GitHub, repository", "GET", "/repos/me/"+path+"/releases", "", true)
	add("GitHub, owner", "GET", "/"+path+"/sample/releases.atom", "", true)
	add("GitHub, page", "GET", releases+"?page="+query+"&per_page="+query, "", false)
	add("GitHub, headers", "GET", releases, "", false, "Accept", value, "If-None-Match", value, "Accept-Encoding", value, "User-Agent", value, "Origin", value)
	add("GitHub, tag of a file", "GET", "/p/sample/me/sample/releases/download/"+path+"/sample.exe", "", true)
	add("GitHub, file", "GET", "/p/sample/me/sample/releases/download/1.2.0/"+path, "", true)
	add("GraphQL", "POST", "/p/sample/api/graphql", string(quoted), false)
	add("Checkpoint, product", "GET", "/p/checkpoint/v1/check/"+path+"?version=1.0.0", "", true)
	add("Checkpoint, query", "GET", "/p/checkpoint/v1/check/checkpoint?version="+query+"&os="+query+"&arch="+query+"&signature="+query, "", false)
	add("Checkpoint, telemetry", "POST", "/p/checkpoint/v1/telemetry/"+path, value, false)
	for _, field := range []string{"appVersion", "longhornVersion", value} {
		name, _ := json.Marshal(field)
		add("upgrade responder, "+field, "POST", "/p/upgrade-responder/v1/checkupgrade", fmt.Sprintf(`{%s: %s, "extraInfo": {"platform": %[2]s}}`, name, quoted), false)
	}
	add("product", "GET", "/p/"+path+"/gitea.json", "", true)
	add("channel", "GET", "/p/gitea@"+path+"/gitea.json", "", true)
	add("version", "GET", "/p/gitea/as/"+path+"/gitea.json", "", false)
	add("platform", "GET", "/p/gitea/as/1.0.0/"+path+"/gitea.json", "", true)
	add("headers", "GET", "/p/n8n/api/versions/1.0.0", "", false, "Origin", value, "N8n-Instance-Id", value, "User-Agent", value, "X-Forwarded-Host", value, "X-Forwarded-Proto", value)
	add("host", "GET", "/p/gitea/gitea.json", "", false)
	all[len(all)-1].Host = value
	return all
}

// TestHostileRequests sends hostile values in everything that dialects read.
func TestHostileRequests(t *testing.T) {
	s := newDialectService(t, nil)
	h := s.handler.Handler()
	for _, value := range hostileValues {
		for _, r := range hostileRequests(t, value) {
			r.RemoteAddr = "192.0.2.1:1"
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r.Request)
			if err := checkAnswer(w); err != nil {
				t.Errorf("%s is %.50q: %v", r.what, r.value, err)
			}
			if r.named && w.Code != http.StatusNotFound && w.Code != http.StatusMethodNotAllowed {
				t.Errorf("%s is %.50q: got status %d and body %.200q, want 404", r.what, r.value, w.Code, w.Body)
			}
		}
	}
	for name, d := range dialect.BuiltIn() { // the control: with valid values, they answer
		known := map[string]string{"version": "1.0.0", "product": name, "tag": "1.2.0", "file": "sample.exe", "label": "stable", "channel": "stable", "feed": "latest-linux"}
		for _, v := range append(variables(d), "") {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, sampleRequest(t, d, v, known[v]))
			if want := http.StatusOK; w.Code != want && w.Code != http.StatusFound && name != "openpolicyagent" { // which has no hosted file
				t.Errorf("%s, %s is %q: got status %d and body %.200q, want %d", name, v, known[v], w.Code, w.Body, want)
			}
		}
	}
}

// FuzzFrontDoor sends requests to products that have all dialects and declare hosts.
func FuzzFrontDoor(f *testing.F) {
	for name, d := range dialect.BuiltIn() {
		f.Add("GET", "a", "/p/"+name+d.Try, "1.0.0")
		for _, host := range d.Hosts {
			f.Add(d.Methods[0], host, d.Try, "x")
		}
	}
	for _, value := range hostileValues {
		f.Add("GET", value, "/p/sample/as/"+url.PathEscape(value)+"/repos/me/sample/releases?page="+url.QueryEscape(value), value)
	}
	f.Add("OPTIONS", "api.n8n.io:443", "//p//n8n@beta//api/versions/1.0.0", "https://example.com")
	f.Add("POST", "checkpoint-api.hashicorp.com.", "/v1/check/checkpoint?version=1.0.0", "1")
	h := newDialectService(f, nil).handler.Handler()
	f.Fuzz(func(t *testing.T, method, host, target, value string) {
		u, err := url.ParseRequestURI(target)
		if err != nil || u.Host != "" || len(target)+len(host)+len(value) > 4000 {
			return
		}
		r := &http.Request{Method: method, Host: host, URL: u, RequestURI: target, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, RemoteAddr: "192.0.2.1:1", Body: http.NoBody, Header: http.Header{
			"User-Agent": {value}, "Origin": {value}, "If-None-Match": {value}, "Accept-Encoding": {value}, "X-Forwarded-Host": {value}, "Trivy-Os": {value}}}
		if method == http.MethodPost {
			r.Body = io.NopCloser(strings.NewReader(value))
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if err := checkAnswer(w); err != nil && !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
			t.Error(err)
		}
	})
}

// checkAnswer returns an error unless an answer is complete: its body has its type, its
// headers are its own, and its links lead to known places.
func checkAnswer(w *httptest.ResponseRecorder) error {
	if w.Code >= 500 {
		return fmt.Errorf("got status %d: %s", w.Code, w.Body)
	}
	for name, values := range w.Header() {
		if text := strings.Join(values, ""); name == "X-Injected" || strings.ContainsAny(text, "\r\n\x00") || strings.Contains(text, "evil.example") && name != "Access-Control-Allow-Origin" {
			return fmt.Errorf("got header %s: %q", name, values)
		}
	}
	if to := w.Header().Get("Location"); to != "" && (!strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//")) && !strings.HasPrefix(to, "https://releases.example.com/") && !strings.HasPrefix(to, "https://example.com/") {
		return fmt.Errorf("got a redirect to %q", to)
	}
	body := w.Body.Bytes()
	if strings.Contains(string(body), "https://evil.example") && !strings.Contains(string(body), `"https://evil.example/x"`) {
		return fmt.Errorf("got a foreign link in %s", body)
	}
	if len(body) == 0 {
		return nil
	}
	kind, _, err := mime.ParseMediaType(w.Header().Get("Content-Type"))
	switch {
	case err != nil:
		return fmt.Errorf("got Content-Type %q: %w", w.Header().Get("Content-Type"), err)
	case strings.HasSuffix(kind, "json"):
		if !json.Valid(body) || !utf8.Valid(body) {
			err = fmt.Errorf("got %s, want JSON", body)
		}
	case strings.HasSuffix(kind, "yaml"):
		err = yaml.Unmarshal(body, new(any))
	case strings.HasSuffix(kind, "xml"):
		for d := xml.NewDecoder(bytes.NewReader(body)); err == nil; {
			_, err = d.Token()
		}
		if errors.Is(err, io.EOF) {
			err = nil
		}
	case kind == "text/plain":
		if text := strings.TrimSuffix(string(body), "\n"); !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && r != '\n' }) {
			err = fmt.Errorf("got text %q", text)
		}
	default:
		err = fmt.Errorf("got Content-Type %s", kind)
	}
	return err
}

// identifying are requests with what identifies an installation or user. CANARY stands for it.
var identifying = []string{
	"GET /p/checkpoint/v1/check/checkpoint?arch=amd64&os=linux&signature=CANARY&version=1.0.0-control7q HTTP/1.1\r\nHost: a\r\nUser-Agent: HashiCorp/go-checkpoint\r\n\r\n",
	"POST /p/checkpoint/v1/telemetry/checkpoint HTTP/1.1\r\nHost: a\r\n\r\n" + `{"signature": "CANARY", "run_id": "CANARY", "payload": {"CANARY": "CANARY"}, "version": "1.0.0"}`,
	"POST /p/upgrade-responder/v1/checkupgrade HTTP/1.1\r\nHost: a\r\n\r\n" + `{"appVersion": "v1.0.0", "extraTagInfo": {"node": "CANARY"}, "extraFieldInfo": {"CANARY": 1}, "extraInfo": {"platform": "linux-x64", "host": "CANARY", "platformVersion": "CANARY", "wslVersion": "CANARY"}}`,
	"GET /p/sample/api/v3/repos/me/sample/releases HTTP/1.1\r\nHost: a\r\nAuthorization: token CANARY\r\nX-User-Staging-Id: CANARY\r\nCookie: CANARY=CANARY\r\nUser-Agent: CANARY/1.0.0 (linux, amd64) CANARY\r\n\r\n",
	"GET /p/sample/repos/CANARY/CANARY/releases/latest?CANARY=CANARY&access_token=CANARY HTTP/1.1\r\nHost: CANARY.example.com\r\nAuthorization: Bearer CANARY\r\nUser-Agent: app/1.0.0 (linux, amd64; CANARY)\r\n\r\n",
	"POST /p/sample/api/graphql HTTP/1.1\r\nHost: a\r\nAuthorization: token CANARY\r\n\r\n" + `{"query": "query CANARY { viewer { CANARY } }", "variables": {"tagName": "CANARY"}}`,
	"GET /p/grafana-plugins/plugins/versioncheck?grafanaVersion=CANARY&slugIn=grafana-plugins,CANARY HTTP/1.1\r\nHost: a\r\nUser-Agent: Grafana/1.0.0 CANARY\r\nX-Grafana-Id: CANARY\r\n\r\n",
	"GET /p/grafana/api/grafana/versions/stable?instance=CANARY HTTP/1.1\r\nHost: a\r\nX-Grafana-Id: CANARY\r\n\r\n",
	"GET /p/linkerd/version.json?version=stable-1.0.0&uuid=CANARY&source=CANARY HTTP/1.1\r\nHost: a\r\nOrigin: https://CANARY.example\r\n\r\n",
	"GET /p/mastodon/update-check?version=1.0.0&instance=CANARY HTTP/1.1\r\nHost: a\r\nReferer: https://CANARY.example\r\n\r\n",
	"GET /p/n8n/api/versions/1.0.0 HTTP/1.1\r\nHost: a\r\nN8n-Instance-Id: CANARY\r\nOrigin: https://CANARY.example\r\nCookie: CANARY=1\r\n\r\n",
	"GET /p/nextcloud/updater_server?version=1x0x0x0xCANARYxCANARYxstablexx2024xCANARY HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /p/pgadmin/versions.json?version=1.0.0&user=CANARY HTTP/1.1\r\nHost: a\r\n\r\n",
	"POST /p/temporal/check HTTP/1.1\r\nHost: a\r\n\r\n" + `{"product": "temporal", "version": "1.0.0", "arch": "amd64", "os": "linux", "cluster": "CANARY", "timestamp": "CANARY", "sdkInfo": [{"sdkName": "CANARY"}]}`,
	"GET /p/trivy/updates HTTP/1.1\r\nHost: a\r\nUser-Agent: trivy/1.0.0\r\nTrivy-Identifier: CANARY\r\nTrivy-Command: CANARY\r\nTrivy-Flags: CANARY\r\nTrivy-Os: linux\r\nTrivy-Arch: amd64\r\n\r\n",
	"GET /p/channels/v1-release/channels/stable HTTP/1.1\r\nHost: a\r\nX-Suc-Cluster-Id: CANARY\r\nX-Suc-Latest-Version: CANARY\r\n\r\n",
	"GET /p/electron/latest-linux.yml?noCache=CANARY HTTP/1.1\r\nHost: a\r\nX-User-Staging-Id: CANARY\r\nAuthorization: CANARY\r\n\r\n",
	"GET /p/npm/npm HTTP/1.1\r\nHost: a\r\nNpm-Session: CANARY\r\nAuthorization: Bearer CANARY\r\nUser-Agent: npm/11.19.1 node/v20.20.2 linux x64 workspaces/CANARY\r\n\r\n",
	"GET /p/npm-dist-tags/-/package/npm-dist-tags/dist-tags?CANARY HTTP/1.1\r\nHost: a\r\nNpm-Session: CANARY\r\n\r\n",
	"GET /p/mongosh/mongosh.json?CANARY HTTP/1.1\r\nHost: a\r\nIf-None-Match: \"CANARY\"\r\n\r\n",
	"GET /p/go-selfupdate/CANARY/CANARY/manifest.yaml HTTP/1.1\r\nHost: a\r\nAuthorization: Basic CANARY\r\n\r\n",
	"GET /p/syncthing/meta.json HTTP/1.1\r\nHost: a\r\nUser-Agent: syncthing v1.0.0 (go1.24 linux-amd64)\r\nSyncthing-Os-Version: CANARY\r\n\r\n",
	"GET /p/gitea/as/CANARY!/gitea.json?id=CANARY HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: CANARY\r\n\r\n",
	"GET /p/kubeadm/release/CANARY.txt HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /p/version-text/CANARY.txt HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /p/openpolicyagent/downloads/CANARY/CANARY HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /p/CANARY@CANARY/as/CANARY!/CANARY HTTP/1.1\r\nHost: CANARY\r\n\r\n",
}

// TestIdentifiersAreNotKept sends what identifies installations and users in all dialects,
// and searches the log, the metrics, and all tables for it.
func TestIdentifiersAreNotKept(t *testing.T) {
	const canary, control = "Kanarie7q", "1.0.0-control7q"
	var log syncBuffer
	s := newDialectService(t, &log)
	s.Client().CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	missing := append(slices.Sorted(maps.Keys(dialect.BuiltIn())), "checkpoint", "upgrade-responder")
	for _, text := range identifying {
		head, body, _ := strings.Cut(strings.ReplaceAll(text, "CANARY", canary), "\r\n\r\n")
		raw := fmt.Sprintf("%s\r\nContent-Length: %d\r\n\r\n%s", head, len(body), body)
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if got := s.send(t, r); got.StatusCode >= 500 {
			t.Errorf("%s: got status %d", text, got.StatusCode)
		}
		missing = slices.DeleteFunc(missing, func(name string) bool { return strings.Contains(text, "/p/"+name+"/") })
	}
	if len(missing) > 0 {
		t.Errorf("no identifier is sent to the dialects %q", missing)
	}
	w := httptest.NewRecorder()
	s.handler.Metrics().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	s.Close()
	if err := s.writer.Close(); err != nil { // writes the counted checks
		t.Fatal(err)
	}
	tables := s.dump(t)
	for name, text := range map[string]string{"log": log.String(), "metrics": w.Body.String(), "tables": tables} {
		for _, form := range []string{canary, hex.EncodeToString([]byte(canary))} {
			if i := strings.Index(strings.ToLower(text), strings.ToLower(form)); i >= 0 {
				t.Errorf("the %s contain an identifier: …%.300s", name, text[max(0, i-100):])
			}
		}
	}
	if !strings.Contains(tables, control) || !strings.Contains(w.Body.String(), `route="dialect checkpoint"`) {
		t.Errorf("got no version %s in the tables, or no dialect in the metrics: the test searches the wrong place", control)
	}
}

// dump returns the content of all tables.
func (s *service) dump(t *testing.T) string {
	t.Helper()
	d, err := sql.Open("sqlite", "file:"+s.path+"?_busy_timeout=5000")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var all strings.Builder
	query := func(text string, found func(values []any)) {
		rows, err := d.Query(text)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		columns, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		values, targets := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			targets[i] = &values[i]
		}
		for rows.Next() {
			if err := rows.Scan(targets...); err != nil {
				t.Fatal(err)
			}
			found(values)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
	var tables []string
	query("SELECT name FROM sqlite_schema WHERE type = 'table'", func(values []any) { tables = append(tables, fmt.Sprintf("%s", values[0])) })
	for _, table := range tables {
		query(`SELECT * FROM "`+table+`"`, func(values []any) {
			for _, v := range values {
				fmt.Fprintf(&all, "%s\t", v) // bytes as they are
			}
			all.WriteByte('\n')
		})
	}
	return all.String()
}
