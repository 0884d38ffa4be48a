package command

import (
	"context"
	"encoding/json"
	"time"

	"github.com/spf13/cobra"

	"relcheck/db"
)

func auditCommand(streams IO) *cobra.Command {
	var product string
	var from time.Time
	var lines bool
	c := existingStoreCommand(&cobra.Command{
		Use:   "audit",
		Short: "Print the log of changes, newest first.",
		Long: `Print the log of changes to products, releases and tokens, newest first. WHO is
the ID of a token (see relcheck token list), "command line" or "server". Times are
in UTC.`,
		Example: `  relcheck audit --product opa --since 30d
  relcheck audit --json | jq -r 'select(.action == "release.withdrawn")'`,
	}, func(ctx context.Context, s *db.Store, _ []string) error {
		all, err := s.Audit(ctx, product, from)
		if err != nil {
			return err
		}
		l, encoder := &list{heads: []string{"when", "who", "action", "product", "detail"}}, json.NewEncoder(streams.Out)
		for _, a := range all {
			if !lines {
				l.row(a.At.Format(time.DateTime), a.Actor, a.Action, a.Product, a.Detail)
			} else if err := encoder.Encode(a); err != nil {
				return err
			}
		}
		if lines {
			return nil
		}
		return newOutput(streams, false).add(l).write()
	})
	c.Flags().StringVar(&product, "product", "", "`name` of the product, which may have been removed (default: all products)")
	sinceFlag(c, &from)
	c.Flags().BoolVar(&lines, "json", false, "print one JSON object per line")
	return c
}
