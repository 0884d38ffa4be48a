package checker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

const (
	// timeout bounds a report from the look-up of the service's name to the
	// last byte of the answer.
	timeout = 5 * time.Second
	// maxAnswer is the size of the longest answer that is read, in bytes, and
	// also that of its header.
	maxAnswer = 64 << 10
	// maxRedirects bounds how often a report is sent elsewhere on its host.
	maxRedirects = 3
)

// errTimeout is the cause of an exchange's end when timeout has passed.
var errTimeout = fmt.Errorf("no answer within %d s", timeout/time.Second)

// processID is drawn once a process and kept nowhere else.
var processID = sync.OnceValue(uuid.New)

// exchange is a Client whose defaults are filled in.
type exchange struct {
	url            *url.URL
	version, agent string
	client         *http.Client
}

// exchange fills in the client's defaults. It fails where nothing may be sent.
func (c *Client) exchange() (*exchange, error) {
	if reason := c.off(); reason != "" {
		return nil, fmt.Errorf("%w by %s", ErrDisabled, reason)
	}
	u, err := c.endpoint()
	if err != nil {
		return nil, err
	}
	version := c.Version
	if version == "" {
		version = buildVersion()
	}
	if !ValidVersion(version) {
		return nil, fmt.Errorf("version %q cannot be reported: use letters, digits and . + _ -, at most %d of them", version, MaxVersion)
	}
	sender := c.Transport
	if sender == nil {
		sender = newTransport(nil)
	}
	return &exchange{
		url:     u,
		version: version,
		agent:   UserAgent(c.title(), version, c.platform()),
		client:  &http.Client{Transport: sender, CheckRedirect: checkRedirect},
	}, nil
}

func (c *Client) title() string {
	switch {
	case c.Title != "":
		return c.Title
	case c.Product == opa:
		return opaTitle
	}
	return c.Product
}

func (c *Client) platform() Platform {
	if c.Platform == (Platform{}) {
		return Host()
	}
	return c.Platform
}

// buildVersion is the main module's version. Where the toolchain recorded none
// it is a word that may stand in a report, but that no release is compared to.
func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "unknown"
	}
	return strings.Trim(info.Main.Version, "()") // "(devel)"
}

// ask sends one report and returns the answer, if it is fit to be shown.
func (e *exchange) ask(ctx context.Context) (Answer, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, errTimeout)
	defer cancel()
	answer, err := e.send(ctx)
	if err != nil {
		if ctx.Err() != nil { // and the connection was closed for that
			err = context.Cause(ctx)
		}
		return Answer{}, &exchangeError{*e.url, err}
	}
	return answer, nil
}

func (e *exchange) send(ctx context.Context) (Answer, error) {
	request, err := e.request(ctx)
	if err != nil {
		return Answer{}, err
	}
	response, err := e.client.Do(request)
	if err != nil {
		if outer, ok := errors.AsType[*url.Error](err); ok {
			err = outer.Err // without the address and what is secret in it
		}
		return Answer{}, err
	}
	defer response.Body.Close()
	if code := response.StatusCode; code != http.StatusOK {
		// The text beside the code is the service's; it is not repeated.
		text := strings.TrimSpace(fmt.Sprintf("service answered %d %s", code, http.StatusText(code)))
		if code == http.StatusNotFound {
			text += "; it may not know the product"
		}
		return Answer{}, errors.New(text)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return Answer{}, fmt.Errorf("read the answer: %w", err)
	}
	if len(body) > maxAnswer {
		return Answer{}, fmt.Errorf("answer is longer than %d KB; a release service's is not", maxAnswer>>10)
	}
	return accept(body, e.version)
}

// request builds the report. What it sends is all that is ever sent.
func (e *exchange) request(ctx context.Context) (*http.Request, error) {
	heap := heapInUse()
	body, err := json.Marshal(Report{ID: processID(), Version: e.version, HeapUsageBytes: &heap})
	if err != nil {
		return nil, fmt.Errorf("encode the report: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Close = true // a Transport of the host's keeps no connection for us either
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", e.agent)
	return request, nil
}

// heapInUse returns the bytes of live and not yet freed heap objects. It is
// what runtime.MemStats calls Alloc, but reading it does not stop the host.
func heapInUse() int64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return int64(sample[0].Value.Uint64())
}
