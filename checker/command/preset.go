package command

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"relcheck/checker/catalog"
	"relcheck/checker/printable"
	"relcheck/checker/server"
	"relcheck/checker/server/dialect"
)

func presetCommand(streams IO) *cobra.Command {
	return group("preset", "List the settings of known programs.", `
  relcheck preset list
  relcheck product add --preset grafana`, presetList(streams))
}

// unknownPreset returns an error about a preset that does not exist.
func unknownPreset(name string) error {
	var names []string
	for _, p := range catalog.Presets() {
		names = append(names, p.Name)
	}
	if found := printable.Nearest(name, names); found != "" {
		return usageError("--preset: there is no preset %q: did you mean %s?", name, found)
	}
	return usageError("--preset: there is no preset %q: list them with relcheck preset list", name)
}

// listedPreset is a preset in JSON.
type listedPreset struct {
	Name     string   `json:"name"`
	Title    string   `json:"title"`
	Repo     string   `json:"repo"`
	Dialects []string `json:"dialects"`
	Hosts    []string `json:"hosts"` // that its clients ask
}

func presetList(streams IO) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
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
			l := &list{name: "presets", heads: []string{"name", "dialects", "hosts", "repository"}, omitted: []string{"repository"}}
			for _, p := range catalog.Presets() {
				all := jsonWords(p.Hosts)
				for name := range strings.FieldsSeq(p.Dialects) {
					all = append(all, hosts[name]...)
				}
				all = slices.Compact(all)
				l.item(listedPreset{p.Name, p.Title, p.Repo, jsonWords(p.Dialects), all})
				l.row(p.Name, p.Dialects, strings.Join(all, " "), p.Repo)
			}
			return newOutput(streams, asJSON).add(l).write()
		},
	}
	jsonFlag(c, &asJSON)
	return c
}
