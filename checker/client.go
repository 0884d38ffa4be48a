package checker

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

// ErrDisabled is wrapped by the error of [Client.Check] if reports are disabled by
// [Client.Disabled] or by the environment. Nothing was sent.
var ErrDisabled = errors.New("version reports are disabled")

// ErrNoURL is wrapped by the error of [Client.Check] if the URL of the service is not
// configured. Nothing was sent.
var ErrNoURL = errors.New("no URL of a release service")

// Client reports this program's version to a release service and returns the latest
// release. Only Product is required. A client must not be modified while
// [Client.Check] runs; [Client.Start] works on a copy.
//
// The environment variable DO_NOT_TRACK disables all clients,
// {PRODUCT}_DISABLE_TELEMETRY the clients of one product: by any value except "", "0" and
// "false". A disabled client opens no connection, looks up no name and starts no
// goroutine.
type Client struct {
	// Product is the program's name at the service: "opa". If it is empty, nothing is
	// sent.
	Product string

	// Channel is the channel of the product whose latest release is requested, such as
	// "lts". The default is the product's own.
	Channel string

	// Title is the program's name in the User-Agent header. The default is "Open
	// Policy Agent" for the product opa, and Product for others.
	Title string

	// Version is the running version. The default is the version of the main module
	// that the Go toolchain recorded.
	Version string

	// Platform selects the download in the answer. The default is [Host].
	Platform Platform

	// URL is the base URL of the service. The default is the environment variable
	// {PRODUCT}_TELEMETRY_SERVICE_URL, then DefaultURL.
	//
	// Reports go to /v1/version below it. For products other than opa, /p/{product} is
	// added before that unless URL has it, and for a channel, /p/{product}@{channel}. It
	// makes no difference whether URL ends with /v1/version already.
	URL string

	// DefaultURL is the base URL that users can override by the environment. The
	// default is https://telemetry.openpolicyagent.org for the product opa, and none for others.
	DefaultURL string

	// StateFile is the path of a file that stores the day of the service's last answer.
	// The next report contains that day, and the service counts installations by it,
	// without an identifier. The default is none: then the service counts processes.
	//
	// The file is a short text with a line for each product and service. Its folder must
	// exist; the client also uses the suffixes .lock and .new beside it. All processes of an
	// installation can share it. A client reports as if it had no file if the file is
	// locked, cannot be written, or has other contents. If the file is lost, the
	// installation counts as new once more.
	StateFile string

	// Anonymous omits the instance ID. Reports of an installation then have nothing in
	// common except version, platform and day. A report without the day of StateFile has a
	// random ID of its own, because the service requires one.
	Anonymous bool

	// Disabled disables the client.
	Disabled bool

	// Interval is the minimum time between two reports of Start. The maximum is twice
	// that. The default is one hour.
	Interval time.Duration

	// OnOutdated, if not nil, is called by Start's goroutine for a newer release, once
	// until the service reports another one. It is also called if the running release
	// was withdrawn: then Latest.Withdrawn is true, and the latest release may be older.
	OnOutdated func(Latest)

	// Transport sends the requests. It must respect their context; otherwise neither
	// the timeout nor the end of Start's context stops it. The default uses the proxy
	// from the environment and keeps no idle connections.
	Transport http.RoundTripper

	// Logger logs the results of Start's reports, all at debug level. The default is
	// [slog.Default].
	Logger *slog.Logger
}

// Check sends one report and returns the service's answer, within 5 seconds. Links
// in the answer are removed if they are not http or https URLs, not printable, or
// contain a user name. See [Latest.Outdated] for the verdict.
//
// The text of the error is one line. It does not contain the user name or password
// of the service's URL.
func (c *Client) Check(ctx context.Context) (Answer, error) {
	e, err := c.exchange()
	if err != nil {
		return Answer{}, err
	}
	return e.report(ctx)
}

// Preview returns the request that Check would send now, as it would be sent over
// HTTP/1.1, without sending it. It also works if the client is disabled, and leaves no file
// behind. Credentials in the service's URL are not shown.
func (c *Client) Preview() (string, error) {
	e, err := c.resolve()
	if err != nil {
		return "", err
	}
	request, err := e.request(context.Background(), e.url, peekStateFile(c.StateFile, serviceName(e.url)))
	if err != nil {
		return "", err
	}
	var text strings.Builder
	err = request.Write(&text)
	return text.String(), err
}

// Validate returns an error if Check and Start would send nothing. It wraps
// [ErrDisabled] or [ErrNoURL] if one of these is the reason.
func (c *Client) Validate() error {
	_, err := c.exchange()
	return err
}

// Start reports at once and then at random intervals until ctx ends, in a goroutine
// of its own: it returns immediately. Errors and panics are logged at debug level and
// do not affect the caller.
func (c *Client) Start(ctx context.Context) {
	if c == nil || c.Product == "" || c.disabledBy() != "" || ctx.Err() != nil {
		return
	}
	clone := *c
	go clone.recoverPanic(func() { clone.reportLoop(ctx) })
}

// reportLoop is the goroutine of Start.
func (c *Client) reportLoop(ctx context.Context) {
	e, err := c.exchange()
	if err != nil {
		c.logger().Debug("no version reports", "product", c.Product, "err", err)
		return
	}
	e.logger = c.logger()
	var announced Latest // what was passed to OnOutdated
	for {
		c.recoverPanic(func() { c.reportOnce(ctx, e, &announced) })
		select {
		case <-ctx.Done():
			return
		case <-time.After(nextInterval(c.Interval)):
		}
	}
}

// reportOnce sends one report and calls OnOutdated for a release that was not announced
// yet.
func (c *Client) reportOnce(ctx context.Context, e *exchange, announced *Latest) {
	answer, err := e.report(ctx)
	if err != nil {
		c.logger().Debug("version report failed", "product", c.Product, "err", err)
		return
	}
	latest := answer.Latest
	c.logger().Debug("version reported", "product", c.Product, "latest", latest.LatestRelease)
	if c.OnOutdated == nil || !latest.Outdated(e.version) ||
		latest.LatestRelease == announced.LatestRelease && latest.Withdrawn == announced.Withdrawn {
		return
	}
	*announced = latest // before the call, because it may panic
	c.OnOutdated(latest)
}

// recoverPanic calls f and recovers from its panic. It also recovers from a panic of
// the logger, whose handler belongs to the host.
func (c *Client) recoverPanic(f func()) {
	defer func() {
		if p := recover(); p != nil {
			defer func() { _ = recover() }()
			c.logger().Debug("version report panicked", "product", c.Product, "panic", p)
		}
	}()
	f()
}

func (c *Client) logger() *slog.Logger {
	return cmp.Or(c.Logger, slog.Default())
}

// nextInterval returns a random time in [interval, 2*interval), so that programs that
// start together do not keep reporting together.
func nextInterval(interval time.Duration) time.Duration {
	if interval <= 0 {
		interval = time.Hour
	}
	interval = min(interval, math.MaxInt64/2)
	return interval + rand.N(interval)
}
