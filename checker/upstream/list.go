package upstream

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/module"
)

// DefaultList returns the list of proxies that this machine uses: $GOPROXY, or
// what the go command says where there is one. Without either it is an error
// that tells to set GOPROXY.
func DefaultList(ctx context.Context) (string, error) {
	if list := strings.TrimSpace(os.Getenv("GOPROXY")); list != "" {
		return list, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "env", "GOPROXY")
	cmd.Dir = os.TempDir()                              // a go.mod around here is none of our business
	cmd.Env = append(os.Environ(), "GOTOOLCHAIN=local") // download no other Go to answer this
	out, err := cmd.Output()
	if list := strings.TrimSpace(string(out)); err == nil && list != "" {
		return list, nil
	}
	if ctx.Err() != nil {
		return "", fmt.Errorf("ask the go command for GOPROXY: %w", context.Cause(ctx))
	}
	return "", errors.New("no Go module proxy is known; set GOPROXY to its address: https://goproxy.example.com")
}

// moduleProxy is an entry of a list: an address, or "direct" or "off".
type moduleProxy struct {
	base     *url.URL // nil for a word
	word     string
	anyError bool // go on with the next entry after any error
}

// parseList reads the syntax of GOPROXY as the go command does. Its errors do
// not repeat an address that cannot be read: there may be a password in it.
func parseList(list string) ([]moduleProxy, error) {
	var proxies []moduleProxy
	for rest, n := list, 1; rest != ""; n++ {
		entry, anyError := rest, false
		if i := strings.IndexAny(rest, ",|"); i >= 0 {
			entry, anyError, rest = rest[:i], rest[i] == '|', rest[i+1:]
		} else {
			rest = ""
		}
		entry = strings.TrimSpace(entry)
		if entry == "" {
			continue
		}
		if entry == "direct" || entry == "off" {
			proxies = append(proxies, moduleProxy{word: entry})
			break // by definition the end of the list
		}
		base, err := parseAddress(entry)
		if err != nil {
			return nil, fmt.Errorf("entry %d of the list of module proxies: %w", n, err)
		}
		proxies = append(proxies, moduleProxy{base: base, anyError: anyError})
	}
	if len(proxies) == 0 {
		return nil, errors.New("GOPROXY names no proxy; set it to the address of one: https://goproxy.example.com")
	}
	return proxies, nil
}

func parseAddress(entry string) (*url.URL, error) {
	// Like the go command: what looks like an address and lacks a scheme means https.
	if strings.ContainsAny(entry, ".:/") && !strings.Contains(entry, ":/") && !filepath.IsAbs(entry) && !path.IsAbs(entry) {
		entry = "https://" + entry
	}
	u, err := url.Parse(entry)
	switch {
	case err != nil:
	case (u.Scheme == "http" || u.Scheme == "https") && u.Host != "":
		return u, nil
	case u.Scheme == "file" && *u == url.URL{Scheme: "file", Path: u.Path, RawPath: u.RawPath} && path.IsAbs(u.Path):
		return u, nil
	}
	return nil, errors.New("not an http, https or file address; write it as https://goproxy.example.com or file:///srv/goproxy")
}

// moduleReader asks the proxies of a list about one module.
type moduleReader struct {
	path    string // escaped
	proxies []moduleProxy
	fetch   *fetcher
	pause   time.Duration
}

func (r *moduleReader) close() { r.fetch.close() }

// get reads a file of the module's "@v" folder, in three attempts if that may
// help, and tells which of the proxies had it.
func (r *moduleReader) get(ctx context.Context, name, ext string, limit int64) (body []byte, from int, err error) {
	escaped, err := module.EscapeVersion(name)
	if err != nil {
		return nil, 0, err
	}
	pause := r.pause
	for attempt := 1; ; attempt++ {
		body, from, err := r.tryAll(ctx, r.path+"/@v/"+escaped+ext, limit)
		var passing transient
		if err == nil || attempt == 3 || !errors.As(err, &passing) {
			return body, from, err
		}
		select {
		case <-ctx.Done():
			return nil, 0, context.Cause(ctx)
		case <-time.After(pause):
			pause *= 4
		}
	}
}

// tryAll asks one proxy after the other, as the list says.
func (r *moduleReader) tryAll(ctx context.Context, file string, limit int64) (body []byte, from int, err error) {
	var failed unavailable
	for i, p := range r.proxies {
		body, err := r.ask(ctx, p, file, limit)
		if err == nil {
			return body, i, nil
		}
		failed = append(failed, err)
		if !p.anyError && !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return nil, 0, failed
}

func (r *moduleReader) ask(ctx context.Context, p moduleProxy, file string, limit int64) ([]byte, error) {
	switch p.word {
	case "off":
		return nil, errors.New(`the list ends in "off"`)
	case "direct":
		return nil, errors.New(`the list ends in "direct", but only proxies are read; set GOPROXY to one that has the module`)
	}
	body, err := r.fetch.get(ctx, p.base.JoinPath(file), limit)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", address(p.base), err)
	}
	return body, nil
}

// unavailable holds what each proxy said that was asked in vain.
type unavailable []error

func (u unavailable) Unwrap() []error { return u }

// missing reports whether all of them said that there is nothing.
func (u unavailable) missing() bool {
	return !slices.ContainsFunc(u, func(err error) bool { return !errors.Is(err, fs.ErrNotExist) })
}

func (u unavailable) Error() string {
	texts := make([]string, len(u))
	for i, err := range u {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

// address shows a URL without what may be secret in it.
func address(u *url.URL) string {
	shown := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	return shown.String()
}
