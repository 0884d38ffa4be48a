package command

import (
	"github.com/spf13/cobra"

	"relcheck/checker/catalog"
)

func presetCommand(streams IO) *cobra.Command {
	return group("preset", "List the settings of known programs.", `
  relcheck preset list
  relcheck product add --preset grafana`, presetList(streams))
}

func presetList(streams IO) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the presets of relcheck product add --preset.",
		Example: "  relcheck preset list",
		RunE: func(*cobra.Command, []string) error {
			var rows [][]string
			for _, p := range catalog.Presets() {
				rows = append(rows, []string{p.Name, p.Title, p.Dialects, p.Hosts, p.Repo})
			}
			return printList(streams.Out, []string{"name", "title", "dialects", "hosts", "repository"}, rows)
		},
	}
}
