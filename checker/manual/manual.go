// Package manual is the manual of relcheck: one topic per Markdown file. It renders Markdown as
// HTML for pages and as text for terminals.
package manual

import (
	"embed"
	"regexp"
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

// Mentioning returns the names of the topics that contain a word, the most frequent first.
func Mentioning(word string) (names []string) {
	whole := regexp.MustCompile(`(?i)\b` + regexp.QuoteMeta(word) + `\b`)
	count := map[string]int{}
	for _, t := range Topics() {
		if n := len(whole.FindAllStringIndex(t.Text, -1)); n > 0 {
			names, count[t.Name] = append(names, t.Name), n
		}
	}
	slices.SortStableFunc(names, func(a, b string) int { return count[b] - count[a] })
	return names
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
