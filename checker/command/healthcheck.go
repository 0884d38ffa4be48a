package command

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// healthTimeout limits the wait for the answer of the service.
const healthTimeout = 5 * time.Second

func healthcheckCommand(streams IO) *cobra.Command {
	var listen string
	var certs []string
	c := &cobra.Command{
		Use:   "healthcheck",
		Short: "Check that the service on this machine can record reports.",
		Long: `Check that the service on this machine can record reports. The exit status is 0 if it answers
/readyz with 200, and otherwise 1, as containers expect it.

The flags are those of relcheck serve. If the environment sets them for both, none is needed.`,
		Example: `  relcheck healthcheck
  relcheck healthcheck --listen :8443 --tls-cert /etc/relcheck/cert.pem`,
		Annotations: map[string]string{onlyFailed: "true"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			address, err := healthURL(listen, len(certs) > 0)
			if err != nil {
				return err
			}
			return streams.done(checkHealth(cmd.Context(), address), "%s: ready", address)
		},
	}
	listenFlag(c, &listen)
	c.Flags().StringArrayVar(&certs, "tls-cert", nil, "PEM `file` with the certificate of the service, which then uses HTTPS; the file is not read")
	return c
}

// healthURL returns the URL of the health of a service that listens on an address.
func healthURL(listen string, secure bool) (string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", fmt.Errorf("--listen: %w: give the address of relcheck serve --listen", err)
	}
	u := url.URL{Scheme: "http", Host: net.JoinHostPort(reachable(host), port), Path: "/readyz"}
	if secure {
		u.Scheme = "https"
	}
	return u.String(), nil
}

// checkHealth returns an error unless the service answers with status 200. It does not
// verify certificates, because they do not name this machine, and sends no secret.
func checkHealth(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, healthTimeout, fmt.Errorf("no answer within %v", healthTimeout))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} // and no proxy
	res, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("%s: %w: start the service with relcheck serve, or give its --listen address", address, unwrapped(ctx, err))
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<10))
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: status %s: %s", address, res.Status, strings.TrimSpace(string(text)))
	}
	return err
}

// unwrapped returns the reason of a failed request, without the URL.
func unwrapped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}
