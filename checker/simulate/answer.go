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

	"relcheck/checker/printable"
)

const (
	// maxAnswer is how many bytes of an answer are read. Longer ones count as none.
	maxAnswer = 256 << 10
	// maxText is how much of an error's text is kept.
	maxText = 1 << 10
)

// answer is what a service said to a request.
type answer struct {
	status     int
	unrecorded bool // Relcheck-Recorded: no
	last       bool // the connection ends with it
	text       string
}

var errNotHTTP = errors.New("the answer is not HTTP/1")

// readAnswer reads one answer to its end, without leaving anything behind for
// the garbage collector if all is well. Of an error it keeps the text.
func readAnswer(r *bufio.Reader) (a answer, err error) {
	for a.status < 200 { // the others are followed by another one
		if a, err = readHead(r); err != nil {
			return a, err
		}
	}
	return a, nil
}

// framing is how the end of a body is found.
type framing struct {
	length  int64 // -1 if it is not told
	chunked bool
}

func readHead(r *bufio.Reader) (a answer, err error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return a, err
	}
	if a.status, err = parseStatus(line); err != nil {
		return a, err
	}
	a.last = line[7] == '0' // HTTP/1.0
	body := framing{length: -1}
	for {
		if line, err = r.ReadSlice('\n'); err != nil {
			return a, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		if err := a.field(line, &body); err != nil {
			return a, err
		}
	}
	if a.status < 200 || a.status == 204 || a.status == 304 {
		return a, nil
	}
	return a, a.readBody(r, body)
}

// parseStatus reads HTTP/1.1 200 OK.
func parseStatus(line []byte) (status int, err error) {
	if len(line) < len("HTTP/1.1 200\n") || !bytes.HasPrefix(line, []byte("HTTP/1.")) || line[8] != ' ' {
		return 0, errNotHTTP
	}
	for _, c := range line[9:12] {
		if c < '0' || c > '9' {
			return 0, errNotHTTP
		}
		status = 10*status + int(c-'0')
	}
	if status < 100 || status == 101 { // nothing asks to switch protocols
		return 0, errNotHTTP
	}
	return status, nil
}

// field reads a line of the header.
func (a *answer) field(line []byte, body *framing) (err error) {
	name, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimSpace(value)
	switch {
	case equalFold(name, "Content-Length"):
		if body.length, err = strconv.ParseInt(string(value), 10, 64); err != nil || body.length < 0 {
			return fmt.Errorf("the answer has a Content-Length of %q", value)
		}
	case equalFold(name, "Transfer-Encoding"):
		body.chunked = equalFold(value, "chunked")
	case equalFold(name, "Connection"):
		a.last = a.last && !equalFold(value, "keep-alive") || equalFold(value, "close")
	case equalFold(name, "Relcheck-Recorded"):
		a.unrecorded = equalFold(value, "no")
	}
	return nil
}

// equalFold compares without making a string of b.
func equalFold(b []byte, s string) bool { return len(b) == len(s) && strings.EqualFold(string(b), s) }

func (a *answer) readBody(r *bufio.Reader, body framing) error {
	var from io.Reader = r
	switch {
	case body.chunked:
		from = httputil.NewChunkedReader(r)
	case body.length >= 0 && a.status < 300:
		_, err := r.Discard(int(min(body.length, maxAnswer+1)))
		return err
	case body.length >= 0:
		from = &exactly{r, body.length}
	default:
		a.last = true
	}
	if a.status >= 300 {
		text, err := io.ReadAll(io.LimitReader(from, maxText))
		if err != nil {
			return err
		}
		a.text = printable.Clean(string(text))
	}
	if _, err := io.Copy(io.Discard, from); err != nil {
		return err
	}
	if body.chunked {
		return skipTrailer(r)
	}
	return nil
}

// exactly reads n bytes, and fails where there are fewer.
type exactly struct {
	r io.Reader
	n int64
}

func (e *exactly) Read(p []byte) (int, error) {
	if e.n == 0 {
		return 0, io.EOF
	}
	n, err := e.r.Read(p[:min(int64(len(p)), e.n)])
	if e.n -= int64(n); err == io.EOF && e.n > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// skipTrailer passes over what stands behind the last chunk, up to an empty line.
func skipTrailer(r *bufio.Reader) error {
	for {
		line, err := r.ReadSlice('\n')
		if err != nil || len(bytes.TrimRight(line, "\r\n")) == 0 {
			return err
		}
	}
}
