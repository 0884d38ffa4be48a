package command

import (
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

// unknownVersion is reported when nobody says which version runs.
const unknownVersion = "unknown"

// clientOptions are the flags of the commands that ask a service.
type clientOptions struct{ product, version, url string }

func (o *clientOptions) flags(c *cobra.Command) {
	c.Flags().StringVar(&o.product, "product", "opa", "`name` of the product to speak for")
	c.Flags().StringVar(&o.version, "as", unknownVersion, "`version` of the product to speak for")
	o.urlFlag(c)
}

func (o *clientOptions) urlFlag(c *cobra.Command) {
	c.Flags().StringVar(&o.url, "url", "", "`address` of the service (default: $PRODUCT_TELEMETRY_SERVICE_URL, as in OPA_TELEMETRY_SERVICE_URL)")
}

// client returns a client that is silent but for answers.
func (o *clientOptions) client() (*checker.Client, error) {
	if !catalog.ValidProductName(o.product) {
		return nil, misused("--product: %q is not the name of a product", o.product)
	}
	if !checker.ValidVersion(o.version) {
		return nil, misused("--as: %q is not a version: 1 to %d characters of 0-9 A-Z a-z . + _ -", o.version, checker.MaxVersion)
	}
	if o.url != "" {
		if err := printable.CheckURL(o.url); err != nil {
			return nil, misused("--url: %v", err)
		}
	}
	return &checker.Client{Product: o.product, Version: o.version, URL: o.url, Logger: slog.New(slog.DiscardHandler)}, nil
}

// withoutAnswer tells a mistake of the caller from a service that did not
// answer, for which there is an exit status of its own if exitCode is set.
func withoutAnswer(err error, product string, exitCode bool) error {
	switch {
	case errors.Is(err, checker.ErrNoURL):
		return misused("there is no service to ask about %s: give its address with --url", product)
	case exitCode:
		return exit{statusNoAnswer, err}
	}
	return err
}

// printLatest prints what opa version --check prints, or that there is nothing newer.
func printLatest(w io.Writer, product, version string, l checker.Latest) error {
	var text strings.Builder
	switch {
	case l.LatestRelease == "":
		fmt.Fprintf(&text, "The service knows no release of %s.\n", product)
	case l.UpToDate != nil && !l.Outdated(version):
		fmt.Fprintf(&text, "%s %s is up to date.\n", product, version)
	default:
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
