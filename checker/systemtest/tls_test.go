package systemtest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
)

// keyPair is a certificate for 127.0.0.1 and some names, and its key.
type keyPair struct {
	serial    int64
	notAfter  time.Time
	cert, key []byte // PEM
}

func newKeyPair(t testing.TB, serial int64, names ...string) keyPair {
	t.Helper()
	p := keyPair{serial: serial, notAfter: time.Now().Add(time.Duration(serial) * time.Hour).Truncate(time.Second)}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "relcheck"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: p.notAfter, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: names,
		IsCA: true, BasicConstraintsValid: true}
	cert, err := x509.CreateCertificate(rand.Reader, &template, &template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	p.cert = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	p.key = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})
	return p
}

// tlsServer is a server with TLS, and the files of its certificate.
type tlsServer struct {
	*process
	store, cert, key string
}

func startTLS(t *testing.T, p keyPair) *tlsServer {
	t.Helper()
	dir := t.TempDir()
	s := &tlsServer{store: filepath.Join(dir, "relcheck.db"), cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem")}
	s.put(t, s.cert, p.cert)
	s.put(t, s.key, p.key)
	s.process = serve(t, s.store, "--tls-cert", s.cert, "--tls-key", s.key)
	return s
}

func (s *tlsServer) put(t *testing.T, file string, text []byte) {
	t.Helper()
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// client returns a client that trusts one certificate.
func (s *tlsServer) client(p keyPair) *http.Client {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(p.cert)
	return &http.Client{Timeout: waitTimeout, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// serves reports whether a new connection gets a certificate.
func (s *tlsServer) serves(p keyPair) bool {
	conn, err := tls.Dial("tcp", s.addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		return false
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64() == p.serial
}

// metric returns one line of the metrics.
func (s *tlsServer) metric(t *testing.T, c *http.Client, token, name string) string {
	t.Helper()
	req, err := http.NewRequest("GET", "https://"+s.addr+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(readAll(t, res)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return "none"
}

// waitFor waits until f returns true.
func waitFor(t testing.TB, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(waitTimeout); !f(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no %s after %v", what, waitTimeout)
		}
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	first := newKeyPair(t, 1001)
	s := startTLS(t, first)
	c := s.client(first)
	if !strings.HasPrefix(s.url, "https://") {
		t.Errorf("got URL %s, want https", s.url)
	}
	res, err := c.Post("https://"+s.addr+"/v1/version", "application/json", strings.NewReader(`{"id":"`+uuid.NewString()+`","version":"0.70.0"}`))
	if err != nil {
		t.Fatal(err)
	}
	if body := readAll(t, res); res.StatusCode != 200 || res.Header.Get("Strict-Transport-Security") == "" || res.ProtoMajor != 1 {
		t.Errorf("report: got %s %s, headers %v and body %s; want status 200 over HTTP/1 with HSTS", res.Proto, res.Status, res.Header, body)
	}
	res, err = c.Get("https://" + s.addr + "/")
	if err != nil {
		t.Fatal(err)
	}
	if body := readAll(t, res); !strings.Contains(body, "=https://"+s.addr) {
		t.Errorf("home page: got no URL https://%s:\n%s", s.addr, body)
	}
	token := strings.TrimSpace(relcheck(t, "token", "add", "test", "--db", s.store))
	form, err := http.NewRequest("POST", "https://"+s.addr+"/sign-in", strings.NewReader("token="+token))
	if err != nil {
		t.Fatal(err)
	}
	form.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	form.Header.Set("Cookie", "__Host-relcheck-form=1")
	noRedirect := *c
	noRedirect.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if res, err = noRedirect.Do(form); err != nil {
		t.Fatal(err)
	}
	if cookie := res.Header.Get("Set-Cookie"); !strings.HasPrefix(cookie, "__Host-") || !strings.Contains(cookie, "; Secure") {
		t.Errorf("sign-in: got %s and cookie %q, want a secure one with prefix __Host-", res.Status, cookie)
	}
	res.Body.Close()
	for version, want := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		conn, err := tls.Dial("tcp", s.addr, &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version})
		if got := err == nil; got != want {
			t.Errorf("%s: got error %v, want success %t", tls.VersionName(version), err, want)
		}
		if err == nil {
			conn.Close()
		}
	}
}

// TestCertificateIsRenewed checks that a new certificate is used without closing
// connections, and that an invalid one is ignored and logged.
func TestCertificateIsRenewed(t *testing.T) {
	t.Parallel()
	first, second, third := newKeyPair(t, 2001), newKeyPair(t, 2002), newKeyPair(t, 2003)
	s := startTLS(t, first)
	c := s.client(first) // its connection stays open
	token := strings.TrimSpace(relcheck(t, "token", "add", "test", "--db", s.store))
	expires := func(p keyPair) {
		t.Helper()
		if got, want := s.metric(t, c, token, "relcheck_tls_certificate_expiry_timestamp_seconds"), fmt.Sprint(float64(p.notAfter.Unix())); got != want {
			t.Errorf("got expiry %s, want %s", got, want)
		}
	}
	expires(first)
	s.put(t, s.cert, second.cert)
	time.Sleep(300 * time.Millisecond) // the certificate is new, the key is old
	s.put(t, s.key, second.key)
	waitFor(t, "second certificate", func() bool { return s.serves(second) })
	expires(second)

	s.put(t, s.key, third.key)
	waitFor(t, "metric for files that do not match", func() bool {
		return s.metric(t, c, token, "relcheck_tls_certificate_broken") == "1"
	})
	s.put(t, s.cert, []byte("nonsense"))
	waitFor(t, "log of an invalid certificate", func() bool { return s.errs.count("cannot load TLS certificate") == 2 })
	if !s.serves(second) {
		t.Error("got another certificate than the last valid one")
	}
	expires(second)
	os.Remove(s.cert)
	waitFor(t, "log of a missing certificate", func() bool { return s.errs.count("cannot load TLS certificate") == 3 })
	s.put(t, s.cert, third.cert)
	waitFor(t, "third certificate", func() bool { return s.serves(third) })
	waitFor(t, "metric for valid files", func() bool { return s.metric(t, c, token, "relcheck_tls_certificate_broken") == "0" })
	expires(third)
	if s.errs.count("PRIVATE KEY") > 0 {
		t.Error("got a private key in the log")
	}
}

// TestCertificateReloadOnSIGHUP checks that SIGHUP reloads the files at once, even if
// they have not changed.
func TestCertificateReloadOnSIGHUP(t *testing.T) {
	t.Parallel()
	first, second := newKeyPair(t, 3001), newKeyPair(t, 3002)
	s := startTLS(t, first)
	hangup := func() {
		t.Helper()
		if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	waitFor(t, "first certificate", func() bool { return s.serves(first) })
	hangup()
	waitFor(t, "log of the reloaded certificate", func() bool { return s.errs.count("loaded TLS certificate") == 1 })
	s.put(t, s.key, second.key)
	hangup()
	waitFor(t, "log of files that do not match", func() bool { return s.errs.count("cannot load TLS certificate") == 1 })
	s.put(t, s.cert, second.cert)
	hangup()
	waitFor(t, "second certificate", func() bool { return s.serves(second) })
}

// TestPlainRequestToTLS checks the answer to an HTTP request on an HTTPS port.
func TestPlainRequestToTLS(t *testing.T) {
	t.Parallel()
	s := startTLS(t, newKeyPair(t, 4001))
	body, err := getOnNewConn(context.Background(), "http://"+s.addr+"/healthz")
	if err != nil || !strings.Contains(body, "HTTPS") {
		t.Errorf("got body %q (error %v), want a hint at HTTPS", body, err)
	}
}
