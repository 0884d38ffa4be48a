package mirror

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gofrs/flock"
	"golang.org/x/time/rate"
)

// MaxSize is the maximum size of a file, in bytes.
const MaxSize = 64 << 30

// Source describes a file to fetch.
type Source struct {
	URL  string
	Size int64 // in bytes; 0 if unknown
	Digests
}

// Fetcher downloads files into a folder.
type Fetcher struct {
	Folder *Folder

	// Client sends the requests. Its Timeout must be 0, because large files take long.
	Client *http.Client

	// Speed limits the bytes per second of all downloads together; nil is unlimited.
	Speed *rate.Limiter

	// Tries is the maximum number of attempts in a row without progress; 0 means 5.
	Tries int

	// Stalled is the maximum time without a received byte; 0 means a minute.
	Stalled time.Duration

	// Pause is the time before the second attempt in a row. It doubles each time, up to a
	// minute; 0 means a second.
	Pause time.Duration
}

// Fetch downloads a file, unless the folder contains it. If a checksum is known, Fetch
// continues the download of an earlier process. It retries after temporary errors, and
// calls progress with the number of bytes received so far. The error wraps [ErrMismatch] if
// the content is not the expected one, and [fs.ErrNotExist] if the server does not have the
// file.
func (f *Fetcher) Fetch(ctx context.Context, from Source, progress func(size int64)) (Content, error) {
	if c, ok := f.Folder.find(from.Digests); ok {
		return c, nil
	}
	key := from.key()
	unlock, err := f.Folder.lock(ctx, key)
	if err != nil {
		return Content{}, err
	}
	defer unlock()
	if c, ok := f.Folder.find(from.Digests); ok { // another process has fetched it
		return c, nil
	}
	p, err := f.Folder.openPartial(key, from.Known())
	if err != nil {
		return Content{}, err
	}
	defer p.file.Close()
	c, err := f.complete(ctx, p, from, progress)
	if errors.Is(err, ErrMismatch) || errors.Is(err, syscall.ENOSPC) { // the partial file is useless, or its space is needed
		f.Folder.root.Remove(p.name)
	}
	return c, err
}

// complete downloads the rest of a partial file and publishes it.
func (f *Fetcher) complete(ctx context.Context, p *partial, from Source, progress func(int64)) (Content, error) {
	resumed := p.size > 0
	tries := 0
	for {
		before := p.size
		err := f.attempt(ctx, p, from, progress)
		if err == nil {
			c, err := p.publish(ctx, from.Digests)
			if errors.Is(err, ErrMismatch) && resumed { // the parts may be of different files
				resumed = false
				if err := p.restart(); err != nil {
					return c, err
				}
				continue
			}
			return c, err
		}
		passing := new(passingError)
		if !errors.As(err, &passing) || ctx.Err() != nil {
			return Content{}, err
		}
		if tries++; p.size > before {
			tries = 0
		}
		if tries >= cmp.Or(f.Tries, 5) {
			return Content{}, err
		}
		resumed = resumed || p.size > 0
		select {
		case <-ctx.Done():
			return Content{}, context.Cause(ctx)
		case <-time.After(cmp.Or(passing.after, min(cmp.Or(f.Pause, time.Second)<<max(tries-1, 0), maxWait))):
		}
	}
}

// maxWait is the maximum time between two attempts. If a server asks for a longer wait, the
// fetch fails.
const maxWait = time.Minute

// passingError is a temporary error: another attempt may succeed.
type passingError struct {
	error
	after time.Duration // wait that the server asks for, or 0
}

func (e *passingError) Unwrap() error { return e.error }

