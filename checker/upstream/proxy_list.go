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

// DefaultList returns the list of proxies that this machine uses: $GOPROXY, or else the
// setting of the go command.
func DefaultList(ctx context.Context) (string, error) {
	if list := strings.TrimSpace(os.Getenv("GOPROXY")); list != "" {
		return list, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "env", "GOPROXY")
	cmd.Dir = os.TempDir()                              // independent of a go.mod in the current folder
	cmd.Env = append(os.Environ(), "GOTOOLCHAIN=local") // do not download another Go for this
	out, err := cmd.Output()
	if list := strings.TrimSpace(string(out)); err == nil && list != "" {
		return list, nil
	}
	if ctx.Err() != nil {
		return "", fmt.Errorf("run go env GOPROXY: %w", context.Cause(ctx))
	}
	return "", errors.New("no Go module proxy is configured: set GOPROXY to its URL, such as https://goproxy.example.com")
}

// moduleProxy is an entry of a list: a URL, "direct" or "off".
type moduleProxy struct {
	base     *url.URL // nil for a word
	word     string
	anyError bool // go on with the next entry after any error
}

// parseList parses a list in the syntax of GOPROXY as the go command does. Its errors do
// not contain an invalid URL, which may include a password.
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
		return nil, errors.New("GOPROXY contains no proxy: set it to the URL of one, such as https://goproxy.example.com")
	}
	return proxies, nil
}

func parseAddress(entry string) (*url.URL, error) {
	// As in the go command, https is the default scheme.
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
	return nil, errors.New("not an http, https or file URL: enter one such as https://goproxy.example.com or file:///srv/goproxy")
}

// moduleReader reads the files of one module from the proxies of a list.
type moduleReader struct {
	path, escaped string
	proxies       []moduleProxy
	fetch         *fetcher
	pause         time.Duration
	mods          map[string][]byte // go.mod files by version
}

// get reads a file of the module's "@v" folder, with up to three attempts after
// transient errors. from is the index of the proxy that has the file.
func (r *moduleReader) get(ctx context.Context, name, ext string, limit int64) (body []byte, from int, err error) {
	escaped, err := module.EscapeVersion(name)
	if err != nil {
		return nil, 0, err
	}
	err = attempts(ctx, r.pause, func() error {
		body, from, err = r.tryAll(ctx, r.escaped+"/@v/"+escaped+ext, limit)
		return err
	})
	return body, from, err
}

// tryAll requests a file from one proxy after the other, by the rules of the list.
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
		return nil, errors.New(`the list ends in "direct", but relcheck reads only from proxies: set GOPROXY to one that has the module`)
	}
	body, err := r.fetch.get(ctx, p.base.JoinPath(file), limit)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", address(p.base), err)
	}
	return body, nil
}

// unavailable is the errors of all proxies that were tried.
type unavailable []error

func (u unavailable) Unwrap() []error { return u }

// missing reports whether all proxies reported that there is no such file.
func (u unavailable) missing() bool {
	return !slices.ContainsFunc(u, func(err error) bool { return !errors.Is(err, fs.ErrNotExist) })
}

func (u unavailable) Error() string {
	return strings.ReplaceAll(errors.Join(u...).Error(), "\n", "; ")
}

// address formats a URL without user, password and query.
func address(u *url.URL) string {
	shown := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	return shown.String()
}
