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

// TestUnreadResponses has clients request a large table without reading the response. The
// unread bytes must stay below the limit, other requests must be answered, and a client
// that reads must get the table.
func TestUnreadResponses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "relcheck.db")
	if err := release(t.Context(), file, 20_000); err != nil {
		t.Fatal(err)
	}
	p := serve(t, file)
	token := strings.TrimSpace(relcheck(t, "token", "add", "reader", "--db", file))
	const table = "/api/v1/products/opa/stats/deprecation?format=csv" // 390 KB
	clients := unlessRace(120, 40)                                    // 84 reach the limit
	metric := func(name string) (n float64) {
		t.Helper()
		_, text := getWithToken(t, p.url+"/metrics", token)
		if found := regexp.MustCompile(`(?m)^` + name + ` (.*)$`).FindStringSubmatch(text); found != nil {
			n, _ = strconv.ParseFloat(found[1], 64)
		} else {
			t.Fatalf("got no metric %s in\n%s", name, text)
		}
		return n
	}
	limit := metric("relcheck_unread_bytes_limit")
	most := 0.0
	requestWithoutReading(t, p, table, token, clients, func() {
		most = max(most, metric("relcheck_unread_bytes"))
		if res, _ := getWithToken(t, p.url+"/healthz", ""); res.StatusCode != http.StatusOK {
			t.Errorf("/healthz: got %s, want 200", res.Status)
		}
	})
	closed := metric("relcheck_unread_answers_cut_total") + metric("relcheck_unread_answers_refused_total")
	t.Logf("at most %.1f of %.1f MB unread, %.0f responses closed or refused", most/(1<<20), limit/(1<<20), closed)
	if most == 0 || most > limit {
		t.Errorf("got at most %.0f unread bytes, want 1 to %.0f", most, limit)
	}
	if closed == 0 && most > limit-(1<<20) {
		t.Error("got no response closed or refused at the limit, want one or more")
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		res, text := getWithToken(t, p.url+table, token)
		if res.StatusCode == http.StatusOK && strings.Count(text, "\n") == 20_001 {
			break
		}
		if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" || time.Now().After(deadline) {
			t.Fatalf("reading client: got %s, %v, %d bytes, want 200 and the table", res.Status, res.Header, len(text))
		}
	}
}

// getWithToken returns the response to a GET request, with a token unless it is empty.
func getWithToken(t *testing.T, url, token string) (*http.Response, string) {
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
