package checker

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// certified returns a certificate for 127.0.0.1, modified by change, and a pool that
// trusts it.
func certified(t *testing.T, change func(*x509.Certificate)) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	public, key, err := ed25519.GenerateKey(rand.Reader)
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
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, key)
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

// serveTLS is serve with TLS.
func serveTLS(t *testing.T, config *tls.Config, handle func(net.Conn)) *service {
	t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	return serveOn(t, listener, "https", handle)
}

// TestBadTLS tests invalid certificates and versions of TLS. The certificates are trusted,
// except in the case that tests this. The first case is the control.
func TestBadTLS(t *testing.T) {
	right := func(*x509.Certificate) {}
	for name, test := range map[string]struct {
		change      func(*x509.Certificate)
		least, most uint16 // TLS versions of the service
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
				t.Errorf("the service got a report: %s", report)
			}
		})
	}
}

// TestRedirectFromTLS tests a redirect from https to http, on the same host and port.
func TestRedirectFromTLS(t *testing.T) {
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

// cutting is a connection that is closed after a number of written bytes.
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

// closeNotify is the size of the TLS 1.3 record of the close_notify alert, in bytes.
const closeNotify = 5 + 2 + 1 + 16

// breaking is a TLS service that closes its connection after a number of bytes.
type breaking struct {
	*service
	roots *x509.CertPool
	limit atomic.Int64
	whole int // bytes of the handshake and the whole answer
}

// newBreaking starts a service that sends the same response to every request. It finds
// the number of bytes by a first request. The number is constant because Ed25519
// signatures have a fixed size; ECDSA signatures do not.
func newBreaking(t *testing.T, version uint16, response string) *breaking {
	t.Helper()
	certificate, roots := certified(t, func(*x509.Certificate) {})
	config := &tls.Config{Certificates: []tls.Certificate{certificate}, SessionTicketsDisabled: true, MaxVersion: version}
	b := &breaking{roots: roots}
	written := make(chan int, 1)
	b.limit.Store(1 << 20)
	b.service = serve(t, func(conn net.Conn) {
		limit := int(b.limit.Load())
		left := limit
		secure := tls.Server(cutting{conn, &left}, config)
		readRequest(secure)
		io.WriteString(secure, response)
		secure.Close()
		select {
		case written <- limit - left:
		default: // only the first is received
		}
	})
	if answer, err := b.check(t); err != nil || answer.Latest.LatestRelease != "v9.0.0" {
		t.Fatalf("whole answer: %+v, %v", answer, err)
	}
	b.whole = <-written
	return b
}

func (b *breaking) check(t *testing.T) (Answer, error) {
	c := &Client{Product: "opa", Version: "0.70.0", URL: strings.Replace(b.url, "http:", "https:", 1),
		Transport: newTransport(&tls.Config{RootCAs: b.roots})}
	return c.Check(t.Context())
}

// cuts returns the numbers of bytes after which a connection is closed: some within the
// handshake and the answer, and all from the last bytes of the answer on. One of them is
// directly before the close_notify alert, where crypto/tls reports no error.
func (b *breaking) cuts() (all []int) {
	for at := 0; at < b.whole-closeNotify-20; at += 29 {
		all = append(all, at)
	}
	for at := b.whole - closeNotify - 20; at < b.whole; at++ {
		all = append(all, at)
	}
	return all
}

// TestTruncatedTLS closes the connection within the handshake, the answer and the
// close_notify alert. An answer without a length is complete only after the alert.
func TestTruncatedTLS(t *testing.T) {
	harmless(t)
	for name, version := range map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13} {
		b := newBreaking(t, version, "HTTP/1.1 200 OK\r\n\r\n"+newer)
		for _, at := range b.cuts() {
			b.limit.Store(int64(at))
			if answer, err := b.check(t); err == nil || answer != (Answer{}) {
				t.Errorf("TLS %s, %d of %d bytes: %+v, %v", name, at, b.whole, answer, err)
			}
		}
	}
}

// TestTruncatedTLSWithLength does the same with answers that have a length. Such an answer is
// complete when all its bytes have arrived.
func TestTruncatedTLSWithLength(t *testing.T) {
	harmless(t)
	for name, response := range map[string]string{
		"length":  ok(newer),
		"chunked": fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(newer), newer),
	} {
		b := newBreaking(t, tls.VersionTLS13, response)
		for _, at := range b.cuts() {
			b.limit.Store(int64(at))
			answer, err := b.check(t)
			if whole := at >= b.whole-closeNotify; whole != (err == nil) || whole == (answer == Answer{}) {
				t.Errorf("%s, %d of %d bytes: %+v, %v", name, at, b.whole, answer, err)
			}
		}
	}
}

// TestTruncatedTunnel closes the connection to a proxy through which TLS passes.
func TestTruncatedTunnel(t *testing.T) {
	harmless(t)
	certificate, roots := certified(t, func(*x509.Certificate) {})
	config := &tls.Config{Certificates: []tls.Certificate{certificate}}
	for name, tunnel := range map[string]struct {
		listen func(*testing.T, func(net.Conn)) *service
	}{
		"http proxy":  {serve},
		"https proxy": {func(t *testing.T, handle func(net.Conn)) *service { return serveTLS(t, config, handle) }},
	} {
		var cut atomic.Bool
		proxy := tunnel.listen(t, func(conn net.Conn) {
			readRequest(conn)
			io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
			secure := tls.Server(conn, config)
			readRequest(secure)
			io.WriteString(secure, "HTTP/1.1 200 OK\r\n\r\n"+newer)
			if !cut.Load() {
				secure.Close()
			}
		})
		sender := newTransport(&tls.Config{RootCAs: roots})
		sender.proxy = func(*http.Request) (*url.URL, error) { return url.Parse(proxy.url) }
		c := &Client{Product: "opa", Version: "0.70.0", URL: "https://127.0.0.1:1", Transport: sender}
		for _, at := range []bool{false, true} {
			cut.Store(at)
			if answer, err := c.Check(t.Context()); at != (err != nil) || at != (answer == Answer{}) {
				t.Errorf("%s, cut %v: %+v, %v", name, at, answer, err)
			}
		}
	}
}