// attempt sends one request for the rest of the partial file.
func (f *Fetcher) attempt(ctx context.Context, p *partial, from Source, progress func(int64)) error {
	if p.size > 0 && p.size == from.Size {
		return nil
	}
	if p.validator == "" && !from.Known() || from.Size > 0 && p.size > from.Size {
		if err := p.restart(); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	patience := cmp.Or(f.Stalled, time.Minute)
	stalled := time.AfterFunc(patience, func() {
		cancel(fmt.Errorf("the download has stalled for %v", patience))
	})
	defer stalled.Stop()
	resp, err := f.request(ctx, p, from.URL)
	if err != nil {
		return &passingError{error: cmp.Or(context.Cause(ctx), err)}
	}
	defer resp.Body.Close()
	if err := p.begin(resp, from); err != nil {
		return err
	}
	body := &meteredReader{ctx, resp.Body, f.Speed, func() { stalled.Reset(patience) }}
	for err == nil {
		if err = p.append(body); progress != nil {
			progress(p.size)
		}
		if limit := cmp.Or(from.Size, MaxSize); p.size > limit {
			return fmt.Errorf("%w: the file is larger than %d bytes", ErrMismatch, limit)
		}
	}
	switch writing := new(fs.PathError); {
	case err == io.EOF && from.Size > 0 && p.size < from.Size:
		return &passingError{error: fmt.Errorf("%w: the file has %d of %d bytes", ErrMismatch, p.size, from.Size)}
	case err == io.EOF:
		return nil
	case errors.As(err, &writing):
		return err
	}
	return &passingError{error: cmp.Or(context.Cause(ctx), err)}
}

// request requests the rest of the partial file.
func (f *Fetcher) request(ctx context.Context, p *partial, link string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, link, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept-Encoding", "identity") // a range of a compressed response is useless
	if p.size > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", p.size))
		if p.validator != "" {
			req.Header.Set("If-Range", p.validator)
		}
	}
	resp, err := f.Client.Do(req)
	if with := new(url.Error); errors.As(err, &with) { // the URL may contain a user name
		err = with.Err
	}
	return resp, err
}

// begin prepares the partial file for the body of a response.
func (p *partial) begin(resp *http.Response, from Source) error {
	switch {
	case resp.StatusCode == http.StatusPartialContent && startsAt(resp, p.size):
		return nil
	case resp.StatusCode == http.StatusPartialContent, resp.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		if err := p.restart(); err != nil {
			return err
		}
		return &passingError{error: fmt.Errorf("the server does not continue the download: status %d", resp.StatusCode)}
	case resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode >= 500:
		err := fmt.Errorf("status %s", resp.Status)
		after, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		if wait := time.Duration(after) * time.Second; wait > maxWait {
			return fmt.Errorf("%w: the server asks to try again in %v", err, wait)
		} else {
			return &passingError{err, wait}
		}
	case resp.StatusCode == http.StatusNotFound, resp.StatusCode == http.StatusGone:
		return fmt.Errorf("status %s: %w", resp.Status, fs.ErrNotExist)
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("status %s", resp.Status)
	}
	if err := checkResponse(resp, from); err != nil {
		return err
	}
	if err := p.restart(); err != nil {
		return err
	}
	p.validator = validator(resp)
	return nil
}

// checkResponse returns an error if a response cannot be the file.
func checkResponse(resp *http.Response, from Source) error {
	n := resp.ContentLength
	switch kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); {
	case from.Size > 0 && n >= 0 && n != from.Size:
		return fmt.Errorf("%w: the file has %d bytes, want %d", ErrMismatch, n, from.Size)
	case n > MaxSize:
		return fmt.Errorf("the file has %d bytes, more than %d", n, int64(MaxSize))
	case n < 0 && !from.Known() && resp.ProtoMajor < 2 && !slices.Contains(resp.TransferEncoding, "chunked"):
		return errors.New("the response has no length and the file no checksum, so truncation cannot be detected")
	case kind == "text/html" && !from.Known() && !strings.Contains(path.Ext(resp.Request.URL.Path), "htm"):
		return errors.New("the response is a web page, for example a sign-in page")
	}
	return nil
}

// startsAt reports whether a partial response starts at an offset.
func startsAt(resp *http.Response, offset int64) bool {
	return offset > 0 && strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", offset))
}

