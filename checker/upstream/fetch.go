package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// fetcher reads files from http, https and file addresses.
type fetcher struct {
	client *http.Client
	own    *http.Transport // to be closed; nil if it is the caller's
}

func newFetcher(client *http.Client) *fetcher {
	f := new(fetcher)
	if client == nil {
		f.own = &http.Transport{Proxy: proxyFromEnvironment, MaxIdleConnsPerHost: atOnce, ForceAttemptHTTP2: true, MaxResponseHeaderBytes: 64 << 10}
		client = &http.Client{Transport: f.own, Timeout: 30 * time.Second}
	}
	bounded := *client
	if bounded.CheckRedirect == nil {
		bounded.CheckRedirect = checkRedirect
	}
	f.client = &bounded
	return f
}

// proxyFromEnvironment keeps an HTTP proxy's password out of errors.
func proxyFromEnvironment(r *http.Request) (*url.URL, error) {
	u, err := http.ProxyFromEnvironment(r)
	if err != nil {
		return nil, errors.New("HTTP_PROXY or HTTPS_PROXY is not the URL of a proxy")
	}
	return u, nil
}

func (f *fetcher) close() {
	if f.own != nil {
		f.own.CloseIdleConnections()
	}
}

// transient marks an error that another attempt may not meet.
type transient struct{ error }

func (t transient) Unwrap() error { return t.error }

// get reads what is at a URL, at most limit bytes. The error is a
// [fs.ErrNotExist] if it says that there is nothing. It does not repeat the URL.
func (f *fetcher) get(ctx context.Context, u *url.URL, limit int64) ([]byte, error) {
	if u.Scheme == "file" {
		return readFile(u, limit)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, withoutURL(err)
	}
	resp, err := f.client.Do(req)
	if err != nil {
		if refused := new(redirectError); errors.As(err, &refused) {
			return nil, refused
		}
		return nil, transient{withoutURL(err)}
	}
	defer resp.Body.Close()
	if status := statusError(resp.StatusCode); status.passing() {
		return nil, transient{status}
	} else if status != http.StatusOK {
		return nil, status
	}
	if !delimited(resp) {
		return nil, errNoLength
	}
	body, err := readAll(resp.Body, limit)
	if errors.Is(err, errTooLong) {
		return nil, err
	}
	if err != nil {
		return nil, transient{err}
	}
	return body, nil
}

// errNoLength refuses an answer that ends with its connection. A list of versions,
// or a go.mod, that was cut between two lines would look whole.
var errNoLength = errors.New("the answer has no length, so that one that was cut short would pass for a whole one; " +
	"have the proxy send Content-Length or chunks")

// delimited reports whether a cut in a response's body is an error when it is read.
func delimited(r *http.Response) bool {
	return r.ContentLength >= 0 || r.Uncompressed || r.ProtoMajor >= 2 || slices.Contains(r.TransferEncoding, "chunked")
}

// statusError is an HTTP status other than 200.
type statusError int

func (s statusError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("status %d %s", int(s), http.StatusText(int(s))))
}

func (s statusError) Is(target error) bool {
	return target == fs.ErrNotExist && (s == http.StatusNotFound || s == http.StatusGone)
}

func (s statusError) passing() bool { return s == http.StatusTooManyRequests || s >= 500 }

func readFile(u *url.URL, limit int64) ([]byte, error) {
	name := filepath.FromSlash(u.Path)
	if runtime.GOOS == "windows" {
		name = strings.TrimPrefix(name, `\`) // file:///C:/goproxy
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return readAll(file, limit)
}

var errTooLong = errors.New("the answer is too long")

func readAll(r io.Reader, limit int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(body)) > limit {
		return nil, fmt.Errorf("%w: over %d KB", errTooLong, limit>>10)
	}
	return body, err
}

// withoutURL takes the URL out of an error: there may be a name in it.
func withoutURL(err error) error {
	var with *url.Error
	if errors.As(err, &with) {
		return with.Err
	}
	return err
}

// redirectError tells why a redirect was not followed.
type redirectError struct{ reason string }

func (e *redirectError) Error() string { return e.reason }

// checkRedirect follows redirects, as proxies that keep files elsewhere need,
// but not to where a stranger could send us for things that only we can reach:
// from a public address into a private network. A proxy that is itself in the
// private network may redirect there.
func checkRedirect(next *http.Request, via []*http.Request) error {
	first, last := via[0].URL, via[len(via)-1].URL
	switch to := next.URL; {
	case len(via) > 5:
		return &redirectError{"redirected more than 5 times"}
	case to.Scheme != "https" && to.Scheme != last.Scheme:
		return &redirectError{fmt.Sprintf("redirected from %s to %s", last.Scheme, quote(to.Scheme))}
	case to.Hostname() != first.Hostname() && private(next.Context(), to.Hostname()) && !private(next.Context(), first.Hostname()):
		return &redirectError{fmt.Sprintf("redirected into a private network, to %s; if that is right, set GOPROXY to that address", quote(to.Host))}
	}
	return nil
}

// carrierGrade is the range that networks behind a provider share, and that
// some clouds give to services for their own machines.
var carrierGrade = netip.MustParsePrefix("100.64.0.0/10")

// private reports whether a host has an address that is not for the public. A
// name that cannot be resolved here is one that only an HTTP proxy can reach,
// which has its own rules.
func private(ctx context.Context, host string) bool {
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return false
	}
	for _, a := range addresses {
		a = a.Unmap()
		if !a.IsGlobalUnicast() || a.IsPrivate() || carrierGrade.Contains(a) {
			return true
		}
	}
	return false
}
