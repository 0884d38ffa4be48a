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

	"relcheck/checker/stats/fleet"
	"relcheck/checker/stats/rollup"
	"relcheck/checker/useragent"
)

// maxCapture is the size of the largest captured request, in bytes.
const maxCapture = 1 << 20

// Capture is an HTTP request that was captured on the wire.
type Capture struct {
	method, target string
	header         string // lines of the header, without the fields that depend on the connection
	body           []byte
	idOffset       int // of the instance ID in the body; 0 if there is none
	build          rollup.Build
}

// ReadCapture reads an HTTP/1 request, which need not be a report.
func ReadCapture(r io.Reader) (Capture, error) {
	raw, err := io.ReadAll(io.LimitReader(r, maxCapture+1))
	if err == nil && len(raw) > maxCapture {
		err = errors.New("captured request is larger than 1 MB")
	}
	if err != nil {
		return Capture{}, err
	}
	request, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		return Capture{}, fmt.Errorf("not an HTTP request (a request starts with a line such as POST /v1/version HTTP/1.1): %w", err)
	}
	if request.Method == http.MethodHead || request.Method == http.MethodConnect {
		return Capture{}, fmt.Errorf("cannot replay a %s request: use GET or POST", request.Method)
	}
	c := Capture{method: request.Method, target: request.URL.RequestURI()}
	if c.body, err = io.ReadAll(request.Body); err != nil {
		return Capture{}, fmt.Errorf("captured body is incomplete: %w", err)
	}
	c.header = headerLines(raw)
	if version, platform := useragent.Parse(request.UserAgent()); version != "" {
		c.build = rollup.Build{Version: version, Platform: platform}
	}
	c.parseReport(request.UserAgent())
	return c, nil
}

// headerLines returns the header of a request with the order and spelling of its
// fields unchanged. It leaves out the fields that describe the connection or the
// length of the body, because these depend on how the request is sent.
func headerLines(raw []byte) string {
	var kept strings.Builder
	first := true
	for line := range strings.Lines(string(raw)) {
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

// parseReport sets the instance ID and build if the body is a report.
func (c *Capture) parseReport(agent string) {
	var report struct{ ID, Version, OS, Arch string }
	json.Unmarshal(c.body, &report)
	offset := bytes.Index(c.body, []byte(report.ID))
	if uuid.Validate(report.ID) != nil || len(report.ID) != 36 || offset < 0 {
		return
	}
	c.idOffset = offset
	c.build = rollup.Build{Version: report.Version, Platform: useragent.Platform(agent, report.OS, report.Arch)}
}

// Replay generates requests from captures, without end. The instances take turns, and
// each instance repeats one of the captures, with an instance ID of its own.
func Replay(captures []Capture, seed uint64, instances int, service *url.URL) iter.Seq[Request] {
	return func(yield func(Request) bool) {
		if len(captures) == 0 {
			return
		}
		heads := make([]string, len(captures))
		for i, c := range captures {
			heads[i] = c.head(service)
		}
		var buffer []byte
		for n := int64(0); ; n = (n + 1) % int64(instances) {
			i := int(n % int64(len(captures)))
			c := &captures[i]
			r := Request{Build: c.build, Number: n}
			buffer = append(append(buffer[:0], heads[i]...), c.body...)
			if c.idOffset > 0 {
				r.ID = fleet.NewID(rand.New(rand.NewPCG(seed, uint64(n))))
				copy(buffer[len(heads[i])+c.idOffset:], r.ID.String())
			}
			if r.Bytes = buffer; !yield(r) {
				return
			}
		}
	}
}

// head returns the request line and header of a capture for a service.
func (c *Capture) head(service *url.URL) string {
	var b strings.Builder
	path := strings.TrimSuffix(service.EscapedPath(), "/")
	fmt.Fprintf(&b, "%s %s%s HTTP/1.1\r\nHost: %s\r\n%s", c.method, path, c.target, service.Host, c.header)
	if len(c.body) > 0 || c.method == http.MethodPost || c.method == http.MethodPut {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(c.body))
	}
	b.WriteString("\r\n")
	return b.String()
}
