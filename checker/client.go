package checker

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"time"
)

// ErrDisabled is what [Client.Check] returns, wrapped, when reports are
// switched off: by [Client.Disabled] or by the environment. Nothing was sent.
var ErrDisabled = errors.New("version reports are switched off")

// ErrNoURL is what [Client.Check] returns, wrapped, when nothing says where the
// service is. Nothing was sent.
var ErrNoURL = errors.New("no address of a release service")

// Client reports this program's version to a release service and learns from it
// the latest release. Every field but Product may be left at its zero value. A
// client must not be changed while [Client.Check] runs; [Client.Start] works on
// a copy.
//
// The environment variables DO_NOT_TRACK and {PRODUCT}_DISABLE_TELEMETRY switch
// every client off, or those of one product. Any value but "", "0" and "false"
// does. A client that is off opens no connection, looks up no name and starts
// no goroutine.
type Client struct {
	// Product is the name under which the service knows this program: "opa".
	// Without one nothing is sent.
	Product string

	// Title is what the User-Agent header calls the program. The default is
	// "Open Policy Agent" for the product opa, and Product for all others.
	Title string

	// Version is the running version. The default is that of the main module,
	// as the Go toolchain recorded it.
	Version string

	// Platform is what the service picks a download for. The default is [Host].
	Platform Platform

	// URL is the base address of the service. The default is the environment's
	// {PRODUCT}_TELEMETRY_SERVICE_URL, then DefaultURL.
	//
	// Reports go to /v1/version below it. A service speaks for products other
	// than opa under /p/{product}, which is added where the address lacks it.
	URL string

	// DefaultURL is the base address that users may override. The default is
	// https://telemetry.openpolicyagent.org for the product opa, and none for
	// all others.
	DefaultURL string

	// Disabled switches the client off.
	Disabled bool

	// Interval is the shortest time between two reports of Start; the longest
	// is twice that. The default is one hour.
	Interval time.Duration

	// OnOutdated, if not nil, is called by Start's goroutine when a newer
	// release becomes known: once for a release, not with every answer.
	OnOutdated func(Latest)

	// Transport sends the requests. It must heed their context, or neither the
	// time limit nor the end of Start's context stops it. The default takes its
	// proxy from the environment and leaves no connection behind.
	Transport http.RoundTripper

	// Logger is told, at debug level and no other, how the reports of Start
	// fare. The default is [slog.Default].
	Logger *slog.Logger
}

// Check sends one report and returns the service's answer. It takes 5 seconds
// at most. Links that are not http or https URLs, not fit for a terminal, or have
// a user name in them are left out of the answer. [Latest.Outdated] judges it.
//
// The error's text is a single line. It names neither the user nor the password
// that the service's address may hold.
func (c *Client) Check(ctx context.Context) (Answer, error) {
	e, err := c.exchange()
	if err != nil {
		return Answer{}, err
	}
	return e.ask(ctx)
}

// Validate returns the error for which neither Check nor Start would send
// anything, or nil. It wraps [ErrDisabled] or [ErrNoURL] where that is why.
func (c *Client) Validate() error {
	_, err := c.exchange()
	return err
}

// Start reports at once and then at random intervals, until ctx ends. It
// returns without waiting for any of that. What goes wrong is logged at debug
// level and otherwise kept from the host, panics included.
func (c *Client) Start(ctx context.Context) {
	if c == nil || c.Product == "" || c.off() != "" || ctx.Err() != nil {
		return
	}
	own := *c
	go own.guard(func() { own.run(ctx) })
}

// run is the one goroutine of Start.
func (c *Client) run(ctx context.Context) {
	e, err := c.exchange()
	if err != nil {
		c.logger().Debug("no version reports", "product", c.Product, "err", err)
		return
	}
	var told string // the release that OnOutdated heard of last
	for {
		c.guard(func() { c.report(ctx, e, &told) })
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause(c.Interval)):
		}
	}
}

// report sends one report and tells the host of a release it has not told yet.
func (c *Client) report(ctx context.Context, e *exchange, told *string) {
	answer, err := e.ask(ctx)
	if err != nil {
		c.logger().Debug("version report failed", "product", c.Product, "err", err)
		return
	}
	latest := answer.Latest
	c.logger().Debug("version reported", "product", c.Product, "latest", latest.LatestRelease)
	if c.OnOutdated == nil || !latest.Outdated(e.version) || latest.LatestRelease == *told {
		return
	}
	*told = latest.LatestRelease // first, for the call may panic
	c.OnOutdated(latest)
}

// guard calls f and outlives its panic. The log is no safer than the rest: its
// handler is the host's too.
func (c *Client) guard(f func()) {
	defer func() {
		if p := recover(); p != nil {
			defer func() { _ = recover() }()
			c.logger().Debug("version report panicked", "product", c.Product, "panic", p)
		}
	}()
	f()
}

func (c *Client) logger() *slog.Logger {
	if c.Logger != nil {
		return c.Logger
	}
	return slog.Default()
}

// pause draws the time until the next report from [interval, 2*interval), so
// that programs which start together do not report together for ever.
func pause(interval time.Duration) time.Duration {
	if interval <= 0 {
		interval = time.Hour
	}
	interval = min(interval, math.MaxInt64/2)
	return interval + rand.N(interval)
}
