package command

import (
	"bufio"
	"encoding/json"
	"time"

	"github.com/spf13/cobra"

	"relcheck/db"
)

func exportCommand(streams IO) *cobra.Command {
	var path, since string
	c := &cobra.Command{
		Use:   "export PRODUCT",
		Short: "Print the recorded reports as JSON, one object per line.",
		Example: `  relcheck export opa
  relcheck export opa --since 24h | jq -r .version | sort | uniq -c`,
		RunE: func(cmd *cobra.Command, args []string) error {
			from, err := parseSince(since, time.Now())
			if err != nil {
				return err
			}
			return withExisting(cmd.Context(), path, func(s *db.Store) error {
				out := bufio.NewWriterSize(streams.Out, 64<<10)
				lines := json.NewEncoder(out)
				err := s.Reports(cmd.Context(), args[0], from, func(r *db.Recorded) error {
					return lines.Encode(exported{r.At, r.ID.String(), r.Version, r.Platform.OS, r.Platform.Arch, r.HeapUsageBytes})
				})
				if err != nil {
					return err
				}
				return out.Flush()
			})
		},
	}
	dbFlag(c, &path)
	c.Flags().StringVar(&since, "since", "", "oldest `time` to print: a duration before now (24h, 7d), a date or an RFC 3339 time")
	return c
}

// exported is one line of the output.
type exported struct {
	ReceivedAt     time.Time `json:"received_at"`
	ID             string    `json:"id"`
	Version        string    `json:"version"`
	OS             string    `json:"os"`
	Arch           string    `json:"arch"`
	HeapUsageBytes *int64    `json:"heap_usage_bytes"`
}
