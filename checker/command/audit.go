package command

import (
	"encoding/json"
	"time"

	"github.com/spf13/cobra"

	"relcheck/db"
)

func auditCommand(streams IO) *cobra.Command {
	var path, product, since string
	var lines bool
	c := &cobra.Command{
		Use:   "audit",
		Short: "Print who has changed what, newest first",
		Long: `Print who has changed what of products, releases and tokens, newest first. WHO is
the id of a token, as relcheck token list shows it, or the command line, or the
server by itself. Times are in UTC.`,
		Example: `  relcheck audit --product opa --since 30d
  relcheck audit --json | jq -r 'select(.action == "release.withdrawn")'`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			from, err := parseSince(since, time.Now())
			if err != nil {
				return err
			}
			return withExisting(cmd.Context(), path, func(s *db.Store) error {
				all, err := s.Audit(cmd.Context(), product, from)
				if err != nil {
					return err
				}
				if lines {
					return printAuditLines(streams, all)
				}
				return printAudit(streams, all)
			})
		},
	}
	dbFlag(c, &path)
	c.Flags().StringVar(&product, "product", "", "only what is about the product of this `name`, which may be gone")
	c.Flags().StringVar(&since, "since", "", "only what was done since: a `time` ago (24h, 30d), a date or an RFC 3339 time")
	c.Flags().BoolVar(&lines, "json", false, "print one JSON object a line")
	return c
}

func printAudit(streams IO, all []db.Audited) error {
	c := newColumns(streams.Out, "WHEN", "WHO", "ACTION", "PRODUCT", "DETAIL")
	for _, a := range all {
		c.row(a.At.Format(time.DateTime), a.Who, a.Action, a.Product, a.Detail)
	}
	return c.flush()
}

// audited is a line of the audit log for programs.
type audited struct {
	At      time.Time `json:"at"`
	Who     string    `json:"who"`
	Action  string    `json:"action"`
	Product string    `json:"product,omitempty"`
	Detail  string    `json:"detail,omitempty"`
}

func printAuditLines(streams IO, all []db.Audited) error {
	lines := json.NewEncoder(streams.Out)
	for _, a := range all {
		if err := lines.Encode(audited(a)); err != nil {
			return err
		}
	}
	return nil
}
