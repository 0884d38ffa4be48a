// Man writes the manual of relcheck as man pages: relcheck.1 with all commands, and
// relcheck-TOPIC.7 for each topic.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/cpuguy83/go-md2man/v2/md2man"
)

func main() {
	log.SetFlags(0)
	topics := flag.String("manual", "checker/manual", "folder of the manual")
	program := flag.String("relcheck", "relcheck", "the program, whose help becomes relcheck.1")
	out := flag.String("out", "man", "folder for the man pages")
	flag.Parse()
	if err := writePages(*topics, *program, *out); err != nil {
		log.Fatalf("man: %v", err)
	}
}

func writePages(topics, program, out string) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	commands, err := exec.Command(program, "help", "--reference").Output()
	if err != nil {
		return fmt.Errorf("%s help --reference: %w", program, err)
	}
	if err := writePage(out, "relcheck", "1", "record version reports and answer with the latest release", string(commands)); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(topics, "*.md"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("no manual in %s", topics)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		title, body, _ := strings.Cut(strings.TrimPrefix(string(text), "# "), "\n")
		name := "relcheck-" + strings.TrimSuffix(filepath.Base(file), ".md")
		if err := writePage(out, name, "7", title, withReferences(body)); err != nil {
			return err
		}
	}
	return nil
}

// writePage writes a page. It has no date, so that the same manual always gives the same
// bytes.
func writePage(out, name, section, title, body string) error {
	if !strings.HasPrefix(strings.TrimSpace(body), "#") {
		body = "## DESCRIPTION\n" + body
	}
	page := fmt.Sprintf("%% %s %s \"\" relcheck \"relcheck manual\"\n\n## NAME\n\n%s - %s\n\n%s", strings.ToUpper(name), section, name, title, body)
	text := wrapTables(string(md2man.Render([]byte(page))))
	text = strings.Replace(text, "\n.SH NAME", "\n.ad l\n.SH NAME", 1) // stretched lines are hard to read
	return os.WriteFile(filepath.Join(out, name+"."+section), []byte(withMinus(text)), 0o644)
}

// withMinus makes every - the character of options and commands, not a hyphen.
func withMinus(page string) string {
	var b strings.Builder
	for line := range strings.Lines(page) {
		if !strings.HasPrefix(line, ".") {
			line = strings.ReplaceAll(strings.ReplaceAll(line, `\-`, "-"), "-", `\-`)
		}
		b.WriteString(line)
	}
	return b.String()
}

var (
	fence = regexp.MustCompile("(?ms)^ *```.*?^ *```$")
	link  = regexp.MustCompile(`\[([^\]]+)\]\(([a-z-]*?)(?:\.md)?(?:#[^)]*)?\)`)
)

// withReferences replaces the links to topics by the names of their pages, except in code.
func withReferences(text string) string {
	var b strings.Builder
	for {
		code := fence.FindStringIndex(text)
		if code == nil {
			return b.String() + link.ReplaceAllStringFunc(text, reference)
		}
		b.WriteString(link.ReplaceAllStringFunc(text[:code[0]], reference) + text[code[0]:code[1]])
		text = text[code[1]:]
	}
}

func reference(markdown string) string {
	m := link.FindStringSubmatch(markdown)
	page := "**relcheck-" + m[2] + "**(7)"
	switch {
	case m[2] == "":
		return m[1]
	case m[1] == m[2]+".md":
		return page
	}
	return m[1] + " (" + page + ")"
}
