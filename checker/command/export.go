package command

import (
	"bufio"
	"context"
	"encoding/json"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"relcheck/db"
)

func exportCommand(streams IO) *cobra.Command {
	var from time.Time
	c := existingStoreCommand(&cobra.Command{
		Use:   "export PRODUCT",
		Short: "Print the recorded reports as JSON, one object per line.",
		Example: `  relcheck export opa
  relcheck export opa --since 24h | jq -r .version | sort | uniq -c`,
	}, func(ctx context.Context, s *db.Store, args []string) error {
		out := bufio.NewWriterSize(streams.Out, 64<<10)
		lines := json.NewEncoder(out)
		err := s.Reports(ctx, args[0], from, func(r *db.Recorded) error {
			return lines.Encode(exported{r.At, r.ID, r.Version, r.Platform.OS, r.Platform.Arch, r.HeapUsageBytes})
		})
		if err != nil {
			return err
		}
		return out.Flush()
	})
	sinceFlag(c, &from)
	return c
}

// exported is one line of the output.
type exported struct {
	ReceivedAt     time.Time `json:"received_at"`
	ID             uuid.UUID `json:"id,omitzero"`
	Version        string    `json:"version"`
	OS             string    `json:"os"`
	Arch           string    `json:"arch"`
	HeapUsageBytes *int64    `json:"heap_usage_bytes"`
}
