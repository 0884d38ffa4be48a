package simulate

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/uuid"

	"relcheck/checker"
	"relcheck/checker/stats"
	"relcheck/checker/stats/fleet"
)

// maxCapture is the size of the largest captured request, in bytes.
const maxCapture = 1 << 20

// Capture is a request that was taken down as it came over the wire.
type Capture struct {
	method, target string
	fields         string // of the header, without those that depend on the connection
	body           []byte
	id             uuid.UUID // in the body; uuid.Nil without one
	at             int       // where it stands there
	build          stats.Build
}

// ReadCapture reads one HTTP/1 request. It need not be a report.
func ReadCapture(r io.Reader) (Capture, error) {
	raw, err := io.ReadAll(io.LimitReader(r, maxCapture+1))
	if err == nil && len(raw) > maxCapture {
		err = errors.New("it is larger than 1 MB")
	}
	if err != nil {
		return Capture{}, err
	}
	request, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		return Capture{}, fmt.Errorf("not an HTTP request, as in POST /v1/version HTTP/1.1: %w", err)
	}
	if request.Method == http.MethodHead || request.Method == http.MethodConnect {
		return Capture{}, fmt.Errorf("%s requests cannot be repeated; GET and POST can", request.Method)
	}
	c := Capture{method: request.Method, target: request.URL.RequestURI()}
	if c.body, err = io.ReadAll(request.Body); err != nil {
		return Capture{}, fmt.Errorf("the body ends early: %w", err)
	}
	c.fields = fields(raw)
	c.build.Version, c.build.Platform = checker.ParseUserAgent(request.UserAgent())
	c.findReport()
	return c, nil
}

// fields returns the header as it stands in a request, in its own order and
// spelling. Whose business it is how long the body is and whether the connection
// stays open knows that better.
func fields(raw []byte) string {
	var kept strings.Builder
	lines := strings.Lines(string(raw))
	first := true
	for line := range lines {
		line = strings.TrimRight(line, "\r\n")
		if line == "" && !first {
			break
		}
		name, _, _ := strings.Cut(line, ":")
		switch strings.ToLower(name) {
		case "host", "connection", "keep-alive", "content-length", "transfer-encoding", "expect", "upgrade", "te", "trailer":
		default:
			if !first {
				kept.WriteString(line + "\r\n")
			}
		}
		first = false
	}
	return kept.String()
}

// findReport finds what a report tells in the body, if it is one.
func (c *Capture) findReport() {
	var told struct{ ID, Version string }
	json.Unmarshal(c.body, &told)
	id, err := uuid.Parse(told.ID)
	at := bytes.Index(c.body, []byte(told.ID))
	if err != nil || len(told.ID) != 36 || at < 0 {
		return
	}
	c.id, c.at = id, at
	c.build.Version, c.build.Platform = told.Version, c.build.Platform.OrOther()
}

// Replay makes requests of captures, without end: instances take turns, and each
// repeats one of the captures. In place of the captured id each has its own,
// unless keep is set.
func Replay(captures []Capture, seed uint64, instances int, keep bool, service *url.URL) iter.Seq[Request] {
	return func(yield func(Request) bool) {
		if len(captures) == 0 {
			return
		}
		heads, first := make([]string, len(captures)), map[uuid.UUID]int64{}
		for i, c := range captures {
			heads[i] = c.head(service)
			if _, known := first[c.id]; !known {
				first[c.id] = int64(i)
			}
		}
		var buffer []byte
		for n := int64(0); ; n = (n + 1) % int64(instances) {
			i := int(n % int64(len(captures)))
			c := &captures[i]
			r := Request{Build: c.build, ID: c.id, Number: first[c.id]}
			buffer = append(append(buffer[:0], heads[i]...), c.body...)
			if c.id != uuid.Nil && !keep {
				r.ID, r.Number = fleet.NewID(rand.New(rand.NewPCG(seed, uint64(n)))), n
				at := len(heads[i]) + c.at
				appendID(buffer[:at], r.ID)
			}
			if r.Bytes = buffer; !yield(r) {
				return
			}
		}
	}
}

// head is what stands before the body when a capture goes to a service.
func (c *Capture) head(service *url.URL) string {
	var b strings.Builder
	path := strings.TrimSuffix(service.EscapedPath(), "/")
	fmt.Fprintf(&b, "%s %s%s HTTP/1.1\r\nHost: %s\r\n%s", c.method, path, c.target, service.Host, c.fields)
	if len(c.body) > 0 || c.method == http.MethodPost || c.method == http.MethodPut {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(c.body))
	}
	b.WriteString("\r\n")
	return b.String()
}
