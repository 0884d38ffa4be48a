package command

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/printable"
)

// unknownVersion is reported if --as is not set.
const unknownVersion = "unknown"

// clientOptions are the flags of the commands that send requests to a service.
type clientOptions struct {
	product, channel, version string
	url, stateFile            string
	anonymous                 bool
}

func (o *clientOptions) flags(c *cobra.Command) {
	c.Flags().StringVar(&o.product, "product", "opa", "`name` of the product to report")
	c.Flags().StringVar(&o.channel, "channel", "", "`name` of the product's channel, such as lts")
	c.Flags().StringVar(&o.version, "as", unknownVersion, "`version` of the product to report")
	o.serviceFlags(c, "$PRODUCT_TELEMETRY_SERVICE_URL, such as OPA_TELEMETRY_SERVICE_URL, and for opa then https://telemetry.openpolicyagent.org")
}

// serviceFlags adds the flags about the service and what it learns. The default of the
// service's URL is an environment variable.
func (o *clientOptions) serviceFlags(c *cobra.Command, variable string) {
	c.Flags().StringVar(&o.url, "url", "", "`URL` of the service (default: "+variable+")")
	c.Flags().StringVar(&o.stateFile, "state-file", "", "`FILE` that stores the day of the last answer, so that the service counts installations (default: none)")
	c.Flags().BoolVar(&o.anonymous, "anonymous", false, "with --state-file, send no instance ID")
}

// client returns a client that does not log.
func (o *clientOptions) client() (*checker.Client, error) {
	if !catalog.ValidProductName(o.product) {
		return nil, usageError("--product: invalid product name %q: "+catalog.NameRule, o.product)
	}
	if o.channel != "" && !catalog.ValidProductName(o.channel) {
		return nil, usageError("--channel: invalid channel name %q: "+catalog.NameRule, o.channel)
	}
	if !checker.ValidVersion(o.version) {
		return nil, usageError("--as: invalid version %q: enter 1 to %d characters of 0-9 A-Z a-z . + _ -", o.version, checker.MaxVersion)
	}
	if o.url != "" {
		if err := printable.CheckURL(o.url); err != nil {
			return nil, usageError("--url: %v", err)
		}
	}
	if o.anonymous && o.stateFile == "" {
		return nil, usageError("--anonymous needs --state-file: the service counts an installation by its instance ID or its state file")
	}
	return &checker.Client{
		Product: o.product, Channel: o.channel, Version: o.version, URL: o.url, StateFile: o.stateFile, Anonymous: o.anonymous,
		Logger: slog.New(slog.DiscardHandler),
	}, nil
}

// requestError returns a usage error if there is no URL. Any other error is a service
// that did not answer, which has an exit status of its own if exitCode is set.
func requestError(err error, product string, exitCode bool) error {
	if untrusted := (x509.UnknownAuthorityError{}); errors.As(err, &untrusted) {
		err = fmt.Errorf("%w: if the certificate is of an internal CA, set SSL_CERT_FILE to a file with that CA", err)
	}
	switch {
	case errors.Is(err, checker.ErrNoURL):
		return usageError("no service is configured for product %s: set its URL with --url", product)
	case exitCode:
		return exit{statusNoAnswer, err}
	}
	return err
}

// printLatest prints the latest release as opa version --check does, that the version is
// up to date, or that it was withdrawn.
func printLatest(w io.Writer, product, version string, l checker.Latest) error {
	var text strings.Builder
	switch {
	case l.LatestRelease == "" && l.Withdrawn:
		fmt.Fprintf(&text, "%s %s was withdrawn, and no other release is offered.\n", product, version)
	case l.LatestRelease == "":
		fmt.Fprintf(&text, "The service offers no release of %s to %s.\n", product, version)
	case l.UpToDate != nil && !l.Outdated(version):
		fmt.Fprintf(&text, "%s %s is up to date.\n", product, version)
	default:
		if l.Withdrawn {
			fmt.Fprintf(&text, "%s %s was withdrawn; the latest release is %s.\n", product, version, l.LatestRelease)
		}
		for _, line := range [][2]string{
			{"Latest Upstream Version", strings.TrimPrefix(l.LatestRelease, "v")},
			{"Download", l.Download},
			{"Release Notes", l.ReleaseNotes},
		} {
			if line[1] != "" {
				fmt.Fprintf(&text, "%s: %s\n", line[0], line[1])
			}
		}
	}
	_, err := io.WriteString(w, text.String())
	return err
}
