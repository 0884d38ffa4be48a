package upstream

import (
	"cmp"
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

// fetcher reads files from http, https and file URLs.
type fetcher struct {
	client *http.Client
	own    *http.Transport // to close; nil if the client is the caller's
}

func newFetcher(client *http.Client) *fetcher {
	f := new(fetcher)
	if client == nil {
		f.own = newTransport()
		client = &http.Client{Transport: f.own, Timeout: 30 * time.Second}
	}
	bounded := *client
	if bounded.CheckRedirect == nil {
		bounded.CheckRedirect = checkRedirect
	}
	f.client = &bounded
	return f
}

func newTransport() *http.Transport {
	return &http.Transport{Proxy: proxyFromEnvironment, MaxIdleConnsPerHost: maxConcurrent, ForceAttemptHTTP2: true, MaxResponseHeaderBytes: 64 << 10}
}

// proxyFromEnvironment keeps an HTTP proxy's password out of errors.
func proxyFromEnvironment(r *http.Request) (*url.URL, error) {
	u, err := http.ProxyFromEnvironment(r)
	if err != nil {
		return nil, errors.New("invalid proxy URL in HTTP_PROXY or HTTPS_PROXY")
	}
	return u, nil
}

func (f *fetcher) close() {
	if f.own != nil {
		f.own.CloseIdleConnections()
	}
}

// transient is an error after which another attempt may succeed.
type transient struct{ error }

func (t transient) Unwrap() error { return t.error }

// attempts calls f up to three times, as long as f returns temporary errors.
func attempts(ctx context.Context, pause time.Duration, f func() error) (err error) {
	pause = cmp.Or(pause, time.Second/2)
	for attempt := 1; ; attempt++ {
		passing := transient{}
		if err = f(); attempt == 3 || !errors.As(err, &passing) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
			pause *= 4
		}
	}
}

// get reads a URL, at most limit bytes. The error is [fs.ErrNotExist] if the server
// reports that there is no file. It does not contain the URL.
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

// errNoLength is returned for a response that ends when its connection does: a list of
// versions or a go.mod file that was cut between two lines would look complete.
var errNoLength = errors.New("the response has no length, so truncation cannot be detected: " +
	"configure the proxy to send Content-Length or chunked responses")

// delimited reports whether reading a truncated response body returns an error.
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

var errTooLong = errors.New("response is too long")

func readAll(r io.Reader, limit int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(body)) > limit {
		return nil, fmt.Errorf("%w: over %d KB", errTooLong, limit>>10)
	}
	return body, err
}

// withoutURL removes the URL from an error, because it may contain a user name.
func withoutURL(err error) error {
	var with *url.Error
	if errors.As(err, &with) {
		return with.Err
	}
	return err
}

// redirectError is the reason why a redirect was not followed.
type redirectError struct{ reason string }

func (e *redirectError) Error() string { return e.reason }

// checkRedirect allows redirects, because proxies may keep files elsewhere, but not from a
// public address into a private network: a stranger could use them to reach hosts that only
// this machine can reach. A proxy in a private network may redirect within it. A token is
// sent to the first server only. By default, package net/http would also send it to other
// ports and to subdomains.
func checkRedirect(next *http.Request, via []*http.Request) error {
	first, last := via[0].URL, via[len(via)-1].URL
	if next.URL.Scheme != first.Scheme || next.URL.Host != first.Host {
		next.Header.Del("Authorization")
	}
	switch to := next.URL; {
	case len(via) > 5:
		return &redirectError{"redirected more than 5 times"}
	case to.Scheme != "https" && to.Scheme != last.Scheme:
		return &redirectError{fmt.Sprintf("redirected from %s to %s", last.Scheme, quote(to.Scheme))}
	case to.Hostname() != first.Hostname() && private(next.Context(), to.Hostname()) && !private(next.Context(), first.Hostname()):
		return &redirectError{fmt.Sprintf("redirected into a private network, to %s: if that is intended, use that address", quote(to.Host))}
	}
	return nil
}

// carrierGrade is the range for shared address space of providers, which some clouds
// use for internal services.
var carrierGrade = netip.MustParsePrefix("100.64.0.0/10")

// private reports whether a host has an address that is not public. A name that cannot
// be resolved is reachable only through an HTTP proxy, which has its own rules.
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
