package command

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestHealthcheck checks that only a service that is ready is healthy, also with a certificate of
// an unknown authority.
func TestHealthcheck(t *testing.T) {
	code := http.StatusOK
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			t.Errorf("got path %s, want /readyz", r.URL.Path)
		}
		w.WriteHeader(code)
		io.WriteString(w, "the answer\n")
	})
	plain, secure := httptest.NewServer(h), httptest.NewTLSServer(h)
	defer plain.Close()
	defer secure.Close()
	for _, c := range []struct {
		code, status int
		want         string
	}{{200, 0, "/readyz: ready\n"}, {503, 1, "/readyz: status 503 Service Unavailable: the answer\n"}, {404, 1, "/readyz: status 404 Not Found: the answer\n"}} {
		code = c.code
		for url, flags := range map[string][]string{plain.URL: nil, secure.URL: {"--tls-cert", "cert.pem"}} {
			_, address, _ := strings.Cut(url, "://")
			var out bytes.Buffer
			args := append([]string{"healthcheck", "--listen", address}, flags...)
			if status := Run(t.Context(), args, IO{Out: &out, Err: &out}); status != c.status || !strings.HasSuffix(out.String(), url+c.want) {
				t.Errorf("%s answers %d: got exit status %d and %q, want %d and %q", url, c.code, status, out.String(), c.status, c.want)
			}
		}
	}
}
