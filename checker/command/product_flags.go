package command

import (
	"cmp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"relcheck/checker/catalog"
)

// flagNames are the flags of the fields of a product whose names differ. Flags that can
// be repeated are in the singular.
var flagNames = map[string]string{"origins": "origin", "tag_prefixes": "tag-prefix", "release_suffix": "release-suffix", "min_age": "min-age", "require_files": "require-files",
	"upstreams": "upstream", "aliases": "alias", "hosts": "host", "dialects": "dialect", "notes_here": "notes-here"}

// flagOf returns the name of the flag for a field of a product or release.
func flagOf(field string) string { return cmp.Or(flagNames[field], field) }

// productFlags adds flags for the fields of a product to a command.
func productFlags(c *cobra.Command) {
	for name, usage := range map[string]string{
		"title":          "display name (default: NAME)",
		"repo":           "`OWNER/REPO` under which clients of GitHub's API request the product",
		"download":       "`template` of the download URLs",
		"notes":          "`template` of the release notes URL",
		"file":           "`template` of the name of the file to download, such as app_{version}_{os}_{arch}.tar.gz (default: chosen by the names of all files)",
		"release_suffix": "`pattern` of tag suffixes that mark a later release, not a pre-release, such as [0-9]+ for 1.2-1",
		"match":          "`range` of versions that can be the latest release, such as '<2000' or '>=1.4,<3'",
		"links":          "`target` of links to files: hosted, upstream, or hosted-only, which never links to other servers (default: hosted)",
		"min_age":        "`time` from the publication of a release to its first offer, such as 24h or 7d",
	} {
		c.Flags().String(flagOf(name), "", usage)
	}
	for name, usage := range map[string]string{
		"module":       "Go module `path`, for relcheck release sync; can be repeated",
		"origins":      "`origin` of web pages whose reports are recorded: a URL, null, or a scheme such as app: for all its origins; can be repeated",
		"upstreams":    "`upstream` whose releases relcheck release sync reads: github:OWNER/REPO, go:MODULE, relcheck:URL or file:PATH; can be repeated",
		"aliases":      "`name` of the product in other dialects, such as @me/app on an npm registry; can be repeated",
		"hosts":        "`host` whose requests belong to the product, such as updates.example.com; can be repeated",
		"dialects":     "`dialect` of other update clients that the product answers, see relcheck dialect list; can be repeated",
		"tag_prefixes": "`prefix` of the product's tags, such as cli/; other tags belong to other components; can be repeated, also with '' for tags without a prefix",
	} {
		c.Flags().StringArray(flagOf(name), nil, usage)
	}
	for name, usage := range map[string]string{
		"require_files": "offer a release once it has files for the platforms of the previous release, or after 24h",
		"notes_here":    "link to release notes on the pages of relcheck",
		"hidden":        "leave the product out of the lists of pages",
	} {
		c.Flags().Bool(flagOf(name), false, usage)
	}
}

// productPatch returns the changes of the flags that were given.
func productPatch(c *cobra.Command) catalog.ProductPatch {
	changes := catalog.ProductPatch{}
	for _, name := range catalog.ProductFields {
		f := c.Flags().Lookup(flagOf(name))
		if f == nil || !f.Changed {
			continue
		}
		changes[name] = f.Value.String()
		if list, ok := f.Value.(pflag.SliceValue); ok {
			values := list.GetSlice()
			for i, value := range values {
				if name == "tag_prefixes" && value == "" && len(values) > 1 {
					values[i] = "v" // stands for tags without a prefix
				}
			}
			changes[name] = strings.Join(values, " ")
		}
	}
	return changes
}
