package systemtest

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// gateway is a reverse proxy with TLS in front of the server under test. Clients reach it
// at its URL. It is also an HTTP proxy that leads every host to itself, for clients whose
// host is fixed.
type gateway struct {
	*httptest.Server
	target string // host and port of the server under test
	ca     string // file with the certificate that clients must trust

	mu     sync.Mutex
	change *change
}

// change is a change of responses: a control, with which a test must fail.
type change struct {
	path    string // part of the path of the requests
	header  string // the header that is changed; "" for the body
	pattern string // a regular expression
	text    string // its replacement
	made    int    // number of responses changed
}

// newGateway starts a gateway, with a certificate for names. Its target is set later.
func newGateway(t *testing.T, names ...string) *gateway {
	t.Helper()
	pair := newKeyPair(t, 24, names...)
	certificate, err := tls.X509KeyPair(pair.cert, pair.key)
	g := &gateway{ca: filepath.Join(t.TempDir(), "ca.pem")}
	if err == nil {
		err = os.WriteFile(g.ca, pair.cert, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	g.Server = httptest.NewUnstartedServer(&httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL.Scheme, p.Out.URL.Host, p.Out.Host = "http", g.target, p.In.Host
			p.Out.Header.Set("X-Forwarded-Proto", "https")
			if g.changes(p.In.URL.Path) != nil {
				p.Out.Header.Set("Accept-Encoding", "identity")
			}
		},
		ModifyResponse: g.modify,
	})
	proxy := g.Config.Handler
	g.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodConnect {
			g.connect(w)
			return
		}
		proxy.ServeHTTP(w, r)
	})
	g.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	g.StartTLS()
	t.Cleanup(g.Close)
	return g
}

// connect connects a client of the HTTP proxy to the gateway itself.
func (g *gateway) connect(w http.ResponseWriter) {
	up, err := net.Dial("tcp", g.Listener.Addr().String())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.WriteHeader(http.StatusOK)
	down, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		up.Close()
		return
	}
	go func() {
		io.Copy(up, buffered)
		up.Close()
	}()
	io.Copy(down, up)
	down.Close()
}

// changes returns the change of responses for a path, or nil.
func (g *gateway) changes(path string) *change {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.change == nil || !strings.Contains(path, g.change.path) {
		return nil
	}
	return g.change
}

// modify makes the change in a response.
func (g *gateway) modify(res *http.Response) error {
	c := g.changes(res.Request.URL.Path)
	if c == nil {
		return nil
	}
	pattern := regexp.MustCompile(c.pattern)
	if c.header != "" {
		if old := res.Header.Get(c.header); pattern.MatchString(old) {
			res.Header.Set(c.header, pattern.ReplaceAllString(old, c.text))
			c.made++
		}
		return nil
	}
	old, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil {
		return err
	}
	changed := pattern.ReplaceAll(old, []byte(c.text))
	if !bytes.Equal(changed, old) {
		c.made++
	}
	res.Body = io.NopCloser(bytes.NewReader(changed))
	res.ContentLength = int64(len(changed))
	res.Header.Set("Content-Length", strconv.Itoa(len(changed)))
	return nil
}

// with runs f while the gateway makes a change.
func (g *gateway) with(t *testing.T, c change, f func()) {
	t.Helper()
	set := func(c *change) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.change = c
	}
	set(&c)
	f()
	set(nil)
	if c.made == 0 {
		t.Errorf("control: no response for %s has %s, which it should change", c.path, c.pattern)
	}
}