// validator returns a value for If-Range, or "". Weak ETags cannot be used for ranges (RFC
// 9110, section 13.1.5).
func validator(resp *http.Response) string {
	if tag := resp.Header.Get("ETag"); tag != "" && !strings.HasPrefix(tag, "W/") {
		return tag
	}
	return ""
}

// meteredReader reads a body at a limited speed.
type meteredReader struct {
	ctx     context.Context
	body    io.Reader
	speed   *rate.Limiter
	arrived func()
}

func (m *meteredReader) Read(p []byte) (int, error) {
	if m.speed != nil {
		p = p[:min(len(p), m.speed.Burst())]
	}
	n, err := m.body.Read(p)
	if n > 0 && m.speed != nil {
		if err := m.speed.WaitN(m.ctx, n); err != nil {
			return 0, err
		}
	}
	m.arrived()
	return n, err
}

// key identifies a source among partial files.
func (s Source) key() string {
	sum := sha256.Sum256([]byte(s.URL + "\n" + s.SHA256 + "\n" + s.SHA512))
	return hex.EncodeToString(sum[:])
}

// find returns the content with an expected SHA-256.
func (f *Folder) find(want Digests) (c Content, ok bool) {
	if !isSum(want.SHA256) {
		return c, false
	}
	info, err := f.root.Lstat(contentPath(want.SHA256))
	if err != nil || !info.Mode().IsRegular() {
		return c, false
	}
	return Content{want.SHA256, info.Size()}, true
}

// lock waits until no other process fetches the same source. The 256 lock files are never
// removed. Otherwise two processes could lock two different files of the same name.
func (f *Folder) lock(ctx context.Context, key string) (unlock func(), err error) {
	l := flock.New(filepath.Join(f.path, locks, key[:2]), flock.SetFlag(os.O_CREATE|os.O_RDWR)) // NFS requires a file that can be written
	if _, err := l.TryLockContext(ctx, 200*time.Millisecond); err != nil {
		return nil, fmt.Errorf("wait for another download of the file: %w", err)
	}
	return func() { l.Close() }, nil
}

// partial is an incomplete file.
type partial struct {
	folder    *Folder
	name      string
	file      *os.File
	size      int64
	validator string // of the response that the content is from; empty if another process received it
	buffer    []byte
}

// openPartial opens the partial file of a key, which must be locked. If the content cannot
// be verified, it empties the file, because the file may contain anything after a power
// failure.
func (f *Folder) openPartial(key string, verifiable bool) (*partial, error) {
	p := &partial{folder: f, name: path.Join(partials, key), buffer: make([]byte, 256<<10)}
	flags := os.O_RDWR | os.O_CREATE
	if !verifiable {
		flags |= os.O_TRUNC
	}
	var err error
	if p.file, err = f.root.OpenFile(p.name, flags, 0o644); err != nil {
		return nil, err
	}
	if p.size, err = p.file.Seek(0, io.SeekEnd); err != nil {
		return nil, errors.Join(err, p.file.Close())
	}
	return p, nil
}

// restart empties the file.
func (p *partial) restart() error {
	p.size, p.validator = 0, ""
	if err := p.file.Truncate(0); err != nil {
		return err
	}
	_, err := p.file.Seek(0, io.SeekStart)
	return err
}

// append reads once from r and writes the result. The error is io.EOF at the end.
func (p *partial) append(r io.Reader) error {
	n, err := r.Read(p.buffer)
	written, writeErr := p.file.Write(p.buffer[:n])
	p.size += int64(written)
	return cmp.Or(writeErr, err)
}

// publish verifies the complete file and gives it its final name.
func (p *partial) publish(ctx context.Context, want Digests) (c Content, err error) {
	if _, err := p.file.Seek(0, io.SeekStart); err != nil {
		return c, err
	}
	sums := newSums(want)
	if c.Size, err = io.CopyBuffer(sums, contextReader{ctx, p.file, nil}, p.buffer); err != nil {
		return c, err
	}
	if c.SHA256, err = sums.check(want); err != nil {
		return c, err
	}
	return c, p.folder.publish(p.file, p.name, c.SHA256)
}
