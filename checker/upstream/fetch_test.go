package upstream

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
)

func TestRedirects(t *testing.T) {
	good := files{}.mod("example.com/x", "module example.com/x", "v1.0.0")
	file, plain := good.write(t), good.serve(t)
	var requests atomic.Int32
	redirectTo := func(base string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			requests.Add(1)
			http.Redirect(w, r, base+r.URL.Path, http.StatusFound)
		})
	}
	secure := httptest.NewTLSServer(redirectTo(plain))
	defer secure.Close()
	loop := start(t, redirectTo(""))
	tests := []struct {
		name, from string
		client     *http.Client
		want       string
	}{
		{"to another host", start(t, redirectTo(plain)), nil, ""},
		{"within the private network", start(t, redirectTo(strings.Replace(plain, "127.0.0.1", "localhost", 1))), nil, ""},
		{"to a file", start(t, redirectTo(file)), nil, `redirected from http to "file"`},
		{"from https to http", secure.URL, secure.Client(), `redirected from https to "http"`},
		{"from a public address to a private one", "http://203.0.113.1", clientOf(start(t, redirectTo(plain))), "redirected into a private network, to "},
		{"from a public address to a private name", "http://203.0.113.1", clientOf(start(t, redirectTo("http://localhost:1"))), "redirected into a private network"},
		{"without end", loop, nil, "redirected more than 5 times"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			requests.Store(0)
			p := quick(test.from)
			p.Client = test.client
			releases, err := entries(t.Context(), p, "example.com/x")
			switch {
			case test.want == "" && (err != nil || len(releases) != 1):
				t.Errorf("got %d releases, error %v, want 1 and no error", len(releases), err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("got error %v, want %q", err, test.want)
			case requests.Load() > 6:
				t.Errorf("got %d requests, want at most 6: a refused redirect is not retried", requests.Load())
			}
		})
	}
}

// clientOf returns a client that connects to one server, whatever the address.
func clientOf(server string) *http.Client {
	u, _ := url.Parse(server)
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, u.Host)
	}}}
}

func TestClientIsNotModified(t *testing.T) {
	client := new(http.Client)
	newFetcher(client)
	if client.CheckRedirect != nil {
		t.Error("newFetcher set CheckRedirect of its argument")
	}
}

// TestTruncatedList checks that a list of versions that ends between server lines, at half
// of the response, is an error, however the response is delimited.
func TestTruncatedList(t *testing.T) {
	const list = "v1.0.0\nv1.1.0\n"
	half := len(list) / 2
	for name, test := range map[string]struct{ response, want string }{
		"until close": {"HTTP/1.1 200 OK\r\n\r\n" + list[:half], "has no length"},
		"HTTP/1.0":    {"HTTP/1.0 200 OK\r\n\r\n" + list[:half], "has no length"},
		"length":      {fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(list), list[:half]), "unexpected EOF"},
		"chunks":      {fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", half, list[:half]), "unexpected EOF"},
	} {
		server := start(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			io.WriteString(conn, test.response)
		}))
		releases, err := entries(t.Context(), quick(server), "example.com/x")
		if err == nil || !strings.Contains(err.Error(), test.want) || releases != nil {
			t.Errorf("%s: got %v, error %v, want error %q", name, releases, err, test.want)
		}
	}
}

// TestResponseWithoutLength checks that a response without a Content-Length is read if
// its end is marked in another way.
func TestResponseWithoutLength(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") && r.ProtoMajor == 1 {
			w.Header().Set("Content-Encoding", "gzip")
			compressed := gzip.NewWriter(w)
			defer compressed.Close()
			io.WriteString(compressed, "v1.0.0\n")
			return
		}
		io.WriteString(w, "v1.0.0\n")
		w.(http.Flusher).Flush() // no Content-Length
	})
	server := httptest.NewUnstartedServer(handler)
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	for name, f := range map[string]struct {
		client *http.Client
		url    string
	}{
		"chunks": {&http.Client{Transport: &http.Transport{DisableCompression: true}}, start(t, handler)},
		"gzip":   {nil, start(t, handler)},
		"HTTP/2": {server.Client(), server.URL},
	} {
		u, _ := url.Parse(f.url)
		fetch := newFetcher(f.client)
		defer fetch.close()
		if body, err := fetch.get(t.Context(), u, 100); err != nil || string(body) != "v1.0.0\n" {
			t.Errorf("%s: got body %q, error %v, want v1.0.0", name, body, err)
		}
	}
}
