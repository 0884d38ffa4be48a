package command

import (
	"fmt"

	"github.com/spf13/cobra"

	"relcheck/checker"
	"relcheck/checker/download"
)

func checkCommand(streams IO) *cobra.Command {
	var o clientOptions
	var platform string
	var asJSON, exitCode, show bool
	c := &cobra.Command{
		Use:   "check",
		Short: "Request the latest release once, for any product and version.",
		Long: `Request the latest release once, for any product and version.

The request is a report that the service records like any other. With --exit-code,
the exit status is 10 if the version is outdated or was withdrawn, and 11 if the
service did not answer. With --show, the request is printed and not sent.`,
		Example: `  relcheck check --as 0.70.0 --url http://localhost:8080
  relcheck check --product myapp --as 1.2.3 --platform windows/amd64 --json
  relcheck check --product myapp --channel lts --as 1.2.3 --show`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := o.client()
			if err != nil {
				return err
			}
			if platform != "" {
				if client.Platform, err = download.ParsePlatform(platform); err != nil {
					return usageError("--platform: %v", err)
				}
			}
			switch {
			case show && (asJSON || exitCode):
				return usageError("--show prints a request, not an answer: leave out --json and --exit-code")
			case show:
				return printPreview(streams, client)
			}
			answer, err := client.Check(cmd.Context())
			if err != nil {
				return requestError(err, o.product, exitCode)
			}
			return printCheck(streams, o, answer.Latest, asJSON, exitCode)
		},
	}
	o.flags(c)
	c.Flags().StringVar(&platform, "platform", "", "`OS/ARCH` to report (default: this machine's)")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().BoolVar(&exitCode, "exit-code", false, "exit with status 10 if the version is outdated or was withdrawn, and 11 if the service did not answer")
	c.Flags().BoolVar(&show, "show", false, "print the request without sending it")
	return c
}

// printPreview prints the request that the client would send, and a newline.
func printPreview(streams IO, client *checker.Client) error {
	request, err := client.Preview()
	if err != nil {
		return requestError(err, client.Product, false)
	}
	_, err = fmt.Fprintln(streams.Out, request)
	return err
}

func printCheck(streams IO, o clientOptions, l checker.Latest, asJSON, exitCode bool) error {
	var err error
	if asJSON {
		err = printJSON(streams, struct {
			Product string         `json:"product"`
			Channel string         `json:"channel,omitempty"`
			Version string         `json:"version"`
			Latest  checker.Latest `json:"latest"`
		}{o.product, o.channel, o.version, l})
	} else {
		err = printLatest(streams.Out, o.product, o.version, l)
	}
	if err != nil {
		return err
	}
	if exitCode && l.Outdated(o.version) {
		return exit{statusOutdated, errSilent}
	}
	return nil
}
