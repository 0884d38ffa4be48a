package upstream

import "net/http"

// NewClient returns a client for downloads. It follows redirects by the rules of
// [Proxy.Client]. It has no time limit for a whole request, because files may be large.
func NewClient() *http.Client {
	return &http.Client{
		Transport:     &http.Transport{Proxy: proxyFromEnvironment, MaxIdleConnsPerHost: maxConcurrent, ForceAttemptHTTP2: true, MaxResponseHeaderBytes: 64 << 10},
		CheckRedirect: checkRedirect,
	}
}
