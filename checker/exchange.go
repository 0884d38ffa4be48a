package checker

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
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
	// timeout is the maximum duration of a report, from the DNS lookup to the last byte
	// of the answer.
	timeout = 5 * time.Second
	// maxAnswer is the maximum size of an answer's body, and of its header, in bytes.
	maxAnswer = 64 << 10
	// maxRedirects is the maximum number of redirects of a report.
	maxRedirects = 3
)

// errTimeout is the cause of a context that ends after timeout.
var errTimeout = fmt.Errorf("no answer within %d s", timeout/time.Second)

// processID returns the instance ID. It is generated once per process and never stored.
var processID = sync.OnceValue(uuid.New)

// exchange is the resolved configuration of a Client.
type exchange struct {
	url            *url.URL
	version, agent string
	stateFile      string
	anonymous      bool
	client         *http.Client
	logger         *slog.Logger
}

// exchange resolves the client's defaults. It returns an error if nothing may be sent.
func (c *Client) exchange() (*exchange, error) {
	if reason := c.disabledBy(); reason != "" {
		return nil, fmt.Errorf("%w by %s", ErrDisabled, reason)
	}
	return c.resolve()
}

// resolve resolves the client's defaults, even if the client is disabled.
func (c *Client) resolve() (*exchange, error) {
	u, err := c.endpoint()
	if err != nil {
		return nil, err
	}
	version := cmp.Or(c.Version, buildVersion())
	if !ValidVersion(version) {
		return nil, fmt.Errorf("version %q cannot be reported: use letters, digits and . + _ -, at most %d characters", version, MaxVersion)
	}
	sender := c.Transport
	if sender == nil {
		sender = newTransport(nil)
	}
	return &exchange{
		url:       u,
		version:   version,
		agent:     UserAgent(c.title(), version, cmp.Or(c.Platform, Host())),
		stateFile: c.StateFile,
		anonymous: c.Anonymous,
		logger:    slog.New(slog.DiscardHandler),
		client:    &http.Client{Transport: sender, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
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

// buildVersion returns the version of the main module, or "unknown" if the toolchain
// recorded none. The service cannot compare "unknown" to a release.
func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "unknown"
	}
	return strings.Trim(info.Main.Version, "()") // "(devel)"
}

// report sends one report and returns the checked answer. It holds the lock of the state
// file meanwhile. An error of that file is only logged.
func (e *exchange) report(ctx context.Context) (Answer, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, errTimeout)
	defer cancel()
	state, stateErr := openStateFile(e.stateFile, serviceName(e.url))
	defer state.close()
	answer, err := e.send(ctx, state.last())
	if stateErr == nil {
		stateErr = state.store(answer.Day)
	}
	if stateErr != nil {
		e.logger.Debug("state file not used", "err", stateErr)
	}
	if err != nil {
		if ctx.Err() != nil { // and so the connection was closed
			err = context.Cause(ctx)
		}
		return Answer{}, &exchangeError{*e.url, err}
	}
	return answer, nil
}

// send sends the report and follows redirects.
func (e *exchange) send(ctx context.Context, last Last) (Answer, error) {
	to := e.url
	for range maxRedirects + 1 {
		body, next, err := e.post(ctx, to, last)
		if err != nil {
			return Answer{}, err
		}
		if next == nil {
			return decodeAnswer(body)
		}
		to = next
	}
	return Answer{}, fmt.Errorf("service redirected more than %d times", maxRedirects)
}

// post sends the report to a URL. It returns the body of the answer, or the URL to which
// the service redirects the report.
func (e *exchange) post(ctx context.Context, to *url.URL, last Last) (body []byte, next *url.URL, err error) {
	request, err := e.request(ctx, to, last)
	if err != nil {
		return nil, nil, err
	}
	response, err := e.client.Do(request)
	if err != nil {
		if outer, ok := errors.AsType[*url.Error](err); ok {
			err = outer.Err // without the URL, which may contain a password
		}
		return nil, nil, err
	}
	defer response.Body.Close()
	if next, err = redirectTarget(to, response); next != nil || err != nil {
		return nil, next, err
	}
	if code := response.StatusCode; code != http.StatusOK {
		// The reason phrase comes from the service and is not shown.
		text := strings.TrimSpace(fmt.Sprintf("service answered %d %s", code, http.StatusText(code)))
		if message := errorMessage(response.Body); message != "" {
			text += ": " + message
		} else if code == http.StatusNotFound {
			text += "; the product may not exist there"
		}
		return nil, nil, errors.New(text)
	}
	body, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return nil, nil, fmt.Errorf("read the answer: %w", err)
	}
	if len(body) > maxAnswer {
		return nil, nil, fmt.Errorf("answer is longer than %d KB", maxAnswer>>10)
	}
	return body, nil, nil
}

// errorMessage returns the message of the service's error, or "" if there is none.
func errorMessage(body io.Reader) string {
	var answer struct {
		Error struct{ Message string }
	}
	text, err := io.ReadAll(io.LimitReader(body, maxAnswer))
	if err != nil || json.Unmarshal(text, &answer) != nil {
		return ""
	}
	return answer.Error.Message
}

// request returns the report. The client never sends anything else.
func (e *exchange) request(ctx context.Context, to *url.URL, last Last) (*http.Request, error) {
	heap := heapInUse()
	body, err := json.Marshal(Report{ID: e.instanceID(last), Version: e.version, HeapUsageBytes: &heap, Last: last})
	if err != nil {
		return nil, fmt.Errorf("encode the report: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Close = true // a Transport of the host shall not keep the connection either
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", e.agent)
	return request, nil
}

// instanceID returns the instance ID of a report. An anonymous client has none. The service
// requires one if the client cannot remember: it is then used for that report only.
func (e *exchange) instanceID(last Last) uuid.UUID {
	switch {
	case !e.anonymous:
		return processID()
	case last == CannotRemember:
		return uuid.New()
	}
	return uuid.Nil
}

// heapInUse returns the size of the heap's objects, live or not yet freed, in bytes.
// It equals Alloc of [runtime.MemStats], but reading it does not stop the world.
func heapInUse() int64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return int64(sample[0].Value.Uint64())
}
