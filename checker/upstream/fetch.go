package upstream

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"relcheck/checker/fetch"
)

// fetcher reads files from http, https and file URLs.
type fetcher struct {
	client *http.Client
	own    bool
}

// newFetcher returns a fetcher with the caller's client, or with its own one.
func newFetcher(client *http.Client) *fetcher {
	if client == nil {
		return &fetcher{fetch.NewClient(), true}
	}
	return &fetcher{fetch.WithRedirectRules(client), false}
}

func (f *fetcher) close() {
	if f.own {
		f.client.CloseIdleConnections()
	}
}

// attempts calls f up to three times, as long as it returns temporary errors.
func attempts(ctx context.Context, pause time.Duration, f func() error) error {
	return fetch.Attempts{Pause: pause}.Do(ctx, func() (progress bool, err error) { return false, f() })
}

// get reads a URL, at most limit bytes. The error is [fs.ErrNotExist] if there is no file.
// It does not contain the URL.
func (f *fetcher) get(ctx context.Context, u *url.URL, limit int64) ([]byte, error) {
	if u.Scheme == "file" {
		return readFile(u, limit)
	}
	return fetch.Get(ctx, f.client, u, limit)
}

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
	return fetch.ReadAll(file, limit)
}
