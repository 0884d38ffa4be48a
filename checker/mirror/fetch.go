package mirror

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"path"
	"strings"
	"syscall"
	"time"

	"golang.org/x/time/rate"

	"relcheck/checker/catalog"
	"relcheck/checker/fetch"
)

// MaxSize is the maximum size of a file, in bytes.
const MaxSize = 64 << 30

// Fetcher downloads files into a folder.
type Fetcher struct {
	Folder *Folder

	// Client sends the requests; see [fetch.NewClient]. Its Timeout must be 0, because large
	// files take long.
	Client *http.Client

	// Speed limits the bytes per second of all downloads together; nil is unlimited.
	Speed *rate.Limiter

	// Reserve, if not nil, returns an error if the folder must not grow by a number of
	// bytes. Fetch calls it before a download and repeatedly while it lasts.
	Reserve func(size int64) error

	// Tries is the maximum number of attempts in a row without progress; 0 means 5.
	Tries int

	// Stalled is the maximum time without a received byte; 0 means a minute.
	Stalled time.Duration

	// Pause is the time before the second attempt in a row; see [fetch.Attempts].
	Pause time.Duration
}

// Fetch downloads a file, unless the folder contains it. If a checksum is known, Fetch
// continues the download of an earlier process. It retries after temporary errors, and
// calls progress with the number of bytes received so far. The error wraps [ErrMismatch] if
// the content is not the expected one, and [fs.ErrNotExist] if the server does not have the
// file.
func (f *Fetcher) Fetch(ctx context.Context, from catalog.File, progress func(size int64)) (Content, error) {
	if c, ok := f.Folder.find(ctx, from); ok {
		return c, nil
	}
	key := keyOf(from)
	unlock, err := f.Folder.lock(ctx, key)
	if err != nil {
		return Content{}, err
	}
	defer unlock()
	if c, ok := f.Folder.find(ctx, from); ok { // another process has fetched it
		return c, nil
	}
	p, err := f.Folder.openPartial(key, from.HasChecksum())
	if err != nil {
		return Content{}, err
	}
	defer p.file.Close()
	c, err := f.complete(ctx, p, from, progress)
	if useless := errors.Is(err, ErrMismatch); useless || errors.Is(err, ErrFull) || errors.Is(err, syscall.ENOSPC) { // or its space is needed
		f.Folder.root.Remove(p.name)
	}
	return c, err
}

// complete downloads the rest of a partial file and publishes it.
func (f *Fetcher) complete(ctx context.Context, p *partial, from catalog.File, progress func(int64)) (c Content, err error) {
	resumed := p.size > 0
	attempts := fetch.Attempts{Max: cmp.Or(f.Tries, 5), Pause: f.Pause}
	err = attempts.Do(ctx, func() (bool, error) {
		before := p.size
		if err := f.attempt(ctx, p, from, progress); err != nil {
			resumed = resumed || p.size > 0
			return p.size > before, err
		}
		c, err = p.publish(ctx, from)
		if errors.Is(err, ErrMismatch) && resumed { // the parts may be of different files
			resumed = false
			return true, cmp.Or(p.restart(), error(fetch.Temporary{Err: err}))
		}
		return true, err
	})
	return c, err
}

// ErrFull is wrapped by errors of [Fetcher.Reserve].
var ErrFull = errors.New("not enough free space")

// reserve checks the free space for the rest of a download. The size may be unknown.
func (f *Fetcher) reserve(p *partial, size int64) error {
	if f.Reserve == nil {
		return nil
	}
	return f.Reserve(max(size-p.size, 0))
}

// reserveEvery is the number of bytes after which the free space is checked again.
const reserveEvery = 64 << 20

