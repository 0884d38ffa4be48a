package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// background starts a program until the test ends.
func background(t *testing.T, env []string, name string, args ...string) {
	t.Helper()
	c := exec.Command(name, args...)
	var out bytes.Buffer
	c.Stdout, c.Stderr, c.Env = &out, &out, append(os.Environ(), env...)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Process.Kill()
		c.Wait()
		if t.Failed() {
			t.Logf("%s:\n%s", name, &out)
		}
	})
}

// prometheus is a running Prometheus.
type prometheus struct {
	t       *testing.T
	address string
}

// get decodes the data that the API returns, and reports whether it answered.
func (p prometheus) get(path string, data any) bool {
	p.t.Helper()
	res, err := http.Get("http://" + p.address + "/api/v1/" + path)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	var answer struct {
		Data  json.RawMessage
		Error string
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		return false // it is not ready
	}
	if answer.Error != "" {
		p.t.Fatalf("%s: %s", path, answer.Error)
	}
	return json.Unmarshal(answer.Data, data) == nil
}

// await waits until a query has a result.
func (p prometheus) await(query string) {
	p.t.Helper()
	var data struct{ Result []json.RawMessage }
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		if p.get("query?query="+url.QueryEscape(query), &data) && len(data.Result) > 0 {
			return
		}
		if time.Now().After(deadline) {
			p.t.Errorf("got no result of %s", query)
			return
		}
	}
}

// scraped starts a Prometheus that scrapes a server with backups, files, TLS, an upstream,
// a release and a report.
func scraped(t *testing.T) prometheus {
	t.Helper()
	folder, program := t.TempDir(), install(t)
	address, metrics, p := freeAddress(t), freeAddress(t), prometheus{t, freeAddress(t)}
	certificate, key := newCertificate(t, folder, "localhost")
	for _, name := range []string{"backups", "files"} {
		if err := os.Mkdir(filepath.Join(folder, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	store := "--db=" + filepath.Join(folder, "relcheck.db")
	output(t, program, "product", "add", "myapp", "--upstream", "github:me/myapp", store)
	output(t, program, "release", "add", "opa", "v1.2.3", "--date", "2026-01-02", store)
	background(t, nil, program, "serve", store, "--listen", address, "--metrics-listen", metrics, "--backup-dir", filepath.Join(folder, "backups"),
		"--files", filepath.Join(folder, "files"), "--tls-cert", certificate, "--tls-key", key)
	_, port, _ := strings.Cut(address, ":")
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		c := exec.Command(program, "check", "--as", "1.0.0", "--url", "https://localhost:"+port)
		c.Env = append(os.Environ(), "SSL_CERT_FILE="+certificate)
		out, err := c.CombinedOutput()
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	rules, err := filepath.Abs("examples/prometheus-rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(folder, "prometheus.yml")
	text := "global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [" + rules + "]\nscrape_configs: [{job_name: relcheck, static_configs: [{targets: ['" + metrics + "']}]}]\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	background(t, nil, "prometheus", "--config.file="+config, "--storage.tsdb.path="+filepath.Join(folder, "data"), "--web.listen-address="+p.address)
	p.await("relcheck_report_last_timestamp_seconds > 0") // it is folded
	return p
}

// selector is a metric of relcheck with its labels.
var selector = regexp.MustCompile(`(relcheck|process)_[a-z_]+({[^}]*})?`)

// Each query of the dashboard has a result from the metrics of a real server. Each alert is
// evaluated without an error, and the metrics and labels in it exist.
func TestMonitoring(t *testing.T) {
	need(t, false, "prometheus", "promtool")
	output(t, "promtool", "check", "rules", "examples/prometheus-rules.yml")
	p := scraped(t)
	text, err := os.ReadFile("examples/grafana-dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	variables := strings.NewReplacer("$__rate_interval", "10s", "$product", "opa")
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			if panel.Title == "Oldest sync" { // there was none
				target.Expr = selector.FindString(target.Expr)
			}
			p.await(variables.Replace(target.Expr))
		}
	}
	var found struct {
		Groups []struct {
			Rules []struct{ Name, Query, Health, LastError, State string }
		}
	}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if p.get("rules", &found) && len(found.Groups) == 1 && found.Groups[0].Rules[0].Health != "unknown" {
			break
		}
	}
	if len(found.Groups) != 1 || len(found.Groups[0].Rules) != 13 {
		t.Fatalf("got rules %+v, want 13", found)
	}
	expected := []string{"RelcheckUpstreamStale"}
	for _, rule := range found.Groups[0].Rules {
		if rule.Health != "ok" || rule.State != "inactive" && !slices.Contains(expected, rule.Name) {
			t.Errorf("got rule %+v, want it to be healthy and inactive", rule)
		}
		for _, metric := range selector.FindAllString(rule.Query, -1) {
			p.await(metric)
		}
	}
}

// Each alert fires when its problem occurs.
func TestAlerts(t *testing.T) {
	need(t, false, "promtool")
	output(t, "promtool", "test", "rules", "testdata/alerts.yml")
	rules, err := os.ReadFile("examples/prometheus-rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	tests, err := os.ReadFile("testdata/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(string(rules), -1) {
		if !strings.Contains(string(tests), `alertname="`+m[1]+`"`) {
			t.Errorf("no test of alert %s", m[1])
		}
	}
}
