package upstream

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"relcheck/checker/catalog"
	"relcheck/checker/fetch"
	"relcheck/checker/printable"
)

// readRelcheck reads the export of a product of another relcheck.
func (r *Reader) readRelcheck(ctx context.Context, from Source, etag string) (list catalog.List, newETag string, err error) {
	u, err := exportURL(from.URL)
	if err != nil {
		return list, "", err
	}
	f := newFetcher(r.Client)
	defer f.close()
	err = attempts(ctx, r.pause, func() error {
		list, newETag, err = r.requestExport(ctx, f, u, from, etag)
		return err
	})
	return list, newETag, err
}

// exportURL returns the URL of the export of a product. The product's address ends in
// /p/NAME.
func exportURL(product string) (*url.URL, error) {
	u, err := url.Parse(product)
	if err != nil {
		return nil, errors.New("the URL is invalid")
	}
	dir, name := path.Split(u.Path)
	u.Path, u.RawPath = strings.TrimSuffix(dir, "/p/"), ""
	return u.JoinPath("api/v1/products", name, "export"), nil
}

func (r *Reader) requestExport(ctx context.Context, f *fetcher, u *url.URL, from Source, etag string) (list catalog.List, newETag string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return list, "", fetch.WithoutURL(err)
	}
	if token := r.token(u.String()); token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if etag != "" {
		req.Header.Set("If-None-Match", etag)
	}
	resp, err := fetch.Do(f.client, req, fetch.Patience)
	if err != nil {
		return list, "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotModified && etag != "" {
		return list, etag, ErrUnchanged
	}
	if err := exportRefusal(resp, u.Host); err != nil {
		return list, "", err
	}
	list, err = readExport(resp.Body, func(n int) { from.Progress(printable.Count(int64(n), "release")) })
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = fetch.Temporary{Err: err}
	}
	return list, resp.Header.Get("ETag"), err
}

// exportRefusal returns an error about a response that is not an export.
func exportRefusal(resp *http.Response, host string) error {
	err := fetch.Check(resp)
	if err == nil {
		return nil
	}
	var body struct {
		Error struct {
			Code string `json:"code"`
		} `json:"error"`
	}
	text, _ := fetch.ReadAll(resp.Body, 64<<10)
	json.Unmarshal(text, &body, lenient)
	switch {
	case resp.StatusCode == http.StatusUnauthorized:
		return fmt.Errorf("%w: add a line %s TOKEN to the file of --token-file; relcheck token add creates a token there", err, host)
	case body.Error.Code == "unknown_product":
		return fmt.Errorf("%w: that relcheck has no such product", err)
	case resp.StatusCode == http.StatusNotFound:
		return fmt.Errorf("%w: check the address; the server must be a relcheck of this version or later", err)
	}
	return err
}

// readExport reads the output of [WriteExport] release by release, so that only the list
// needs memory. It calls progress with the number of releases.
func readExport(r io.Reader, progress func(n int)) (list catalog.List, err error) {
	limited := &io.LimitedReader{R: r, N: maxFile}
	buffered := bufio.NewReaderSize(limited, 64<<10)
	start, _ := buffered.Peek(1)
	start = bytes.Clone(start)
	d := jsontext.NewDecoder(buffered, lenient)
	l := newListReader(exportForm)
	defer func() {
		if err != nil && limited.N <= 0 {
			err = fmt.Errorf("%w: over %d MB", fetch.ErrTooLong, maxFile>>20)
		}
		if err != nil {
			err = syntaxError(start, err)
		}
	}()
	if err := expect(d, '{'); err != nil {
		return list, err
	}
	for d.PeekKind() != '}' {
		key, err := d.ReadToken()
		if err != nil {
			return list, err
		}
		switch key.String() {
		case "relcheck_export":
			if version, err := d.ReadValue(); err != nil || string(version) != "1" {
				return list, fmt.Errorf("version %s of the export format is not 1: upgrade this relcheck", quote(string(version)))
			}
		case "product":
			err = json.UnmarshalDecode(d, &l.settings)
		case "releases":
			err = l.readArray(d, progress)
		default:
			err = d.SkipValue()
		}
		if err != nil {
			return list, err
		}
	}
	if err := expect(d, '}'); err != nil {
		return list, err
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) { // a compressed response has a checksum at its end
		return list, cmp.Or(err, errors.New("text follows the export"))
	}
	return l.list()
}

// readArray reads an array of releases.
func (l *listReader) readArray(d *jsontext.Decoder, progress func(n int)) error {
	if err := expect(d, '['); err != nil {
		return err
	}
	for d.PeekKind() != ']' {
		raw, err := d.ReadValue()
		if err != nil {
			return err
		}
		if l.add(raw); l.entries > maxReleases {
			return fmt.Errorf("more than %d releases", maxReleases)
		}
		if l.entries%100 == 0 {
			progress(l.entries)
		}
	}
	return expect(d, ']')
}

// expect reads a token of a kind.
func expect(d *jsontext.Decoder, kind jsontext.Kind) error {
	token, err := d.ReadToken()
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	if err == nil && token.Kind() != kind {
		err = errors.New("the response is not an export of relcheck: check the address")
	}
	return err
}
