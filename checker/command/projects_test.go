package command

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// projectTags is a list of the tags of a real project.
type projectTags struct {
	latest  string   // the latest stable release, from the project's own documents
	options []string // flags of product set that an operator needs
	tags    []string
}

func readProject(t *testing.T, file string) (p projectTags) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		comment, ok := strings.CutPrefix(strings.TrimSpace(line), "# ")
		switch {
		case !ok:
			p.tags = append(p.tags, strings.TrimSpace(line))
		case strings.HasPrefix(comment, "options: "):
			p.options = strings.Fields(comment)[1:]
		case strings.HasPrefix(comment, "actual newest stable: "):
			p.latest = strings.Fields(comment)[3]
		}
	}
	return p
}

// latestAfterImport imports the tags as GitHub lists them, and returns which release
// relcheck release list shows as the latest.
func (p projectTags) latestAfterImport(t *testing.T, options []string) string {
	t.Helper()
	folder := t.TempDir()
	var releases []map[string]string
	for _, tag := range p.tags {
		releases = append(releases, map[string]string{"tag_name": tag})
	}
	list, err := json.Marshal(releases)
	if err != nil {
		t.Fatal(err)
	}
	schema, err := os.ReadFile("../../schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		var out, errs bytes.Buffer
		args = append(args, "--db", filepath.Join(folder, "a.db"))
		if status := Run(t.Context(), args, IO{Schema: string(schema), In: bytes.NewReader(list), Out: &out, Err: &errs}); status != 0 {
			t.Fatalf("relcheck %s: status %d: %s", strings.Join(args, " "), status, errs.String())
		}
		return out.String()
	}
	run(append([]string{"product", "add", "project"}, options...)...)
	run("release", "import", "project", "-")
	for line := range strings.Lines(run("release", "list", "project")) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[len(fields)-1] == "latest" {
			return fields[0]
		}
	}
	return ""
}

// TestProjects finds the latest stable release of real projects in their tags, with the
// options that an operator gives. Without them, there is another one or none.
func TestProjects(t *testing.T) {
	files, err := filepath.Glob("../version/testdata/tags/*.txt")
	if err != nil || len(files) < 23 {
		t.Fatalf("got %d lists (error %v), want 23", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			p := readProject(t, file)
			if latest := p.latestAfterImport(t, p.options); latest != p.latest {
				t.Errorf("with options %v: got %s, want %s", p.options, latest, p.latest)
			}
			if len(p.options) > 0 && p.latestAfterImport(t, nil) == p.latest {
				t.Errorf("got the latest release without the options %v", p.options)
			}
		})
	}
}
