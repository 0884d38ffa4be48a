// Package fetch sends requests to upstreams. It bounds their time and their redirects, keeps
// links from leading into a private network, and retries after temporary errors.
package fetch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Patience is the usual time without a received byte after which a request fails.
const Patience = 30 * time.Second

// maxRead limits the time of [Get].
const maxRead = 5 * time.Minute

// Do sends a request. It returns responses of any status. The request fails if no byte
// arrives for a time, also while the body is read. The error is [Temporary] if another
// attempt may succeed. It does not contain the URL, which may include a password.
func Do(client *http.Client, req *http.Request, patience time.Duration) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	b := &body{ctx: ctx, cancel: cancel, patience: patience}
	b.timer = time.AfterFunc(patience, func() {
		cancel(fmt.Errorf("the connection has stalled: nothing has arrived for %v", patience))
	})
	resp, err := client.Do(req.WithContext(ctx))
	b.timer.Stop()
	if err == nil {
		b.ReadCloser, resp.Body = resp.Body, b
		return resp, nil
	}
	defer cancel(nil)
	if refused := new(RefusedError); errors.As(err, &refused) {
		return nil, refused
	}
	return nil, Temporary{Err: cmp.Or(context.Cause(ctx), WithoutURL(err))}
}

// body is the body of a response. Only the time of its own reads counts as time without a
// received byte, because the caller may pause.
type body struct {
	io.ReadCloser
	ctx      context.Context
	cancel   context.CancelCauseFunc
	timer    *time.Timer
	patience time.Duration
}

func (b *body) Read(p []byte) (int, error) {
	b.timer.Reset(b.patience)
	n, err := b.ReadCloser.Read(p)
	b.timer.Stop()
	if err != nil && err != io.EOF {
		err = Temporary{Err: cmp.Or(context.Cause(b.ctx), err)}
	}
	return n, err
}

func (b *body) Close() error {
	b.timer.Stop()
	defer b.cancel(nil)
	return b.ReadCloser.Close()
}

// Get reads a URL, at most limit bytes. The error is [fs.ErrNotExist] if the server reports
// that there is no file. See also [Do].
func Get(ctx context.Context, client *http.Client, u *url.URL, limit int64) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, maxRead, fmt.Errorf("the response takes longer than %v", maxRead))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, WithoutURL(err)
	}
	resp, err := Do(client, req, Patience)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if err := Check(resp); err != nil {
		return nil, err
	}
	return ReadAll(resp.Body, limit)
}

// Check returns an error if the status of a response is not 200, or if its end cannot be
// detected. The error is [Temporary] or a [StatusError].
func Check(resp *http.Response) error {
	status := StatusError(resp.StatusCode)
	wait, _ := RetryAfter(resp.Header, time.Now())
	switch {
	case status.Temporary() && wait > maxPause:
		return fmt.Errorf("%w: the server asks to try again in %v", status, wait)
	case status.Temporary():
		return Temporary{status, wait}
	case status != http.StatusOK:
		return status
	case !Delimited(resp):
		return errNoLength
	}
	return nil
}

// errNoLength is returned for a response that ends when its connection does: a list of
// versions or a go.mod file that was cut between two lines would look complete.
var errNoLength = errors.New("the response has no length, so truncation cannot be detected: " +
	"configure the proxy to send Content-Length or chunked responses")

// Delimited reports whether reading a truncated response body returns an error.
func Delimited(r *http.Response) bool {
	return r.ContentLength >= 0 || r.Uncompressed || r.ProtoMajor >= 2 || slices.Contains(r.TransferEncoding, "chunked")
}

// StatusError is an HTTP status other than 200.
type StatusError int

func (s StatusError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("status %d %s", int(s), http.StatusText(int(s))))
}

func (s StatusError) Is(target error) bool {
	return target == fs.ErrNotExist && (s == http.StatusNotFound || s == http.StatusGone)
}

// Temporary reports whether another attempt may succeed.
func (s StatusError) Temporary() bool { return s == http.StatusTooManyRequests || s >= 500 }

// RetryAfter returns the time in the header Retry-After, which is a number of seconds or a
// date. It reports false if there is none.
func RetryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	const maxSeconds = 1 << 31
	text := h.Get("Retry-After")
	if seconds, err := strconv.Atoi(text); err == nil {
		return time.Duration(min(seconds, maxSeconds)) * time.Second, seconds >= 0
	}
	at, err := http.ParseTime(text)
	return max(at.Sub(now), 0), err == nil
}

// ErrTooLong is wrapped by errors about responses that exceed a limit.
var ErrTooLong = errors.New("response is too long")

// ReadAll reads at most limit bytes.
func ReadAll(r io.Reader, limit int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(body)) > limit {
		return nil, fmt.Errorf("%w: over %d KB", ErrTooLong, limit>>10)
	}
	return body, err
}

// WithoutURL removes the URL from an error, because it may contain a user name.
func WithoutURL(err error) error {
	var with *url.Error
	if errors.As(err, &with) {
		return with.Err
	}
	return err
}
