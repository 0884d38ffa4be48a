package systemtest

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

// TestForgottenProxy checks that a proxy without --trusted-proxy is logged, and that
// doctor warns until the server is started with it.
func TestForgottenProxy(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "relcheck.db")
	report := func(p *process, header string) {
		t.Helper()
		r, err := http.NewRequest("POST", p.url+"/v1/version", strings.NewReader(`{"id":"`+uuid.NewString()+`","version":"1.0.0"}`))
		if err != nil {
			t.Fatal(err)
		}
		if header != "" {
			r.Header.Set(header, "198.51.100.1")
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
	}
	doctor := func(want string) {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
			out, _ := relcheckStatus(t, "doctor", "--db", file)
			if strings.Contains(out, want) {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("doctor: got no %q in\n%s", want, out)
			}
		}
	}
	const ok, warning = "ok       proxy", "warning  proxy        all requests seem to come through one proxy"

	p := serve(t, file, "--source-rate", "600")
	doctor(ok)
	for range 200 {
		report(p, "")
	}
	doctor(warning)
	if n := p.errs.count("all requests come from one address"); n != 1 {
		t.Errorf("got the hint %d times in the log, want once", n)
	}
	p.stop(t)

	p = serve(t, file, "--source-rate", "600")
	doctor(ok)
	report(p, "Forwarded")
	doctor(warning)
	if p.errs.count("requests carry Forwarded") != 1 {
		t.Error("got no name of the header in the log, want it once")
	}
	p.stop(t)

	p = serve(t, file, "--source-rate", "600", "--trusted-proxy", "127.0.0.1")
	for range 200 {
		report(p, "X-Real-IP")
	}
	doctor(ok)
	if n := p.errs.count("set --base-url"); n != 1 {
		t.Errorf("trusted proxy without a base URL: got %d hints in the log, want 1", n)
	}
	if n := p.errs.count("--trusted-proxy"); n != 0 {
		t.Errorf("trusted proxy: got %d hints in the log, want 0", n)
	}
}
