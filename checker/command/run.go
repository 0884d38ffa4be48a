package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"relcheck/checker"
)

func runCommand(streams IO) *cobra.Command {
	var o clientOptions
	interval := time.Hour
	var disabled, verbose bool
	c := &cobra.Command{
		Use:   "run",
		Short: "Report a version periodically, as opa run does.",
		Long: `Report a version at the start and then periodically, as opa run does, until a signal
arrives. Newer releases, and the withdrawal of the running one, are printed to
standard error. A service that does not answer is ignored.`,
		Example: `  relcheck run --as 0.12.3 --url http://localhost:8080
  relcheck run --product myapp --as 1.2.3 --interval 10s --verbose`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := o.client()
			if err != nil {
				return err
			}
			client.Interval, client.Disabled = interval, disabled
			return run(cmd.Context(), client, streams, verbose)
		},
	}
	o.flags(c)
	c.Flags().Var(durationFlag{&interval, 1, false}, "interval", "minimum `time` between two reports; the maximum is twice as long")
	c.Flags().BoolVar(&disabled, "disable-telemetry", false, "send nothing")
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "log every report and its result")
	return c
}

func run(ctx context.Context, client *checker.Client, streams IO, verbose bool) error {
	if verbose {
		client.Logger = slog.New(slog.NewTextHandler(streams.Err, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	client.OnOutdated = func(l checker.Latest) {
		if !l.Withdrawn {
			fmt.Fprintf(streams.Err, "%s %s is outdated.\n", client.Product, client.Version)
		}
		printLatest(streams.Err, client.Product, client.Version, l)
	}
	switch err := client.Validate(); {
	case errors.Is(err, checker.ErrDisabled):
		fmt.Fprintln(streams.Err, "reports are disabled: nothing is sent")
	case err != nil:
		return requestError(err, client.Product, false)
	}
	client.Start(ctx)
	<-ctx.Done()
	return nil
}
