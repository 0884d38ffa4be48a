package checker

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// certified makes a certificate for 127.0.0.1, as changed, and those who trust it.
func certified(t *testing.T, change func(*x509.Certificate)) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "relcheck"},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IsCA: true, BasicConstraintsValid: true,
	}
	change(template)
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

// serveTLS is serve over TLS.
func serveTLS(t *testing.T, config *tls.Config, handle func(net.Conn)) *service {
	t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	return serveOn(t, listener, "https", handle)
}

// TestBadTLS trusts each certificate, but for the one that nobody does. The
// first row is the control.
func TestBadTLS(t *testing.T) {
	right := func(*x509.Certificate) {}
	for name, test := range map[string]struct {
		change      func(*x509.Certificate)
		least, most uint16 // versions of TLS that the service speaks
		distrusted  bool
		want        string
	}{
		"right":          {change: right},
		"TLS 1.2":        {change: right, most: tls.VersionTLS12},
		"expired":        {change: func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Hour) }, want: "expired"},
		"not valid yet":  {change: func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) }, want: "not yet valid"},
		"another host's": {change: func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"example.com"} }, want: "IP SANs"},
		"another address's": {change: func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 2)} },
			want: "valid for 127.0.0.2"},
		"a client's":     {change: func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }, want: "key usage"},
		"made by itself": {change: right, distrusted: true, want: "unknown authority"},
		"TLS 1.1":        {change: right, least: tls.VersionTLS10, most: tls.VersionTLS11, want: "protocol version"},
		"TLS 1.0":        {change: right, least: tls.VersionTLS10, most: tls.VersionTLS10, want: "protocol version"},
	} {
		t.Run(name, func(t *testing.T) {
			harmless(t)
			certificate, roots := certified(t, test.change)
			if test.distrusted {
				roots = x509.NewCertPool()
			}
			heard := make(chan string, 1)
			s := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: test.least, MaxVersion: test.most}, func(conn net.Conn) {
				raw, _ := readRequest(conn)
				heard <- string(raw)
				io.WriteString(conn, ok(newer))
			})
			c := &Client{Product: "opa", Version: "0.70.0", URL: s.url, Transport: newTransport(&tls.Config{RootCAs: roots})}
			answer, err := c.Check(t.Context())
			if test.want == "" {
				if err != nil || answer.Latest.LatestRelease != "v9.0.0" {
					t.Errorf("Check: %+v, %v", answer, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.want) || answer != (Answer{}) {
				t.Errorf("Check: %+v, %v; want an error with %q", answer, err, test.want)
			}
			if report := <-heard; report != "" {
				t.Errorf("it was told all the same: %s", report)
			}
		})
	}
}

// TestLeavesTLS is redirected from https to http, on the same host and port.
func TestLeavesTLS(t *testing.T) {
	harmless(t)
	certificate, roots := certified(t, func(*x509.Certificate) {})
	location := ""
	s := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{certificate}}, func(conn net.Conn) {
		readRequest(conn)
		io.WriteString(conn, "HTTP/1.1 307 Go\r\nContent-Length: 0\r\nLocation: "+location+"\r\n\r\n")
	})
	location = strings.Replace(s.url, "https:", "http:", 1) + "/v1/version"
	c := &Client{Product: "opa", Version: "0.70.0", URL: s.url, Transport: newTransport(&tls.Config{RootCAs: roots})}
	if _, err := c.Check(t.Context()); err == nil || !strings.Contains(err.Error(), `redirected from https to "http"`) {
		t.Errorf("Check: %v", err)
	}
	if n := s.asked(); n != 1 {
		t.Errorf("%d connections were opened, want 1", n)
	}
}

// cutting is a connection that breaks once so many bytes were written.
type cutting struct {
	net.Conn
	left *int
}

func (c cutting) Write(b []byte) (int, error) {
	if len(b) > *c.left {
		c.Conn.Write(b[:*c.left])
		c.Conn.Close()
		return *c.left, io.ErrClosedPipe
	}
	*c.left -= len(b)
	return c.Conn.Write(b)
}

// TestCutTLS breaks the connection within the handshake and within the answer.
// An answer without a length must not pass for a whole one.
func TestCutTLS(t *testing.T) {
	harmless(t)
	certificate, roots := certified(t, func(*x509.Certificate) {})
	config := &tls.Config{Certificates: []tls.Certificate{certificate}, SessionTicketsDisabled: true}
	var limit atomic.Int64
	written := make(chan int, 1000)
	s := serve(t, func(conn net.Conn) {
		whole := int(limit.Load())
		left := whole
		secure := tls.Server(cutting{conn, &left}, config)
		readRequest(secure)
		io.WriteString(secure, "HTTP/1.1 200 OK\r\n\r\n")
		io.WriteString(secure, newer)
		secure.Close()
		written <- whole - left
	})
	c := &Client{Product: "opa", Version: "0.70.0", URL: strings.Replace(s.url, "http:", "https:", 1), Transport: newTransport(&tls.Config{RootCAs: roots})}
	limit.Store(1 << 20)
	if answer, err := c.Check(t.Context()); err != nil || answer.Latest.LatestRelease != "v9.0.0" {
		t.Fatalf("uncut: %+v, %v", answer, err)
	}
	whole := <-written
	for at := whole % 11; at < whole; at += 11 { // the last cut is in the notice of the end
		limit.Store(int64(at))
		if answer, err := c.Check(t.Context()); err == nil || answer != (Answer{}) {
			t.Errorf("%d of %d bytes: %+v, %v", at, whole, answer, err)
		}
	}
}
