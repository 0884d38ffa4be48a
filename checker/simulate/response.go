package simulate

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http/httputil"
	"strconv"
	"strings"
	"unicode"
)

const (
	// maxResponse is the largest number of bytes that are read of a response. A longer one
	// counts as failed.
	maxResponse = 256 << 10
	// maxErrorText is how many bytes of an error's body are kept.
	maxErrorText = 1 << 10
)

// response holds what the load generator needs to know of an HTTP response.
type response struct {
	status      int
	notRecorded bool // Relcheck-Recorded: no
	close       bool // the server closes the connection after this response
	errorText   string
}

var errNotHTTP = errors.New("the response is not HTTP/1")

// readResponse reads a response to its end. It does not allocate memory for a
// successful response. Of other responses it keeps the start of the body.
func readResponse(r *bufio.Reader) (res response, err error) {
	for res.status < 200 { // an informational response is followed by another one
		if res, err = readOne(r); err != nil {
			return res, err
		}
	}
	return res, nil
}

// framing determines where a body ends.
type framing struct {
	length  int64 // -1 if there is no Content-Length
	chunked bool
}

// readOne reads a response, which may be an informational one (1xx).
func readOne(r *bufio.Reader) (res response, err error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return res, err
	}
	if res.status, err = parseStatusLine(line); err != nil {
		return res, err
	}
	res.close = line[7] == '0' // HTTP/1.0
	body := framing{length: -1}
	for {
		if line, err = r.ReadSlice('\n'); err != nil {
			return res, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		if err := res.parseField(line, &body); err != nil {
			return res, err
		}
	}
	if res.status < 200 || res.status == 204 || res.status == 304 {
		return res, nil
	}
	return res, res.readBody(r, body)
}

// parseStatusLine returns the status code of a line such as "HTTP/1.1 200 OK".
func parseStatusLine(line []byte) (status int, err error) {
	if len(line) < len("HTTP/1.1 200\n") || !bytes.HasPrefix(line, []byte("HTTP/1.")) || line[8] != ' ' {
		return 0, errNotHTTP
	}
	for _, c := range line[9:12] {
		if c < '0' || c > '9' {
			return 0, errNotHTTP
		}
		status = 10*status + int(c-'0')
	}
	if status < 100 || status == 101 { // no request asks to switch protocols
		return 0, errNotHTTP
	}
	return status, nil
}

// parseField interprets a header line.
func (res *response) parseField(line []byte, body *framing) (err error) {
	name, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimSpace(value)
	switch {
	case equalFold(name, "Content-Length"):
		if body.length, err = strconv.ParseInt(string(value), 10, 64); err != nil || body.length < 0 {
			return fmt.Errorf("invalid Content-Length in the response: %q", value)
		}
	case equalFold(name, "Transfer-Encoding"):
		body.chunked = equalFold(value, "chunked")
	case equalFold(name, "Connection"):
		res.close = res.close && !equalFold(value, "keep-alive") || equalFold(value, "close")
	case equalFold(name, "Relcheck-Recorded"):
		res.notRecorded = equalFold(value, "no")
	}
	return nil
}

// equalFold is strings.EqualFold without allocating a string for b.
func equalFold(b []byte, s string) bool { return len(b) == len(s) && strings.EqualFold(string(b), s) }

func (res *response) readBody(r *bufio.Reader, f framing) error {
	var body io.Reader = r
	switch {
	case f.chunked:
		body = httputil.NewChunkedReader(r)
	case f.length >= 0 && res.status < 300:
		_, err := r.Discard(int(min(f.length, maxResponse+1)))
		return err
	case f.length >= 0:
		body = &exactReader{r, f.length}
	default:
		res.close = true
	}
	if res.status >= 300 {
		text, err := io.ReadAll(io.LimitReader(body, maxErrorText))
		if err != nil {
			return err
		}
		res.errorText = singleLine(string(text))
	}
	if _, err := io.Copy(io.Discard, body); err != nil {
		return err
	}
	if f.chunked {
		return skipTrailer(r)
	}
	return nil
}

// exactReader reads n bytes of r. Unlike io.LimitReader, it fails if there are fewer.
type exactReader struct {
	r io.Reader
	n int64
}

func (e *exactReader) Read(p []byte) (int, error) {
	if e.n == 0 {
		return 0, io.EOF
	}
	n, err := e.r.Read(p[:min(int64(len(p)), e.n)])
	if e.n -= int64(n); err == io.EOF && e.n > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// skipTrailer skips the lines after the last chunk, including the empty line at the end.
func skipTrailer(r *bufio.Reader) error {
	for {
		line, err := r.ReadSlice('\n')
		if err != nil || len(bytes.TrimRight(line, "\r\n")) == 0 {
			return err
		}
	}
}

// singleLine replaces unprintable characters and runs of space by single spaces.
func singleLine(s string) string {
	return strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)), " ")
}