// attempt sends one request for the rest of the partial file.
func (f *Fetcher) attempt(ctx context.Context, p *partial, from catalog.File, progress func(int64)) error {
	if p.size > 0 && p.size == from.Size {
		return nil
	}
	if p.validator == "" && !from.HasChecksum() || from.Size > 0 && p.size > from.Size {
		if err := p.restart(); err != nil {
			return err
		}
	}
	resp, err := f.request(ctx, p, from.URL)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := p.begin(resp, from); err != nil {
		return err
	}
	size := cmp.Or(from.Size, p.size+resp.ContentLength)
	body := contextReader{ctx, resp.Body, f.Speed}
	for checked := int64(-reserveEvery); err == nil; {
		if p.size-checked >= reserveEvery {
			checked = p.size
			if err := f.reserve(p, size); err != nil {
				return err
			}
		}
		if err = p.append(body); progress != nil {
			progress(p.size)
		}
		if limit := cmp.Or(from.Size, MaxSize); p.size > limit {
			return fmt.Errorf("%w: the file is larger than %d bytes", ErrMismatch, limit)
		}
	}
	switch {
	case err == io.EOF && from.Size > 0 && p.size < from.Size:
		return fetch.Temporary{Err: fmt.Errorf("%w: the file has %d of %d bytes", ErrMismatch, p.size, from.Size)}
	case err == io.EOF:
		return nil
	}
	return err
}

// request requests the rest of the partial file.
func (f *Fetcher) request(ctx context.Context, p *partial, link string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, link, nil)
	if err != nil {
		return nil, fetch.WithoutURL(err)
	}
	req.Header.Set("Accept-Encoding", "identity") // a range of a compressed response is useless
	if p.size > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", p.size))
		if p.validator != "" {
			req.Header.Set("If-Range", p.validator)
		}
	}
	return fetch.Do(f.Client, req, cmp.Or(f.Stalled, time.Minute))
}

// begin prepares the partial file for the body of a response.
func (p *partial) begin(resp *http.Response, from catalog.File) error {
	switch {
	case resp.StatusCode == http.StatusPartialContent && startsAt(resp, p.size):
		return nil
	case resp.StatusCode == http.StatusPartialContent, resp.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		if err := p.restart(); err != nil {
			return err
		}
		return fetch.Temporary{Err: fmt.Errorf("the server does not continue the download: status %d", resp.StatusCode)}
	}
	if err := fetch.Check(resp); err != nil && resp.StatusCode != http.StatusOK {
		return err
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
func checkResponse(resp *http.Response, from catalog.File) error {
	n := resp.ContentLength
	switch kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); {
	case from.Size > 0 && n >= 0 && n != from.Size:
		return fmt.Errorf("%w: the file has %d bytes, want %d", ErrMismatch, n, from.Size)
	case n > MaxSize:
		return fmt.Errorf("the file has %d bytes, more than %d", n, int64(MaxSize))
	case !from.HasChecksum() && !fetch.Delimited(resp):
		return errors.New("the response has no length and the file no checksum, so truncation cannot be detected")
	case kind == "text/html" && !from.HasChecksum() && !strings.Contains(path.Ext(resp.Request.URL.Path), "htm"):
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

// keyOf identifies a file among partial files.
func keyOf(f catalog.File) string {
	sum := sha256.Sum256([]byte(f.URL + "\n" + f.SHA256 + "\n" + f.SHA512))
	return hex.EncodeToString(sum[:])
}

// find returns the content of a source with a known SHA-256. It reads and verifies content
// whose size is not the expected one: a power failure may have truncated it.
func (f *Folder) find(ctx context.Context, from catalog.File) (c Content, ok bool) {
	info, err := f.Stat(from.SHA256)
	if err != nil || !info.Mode().IsRegular() {
		return c, false
	}
	if info.Size() != from.Size && f.Verify(ctx, from.SHA256) != nil {
		return c, false
	}
	return Content{from.SHA256, info.Size()}, true
}

// lock waits until no other process fetches the same source. Lock files are never removed.
// Otherwise two processes could lock two different files of the same name. Sources that
// share one of the 65,536 names wait for each other.
func (f *Folder) lock(ctx context.Context, key string) (unlock func(), err error) {
	l := f.lockFile(key[:4])
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
func (p *partial) publish(ctx context.Context, want catalog.File) (c Content, err error) {
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
