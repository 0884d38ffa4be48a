package command

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"relcheck/checker"
)

// self is the name of relcheck as a product.
const self = "relcheck"

// build is what the Go toolchain recorded about this program.
type build struct {
	Version  string          `json:"version"`
	Commit   string          `json:"commit"`
	Go       string          `json:"go"`
	Platform string          `json:"platform"`
	Latest   *checker.Latest `json:"latest,omitempty"`
}

func versionCommand(streams IO) *cobra.Command {
	o := clientOptions{product: self, version: buildVersion()}
	var check, asJSON bool
	c := &cobra.Command{
		Use:   "version",
		Short: "Print the version of relcheck, and with --check the latest release.",
		Example: `  relcheck version
  relcheck version --check --url https://releases.example.com`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := requireFlags(cmd, [2]string{"url", "check"}, [2]string{"state-file", "check"}, [2]string{"anonymous", "check"})
			if err != nil {
				return err
			}
			b := thisBuild()
			if !asJSON {
				if _, err := fmt.Fprintf(streams.Out, "Version: %s\nBuild Commit: %s\nGo Version: %s\nPlatform: %s\n", b.Version, b.Commit, b.Go, b.Platform); err != nil {
					return err
				}
			}
			if check {
				client, err := o.client()
				if err != nil {
					return err
				}
				answer, err := client.Check(cmd.Context())
				if err != nil {
					return requestError(err, self, false)
				}
				b.Latest = &answer.Latest
			}
			if asJSON {
				return printJSON(streams, b)
			}
			if check {
				return printLatest(streams.Out, self, b.Version, *b.Latest)
			}
			return nil
		},
	}
	c.Flags().BoolVarP(&check, "check", "c", false, "request the latest release of relcheck from the service")
	o.serviceFlags(c, "$RELCHECK_TELEMETRY_SERVICE_URL")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// buildVersion returns the module's version without the leading v, or "dev" if the
// build has none.
func buildVersion() string { return thisBuild().Version }

func thisBuild() build {
	b := build{Version: "dev", Commit: "unknown", Go: runtime.Version(), Platform: checker.Host().String()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if v := checker.Canonical(info.Main.Version); v != "" {
		b.Version = v[1:]
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			b.Commit = s.Value
		}
	}
	return b
}
