package command

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"relcheck/checker/catalog"
	"relcheck/checker/server"
	"relcheck/checker/server/dialect"
)

func presetCommand(streams IO) *cobra.Command {
	return group("preset", "List the settings of known programs.", `
  relcheck preset list
  relcheck product add --preset grafana`, presetList(streams))
}

func presetList(streams IO) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the presets of relcheck product add --preset.",
		Long: `List the presets of relcheck product add --preset, with the dialects that the product
then answers, and the hosts that its clients ask unless they are configured. Every
product also answers the clients of GitHub's API.`,
		Example: "  relcheck preset list",
		RunE: func(*cobra.Command, []string) error {
			hosts := map[string][]string{}
			for _, d := range server.Dialects(dialect.BuiltIn()) {
				hosts[d.Name] = d.Hosts
			}
			heads := []string{"name", "dialects", "hosts", "repository"}
			if s := newScreen(streams.Out); s.width < 112 {
				heads = heads[:3] // the repository does not fit
			}
			var rows [][]string
			for _, p := range catalog.Presets() {
				all := strings.Fields(p.Hosts)
				for name := range strings.FieldsSeq(p.Dialects) {
					all = append(all, hosts[name]...)
				}
				rows = append(rows, []string{p.Name, p.Dialects, strings.Join(slices.Compact(all), " "), p.Repo}[:len(heads)])
			}
			return printList(streams.Out, heads, rows)
		},
	}
}
