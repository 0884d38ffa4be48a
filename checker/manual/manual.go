// Package manual is the manual of relcheck: one topic per Markdown file. It renders Markdown as
// HTML for pages and as text for terminals.
package manual

import (
	"embed"
	"slices"
	"strings"
)

//go:embed *.md
var files embed.FS

// names are the names of the topics, in the order of the table of contents.
var names = []string{
	"quick-start", "opa", "another-product", "client", "languages", "dialects",
	"releases", "files", "closed-networks", "statistics", "manage", "tokens", "api", "privacy",
	"server", "packages", "systemd", "containers", "proxy", "postgresql", "backups", "monitoring", "upgrades", "simulation",
}

// Topic is a part of the manual. Its text is in Markdown, and begins with its title.
type Topic struct{ Name, Title, Text string }

// Topics returns all topics.
func Topics() (all []Topic) {
	for _, name := range names {
		t, _ := Find(name)
		all = append(all, t)
	}
	return all
}

// Find returns the topic with a name, and whether there is one.
func Find(name string) (Topic, bool) {
	if !slices.Contains(names, name) {
		return Topic{}, false
	}
	text, err := files.ReadFile(name + ".md")
	if err != nil {
		panic(err) // a test checks that each topic has a file
	}
	first, _, _ := strings.Cut(string(text), "\n")
	return Topic{name, strings.TrimPrefix(first, "# "), string(text)}, true
}
