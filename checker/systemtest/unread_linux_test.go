package systemtest

import (
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Clients ask for a large table and do not read it. What waits for them is bounded,
// reports go on, and a client that reads gets the table.
func TestUnreadAnswers(t *testing.T) {
	file := filepath.Join(t.TempDir(), "relcheck.db")
	if err := release(t.Context(), file, 20_000); err != nil {
		t.Fatal(err)
	}
	p := serve(t, file)
	token := strings.TrimSpace(relcheck(t, "token", "add", "reader", "--db", file))
	const table, clients = "/api/v1/products/opa/stats/deprecation?format=csv", 120 // of 390 KB each
	metric := func(name string) (n float64) {
		t.Helper()
		_, text := answer(t, p.url+"/metrics", token)
		if found := regexp.MustCompile(`(?m)^` + name + ` (.*)$`).FindStringSubmatch(text); found != nil {
			n, _ = strconv.ParseFloat(found[1], 64)
		} else {
			t.Fatalf("no %s in\n%s", name, text)
		}
		return n
	}
	limit := metric("relcheck_unread_bytes_limit")
	most := 0.0
	unread(t, p, table, token, clients, func() {
		most = max(most, metric("relcheck_unread_bytes"))
		if res, _ := answer(t, p.url+"/healthz", ""); res.StatusCode != http.StatusOK {
			t.Errorf("/healthz: %s", res.Status)
		}
	})
	t.Logf("%.1f of %.1f MB were not read", most/(1<<20), limit/(1<<20))
	if most < limit/4 || most > limit {
		t.Errorf("%.0f bytes were not read, of %.0f that may be", most, limit)
	}
	if metric("relcheck_unread_answers_cut_total")+metric("relcheck_unread_answers_refused_total") == 0 {
		t.Error("none had to go")
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		res, text := answer(t, p.url+table, token)
		if res.StatusCode == http.StatusOK && strings.Count(text, "\n") == 20_001 {
			break
		}
		if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" || time.Now().After(deadline) {
			t.Fatalf("a client that reads gets %s, %v, %d bytes", res.Status, res.Header, len(text))
		}
	}
}

// answer is what a path holds, with a token or none.
func answer(t *testing.T, url, token string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}
