package server_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"relcheck/checker"
	"relcheck/checker/server"
)

// countedChecks is a store that remembers what it is asked to count.
type countedChecks struct {
	server.Store
	counted *[]string
}

func (c countedChecks) Count(product, version string, from checker.Platform) {
	*c.counted = append(*c.counted, product+" "+version+" "+from.String())
}

func TestCheckpoint(t *testing.T) {
	var counted []string
	s := newClientService(t, func(h testStore) server.Store { return countedChecks{h, &counted} })
	h := s.handler.Handler()
	const date, notes = 1767312000, "https://releases.example.com/products/myapp/releases/v1.3.0"
	answer := func(download string, outdated bool, alerts string) string {
		return fmt.Sprintf(`{"product":"myapp","current_version":"1.3.0","current_release":%d,"current_release_date":%[1]d,"current_download_url":%q,"current_changelog_url":%q,`+
			`"project_website":"https://releases.example.com/products/myapp","outdated":%t,"alerts":[%s]}`+"\n", date, download, notes, outdated, alerts)
	}
	file := "https://releases.example.com/dl/v1.3.0/myapp_linux_amd64.tar.gz"
	withdrawn := answer(notes, true, fmt.Sprintf(`{"id":1,"date":%d,"message":"1.2.0 was withdrawn: CVE-2026-0001","url":"https://releases.example.com/products/myapp/releases/v1.2.0","level":"critical"}`, date))
	const check = "GET checkpoint-api.hashicorp.com/v1/check/"
	for _, c := range []struct {
		request, want, counted string
	}{
		{check + "myapp?version=1.2.1&os=linux&arch=amd64&signature=b6d0a7ff", "200 " + answer(file, true, ""), "myapp 1.2.1 linux/amd64"},
		{check + "myapp?version=1.3.0&os=linux&arch=amd64", "200 " + answer(file, false, ""), "myapp 1.3.0 linux/amd64"},
		{check + "myapp?version=1.3.0%2Bent&os=plan9&arch=mips", "200 " + answer(notes, false, ""), "myapp 1.3.0+ent other/other"},
		{check + "myapp?version=1.2.0", "200 " + withdrawn, "myapp 1.2.0 other/other"},
		{check + "myapp?version=%0d%0aX:%20y", "200 " + answer(notes, false, ""), ""},
		{check + "myapp?version=" + strings.Repeat("1", 300), "200 " + answer(notes, false, ""), ""},
		{check + "old/MyApp", "200 " + answer(notes, false, ""), ""},
		{"HEAD" + check[3:] + "myapp?version=1.2.1", "200 ", ""},
		{check + "longhorn?version=1.2.1", "404 not found\n", ""}, // it has another dialect
		{check + "none?version=1.2.1", "404 not found\n", ""},
		{check + "terraform?version=1.5.7", `"message":"1.5.7 was withdrawn"`, "terraform 1.5.7 other/other"},
		{"POST" + check[3:] + "myapp?version=1.2.1", "405 use one of the methods: GET, HEAD, OPTIONS\n", ""},
		{"GET localhost/p/terraform/v1/check/myapp?version=1.3.0", "200 " + answer(notes, false, ""), "myapp 1.3.0 other/other"},
		{"GET localhost/p/myapp/as/1.2.1/linux-amd64/v1/check/myapp", "200 " + answer(file, true, ""), "myapp 1.2.1 linux/amd64"},
		{"GET localhost/p/traefik/v1/check/traefik", "404 product traefik does not answer this path; see https://releases.example.com/products/traefik/connect\n", ""},
		{"POST checkpoint-api.hashicorp.com/v1/telemetry/some/thing", "201 ", ""},
		{"GET checkpoint-api.hashicorp.com/v1/telemetry/myapp", "405 use one of the methods: OPTIONS, POST\n", ""},
		{"GET checkpoint-api.hashicorp.com/v1/versions/any", "200 {}\n", ""},
		{"GET checkpoint-api.hashicorp.com/v1/version", "404 not found\n", ""},
		{"GET update.traefik.io/repos/me/other/releases", `"message":"Not Found"`, ""},
	} {
		counted = nil
		method, target, _ := strings.Cut(c.request, " ")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, "http://"+target, strings.NewReader(strings.Repeat("x", 40_000))))
		got := fmt.Sprint(w.Code, " ", w.Body)
		if method == "HEAD" {
			got = fmt.Sprint(w.Code, " ")
		}
		if !strings.Contains(got, c.want) || strings.Join(counted, ", ") != c.counted {
			t.Errorf("%.100s: got  %s, counted %q\nwant %s, %q", c.request, got, counted, c.want, c.counted)
		}
	}
}

func TestUpgradeResponder(t *testing.T) {
	var counted []string
	s := newClientService(t, func(h testStore) server.Store { return countedChecks{h, &counted} })
	const want = `200 {"versions":[{"name":"v1.9.0","releaseDate":"2026-01-02T00:00:00Z","minUpgradableVersion":"","tags":["latest","stable"],"extraInfo":null,` +
		`"Name":"v1.9.0","ReleaseDate":"2026-01-02T00:00:00Z","MinUpgradableVersion":"","Tags":["latest","stable"],"ExtraInfo":null,"Supported":true}],"requestIntervalInMinutes":60}` + "\n"
	for _, c := range []struct{ body, want, counted string }{
		{`{"appVersion":"v1.8.0","extraTagInfo":null,"extraFieldInfo":null,"extraInfo":null}` + "\n", want, "longhorn v1.8.0 other/other"},
		{`{"longhornVersion":"v1.8.0","kubernetesVersion":"v1.30.0"}`, want, "longhorn v1.8.0 other/other"},
		{`{"appVersion":"1.8.0","extraInfo":{"platform":"linux-x64","platformVersion":7}}`, want, "longhorn 1.8.0 linux/amd64"},
		{`{"appVersion":7,"extraInfo":[1]}`, want, ""},
		{`{"appVersion":"$(TAG)\r\n"}`, want, ""},
		{`{}`, want, ""},
		{`{"appVersion":"v1.8.0"`, "400 ", ""},
		{`{"appVersion":"v1.8.0","appVersion":"v1.9.0"}`, "400 ", ""},
		{`[]`, "400 ", ""},
		{``, "400 ", ""},
		{`{"appVersion":"v1.8.0","x":"` + strings.Repeat("x", 20_000) + `"}`, "400 ", ""},
	} {
		counted = nil
		got := s.send(t, httptest.NewRequest("POST", "/p/longhorn/v1/checkupgrade", strings.NewReader(c.body)))
		if text := fmt.Sprint(got.StatusCode, " ", got.body); !strings.HasPrefix(text, c.want) || strings.Join(counted, ", ") != c.counted {
			t.Errorf("%.100s: got  %s, counted %q\nwant %s, %q", c.body, text, counted, c.want, c.counted)
		}
	}
	if got := s.send(t, httptest.NewRequest("GET", "/p/longhorn/v1/checkupgrade", nil)); got.StatusCode != 405 || got.Header.Get("Allow") != "OPTIONS, POST" {
		t.Errorf("GET: got status %d and headers %v, want 405", got.StatusCode, got.Header)
	}
	if got := s.send(t, httptest.NewRequest("POST", "/p/myapp/v1/checkupgrade", strings.NewReader("{}"))); got.StatusCode != 404 {
		t.Errorf("product without the dialect: got status %d and body %s, want 404", got.StatusCode, got.body)
	}
}
