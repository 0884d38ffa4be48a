package main

import (
	"fmt"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"relcheck/checker/catalog"
	"relcheck/checker/manual"
	"relcheck/checker/server/pages"
)

// hostProgram is a program around the examples of the client.
const hostProgram = `package main

import (
	"context"
	"log/slog"

	%q
)

var (
	_       = slog.Warn
	version = "1.2.0"
)

func main() {
	ctx := context.Background()
%s}
`

// TestEmbedding follows the instructions to embed the client in a new module, without a
// network: with a clone, and with a copy under another path. The example programs compile.
func TestEmbedding(t *testing.T) {
	missing(t, "bash")
	missing(t, "go")
	readme := readText(t, "README.md")
	topic, _ := manual.Find("client")
	var clone, copied block
	example := ""
	for _, b := range blocksOf(topic.Text) {
		switch {
		case b.info == "embed" && clone.code == "":
			clone = b
		case b.info == "embed":
			copied = b
		case b.lang == "go":
			example += b.code
		}
	}
	if !strings.Contains(readme, clone.code) {
		t.Errorf("the README does not have the commands of the manual:\n%s", clone.code)
	}
	page, err := pages.Connect(pages.Visitor{}, pages.ConnectData{Base: "http://localhost:8080", Product: &catalog.Product{Name: "myapp"}})
	if err != nil || !strings.Contains(html.UnescapeString(string(page)), strings.TrimSpace(clone.code)) {
		t.Errorf("the page does not have the commands of the manual (%v):\n%s", err, clone.code)
	}
	for _, b := range blocksOf(readme) {
		if b.lang == "go" {
			embed(t, "README", clone, "relcheck/checker", b.code)
		}
	}
	embed(t, "clone", clone, "relcheck/checker", example)
	embed(t, "copy", copied, "example.com/myapp/internal/checker", example)
}

// embed runs the commands in a new module, and builds a program with an example there.
func embed(t *testing.T, name string, commands block, client, example string) {
	t.Run(name, func(t *testing.T) {
		root, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		write(t, filepath.Join(dir, "go.mod"), "module example.com/myapp\n\ngo 1.26\n")
		example = strings.Replace(example, "import \"relcheck/checker\"\n", "", 1)
		write(t, filepath.Join(dir, "main.go"), fmt.Sprintf(hostProgram, client, example))
		cmd := exec.Command("bash", "-e", "-c", strings.ReplaceAll(commands.code, "/path/to/relcheck", root)+"go build -o program .\n")
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOSUMDB=off", "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
}
