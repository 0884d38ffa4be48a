package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"unicode"

	"gopkg.in/yaml.v3"

	"relcheck/checker/manual"
	"relcheck/db/pgtest"
)

// codeBlock matches a code block of a document with its language, and the words behind it:
//
//	norun REASON   it cannot run in a test; its syntax is checked
//	file=NAME      it is a file that other blocks use
//	output         the blocks before it print its lines
//	embed          it is run by [TestEmbedding]
//	part of NAME   it is not a complete file
var codeBlock = regexp.MustCompile("(?ms)^( *)```(\\S+)(?: ([^\n]*))?\n(.*?)^ *```$")

type block struct{ lang, info, code string }

func blocksOf(text string) (all []block) {
	for _, m := range codeBlock.FindAllStringSubmatch(text, -1) {
		all = append(all, block{m[2], m[3], strings.TrimPrefix(strings.ReplaceAll("\n"+m[4], "\n"+m[1], "\n"), "\n")})
	}
	return all
}

// file returns the name of the file that the block is, or "".
func (b block) file() string {
	name, _ := strings.CutPrefix(b.info, "file=")
	if name == b.info {
		return ""
	}
	return name
}

// checks are the languages of blocks besides shell, with what checks them.
var checks = map[string]func(t *testing.T, b block){
	"caddyfile": program("caddy", "adapt", "--adapter", "caddyfile", "--config"),
	"haproxy":   program("haproxy", "-c", "-f"),
	"nginx":     checkNginx,
	"yaml":      checkYAML,
	"ini":       checkUnit,
	"python":    nil, // runs in testdata/manual/languages.sh, as does the next
	"js":        nil,
	"dialect":   nil, // TestManual of package dialect
	"go":        nil, // TestEmbedding
	"json":      checkJSON,
	"text":      nil,
	"http":      nil, // TestReportInManual of package server
}

// TestManualBlocks checks that each code block of the README and the manual has a language
// whose blocks are run or checked, and checks the others.
func TestManualBlocks(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range append(manual.Topics(), manual.Topic{Name: "README", Text: string(readme)}) {
		if n, want := len(blocksOf(topic.Text)), strings.Count(topic.Text, "```"); 2*n != want {
			t.Errorf("%s: got %d code blocks of %d lines ```", topic.Name, n, want)
		}
		for _, b := range blocksOf(topic.Text) {
			t.Run(topic.Name+"/"+b.lang, func(t *testing.T) {
				if b.lang == "sh" {
					checkShell(t, b)
					return
				}
				check, known := checks[b.lang]
				if !known {
					t.Errorf("no test runs or checks this block:\n%s", b.code)
				}
				if check != nil {
					check(t, b)
				}
			})
		}
	}
}

func checkShell(t *testing.T, b block) {
	cmd := exec.Command("bash", "-n")
	cmd.Stdin = strings.NewReader(b.code)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s\n%s", err, out, b.code)
	}
	if reason, found := strings.CutPrefix(b.info, "norun"); found && strings.TrimSpace(reason) == "" {
		t.Errorf("no reason why this block is not run:\n%s", b.code)
	}
}

// missing skips a test that needs a program, or fails it if CI=true.
func missing(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("missing: %s", name)
		}
		t.Skipf("missing: %s", name)
	}
}

// program returns a check by a program, which gets the name of a file with the block.
func program(name string, args ...string) func(*testing.T, block) {
	return func(t *testing.T, b block) {
		missing(t, name)
		file := filepath.Join(t.TempDir(), "block")
		write(t, file, fill(t, b.code))
		cmd := exec.Command(name, append(args, file)...)
		cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %s\n%s", err, out, b.code)
		}
	}
}

// fill replaces the names of certificates by the names of real ones.
func fill(t *testing.T, text string) string {
	dir := t.TempDir()
	out, err := exec.Command("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=releases.example.com",
		"-keyout", dir+"/key.pem", "-out", dir+"/cert.pem").CombinedOutput()
	if err != nil {
		t.Fatalf("openssl: %v: %s", err, out)
	}
	both := readText(t, dir+"/cert.pem") + readText(t, dir+"/key.pem")
	write(t, dir+"/releases.pem", both)
	return strings.NewReplacer("/etc/nginx/", dir+"/", "/etc/haproxy/", dir+"/").Replace(text)
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func readText(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func checkJSON(t *testing.T, b block) {
	if !json.Valid([]byte(b.code)) {
		t.Errorf("not JSON:\n%s", b.code)
	}
}

func checkNginx(t *testing.T, b block) {
	switch b.info {
	case "part of server":
		b.code = "server {\n" + b.code + "}\n"
	case "part of http":
		before, location, _ := strings.Cut(b.code, "location")
		b.code = before + "server {\nlocation" + location + "}\n"
	}
	dir := t.TempDir()
	b.code = "pid " + dir + "/pid;\nerror_log stderr;\nevents {}\nhttp {\naccess_log off;\n" + b.code + "}\n"
	program("nginx", "-t", "-q", "-p", dir, "-c")(t, b)
}

func checkYAML(t *testing.T, b block) {
	d := yaml.NewDecoder(strings.NewReader(b.code))
	for i := 0; ; i++ {
		var content map[string]any
		if err := d.Decode(&content); err != nil {
			if i == 0 || err.Error() != "EOF" {
				t.Errorf("%v\n%s", err, b.code)
			}
			break
		}
	}
	if b.file() == "prometheus.yml" {
		program("promtool", "check", "config", "--syntax-only")(t, b)
	}
}

// checkUnit compares the unit and its settings with the files in packages.
func checkUnit(t *testing.T, b block) {
	if b.file() == "" {
		return
	}
	if want := readText(t, "tools/dist/systemd/"+b.file()); b.code != want {
		t.Errorf("got %s\n%s\nwant that of packages\n%s", b.file(), b.code, want)
	}
}

// TestManualCommands runs the shell blocks of each topic, one after the other, in a folder of
// their own, and checks that they print what the topic shows. A file testdata/manual/TOPIC.sh prepares what they need.
func TestManualCommands(t *testing.T) {
	for _, name := range []string{"bash", "curl", "jq", "node", "python3", "openssl"} {
		missing(t, name)
	}
	for _, topic := range manual.Topics() {
		t.Run(topic.Name, func(t *testing.T) {
			t.Parallel()
			runTopic(t, topic)
		})
	}
}

// database returns the URL of an empty database, without a password.
func database(t *testing.T) string {
	t.Helper()
	s, err := pgtest.New()
	pgtest.RequireInstalled(t, err)
	t.Cleanup(s.Remove)
	return pgtest.WithoutPassword(s.Database(t))
}

func runTopic(t *testing.T, topic manual.Topic) {
	dir := t.TempDir()
	upstream := httptest.NewServer(http.FileServer(http.Dir(filepath.Join(dir, "upstream"))))
	defer upstream.Close()
	addr, err := pgtest.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	script := readText(t, "testdata/manual/run.sh")
	if hooks, err := os.ReadFile("testdata/manual/" + topic.Name + ".sh"); err == nil {
		script += string(hooks)
	}
	script += "run_hook setup\n"
	ran, shown := 0, ""
	names := strings.NewReplacer("http://localhost:8080", "http://"+addr, "https://releases.example.com", "http://"+addr, "/var/lib/relcheck/", "", "/var/lib/", "",
		"/srv/relcheck", "$FILES", "/mnt/backup", "backup", "/etc/relcheck/dialects", "dialects", "serve &", "serve", "github:me/myapp", "file:"+dir+"/upstream/myapp.json",
		"https://github.example.com", upstream.URL,
		"k2x7q4mw", "$(relcheck token list | awk '/prometheus/ {print $1}')",
		"'postgres://relcheck@db.example.com/relcheck'", "$POSTGRES")
	for _, b := range blocksOf(topic.Text) {
		switch {
		case b.file() != "":
			write(t, filepath.Join(dir, b.file()), names.Replace(b.code))
		case b.info == "output":
			shown += strings.NewReplacer("linux_amd64", runtime.GOOS+"_"+runtime.GOARCH, "…\n", "").Replace(b.code)
		case b.lang == "sh" && !strings.HasPrefix(b.info, "norun") && b.info != "embed":
			ran++
			script += "run_hook before_" + string(rune('0'+ran/10)) + string(rune('0'+ran%10)) + "\n" + names.Replace(b.code)
		}
	}
	if script += "run_hook finish\n"; ran == 0 && !strings.Contains(script, "finish()") {
		return
	}
	cmd := exec.Command("timeout", "--kill-after=5", "120", "bash", "-c", script) // blocks wait for what they show
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "ADDR="+addr, "UPSTREAM="+upstream.URL, "HOME="+dir, "GOPROXY=file://"+dir+"/goproxy", "GORACE=atexit_sleep_ms=0", "FILES=files")
	if topic.Name == "postgresql" {
		cmd.Env = append(cmd.Env, "PGPASSWORD="+pgtest.Password, "POSTGRES="+database(t), "POSTGRES_EMPTY="+database(t))
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	printed := spaces.ReplaceAllString(string(out), " ")
	for line := range strings.Lines(shown) {
		if !strings.Contains(printed, spaces.ReplaceAllString(line, " ")) {
			t.Errorf("the commands do not print %q:\n%s", line, out)
		}
	}
}

var (
	heading = regexp.MustCompile(`(?m)^#{2,3} (.*)$`)
	spaces  = regexp.MustCompile(`\s+`)
	roff    = strings.NewReplacer(`\-`, "-", `\&`, "", `\\`, `\`, `\fB`, "", `\fR`, "", `\fP`, "", `\fI`, "", "\n.PP", "", `\e`, `\`)
)

// words counts the words of a text.
func words(text string) map[string]int {
	counts := map[string]int{}
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		counts[word]++
	}
	return counts
}

// TestManPages checks that the man pages have all headings, all lines of code and all words of
// the manual, that relcheck(1) has all commands, and that man shows the pages.
func TestManPages(t *testing.T) {
	missing(t, "man")
	dir := t.TempDir()
	program, err := exec.LookPath("relcheck")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "run", "-C", "tools", "./man", "-manual", "../checker/manual", "-relcheck", program, "-out", dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, topic := range manual.Topics() {
		file := filepath.Join(dir, "relcheck-"+topic.Name+".7")
		page := spaces.ReplaceAllString(roff.Replace(readText(t, file)), " ")
		var want []string
		for _, m := range heading.FindAllStringSubmatch(codeBlock.ReplaceAllString(topic.Text, ""), -1) {
			want = append(want, m[1])
		}
		for _, b := range blocksOf(topic.Text) {
			want = append(want, strings.Split(b.code, "\n")...)
		}
		for _, part := range want {
			if part = strings.TrimSpace(spaces.ReplaceAllString(part, " ")); !strings.Contains(page, part) {
				t.Errorf("%s.7 lacks %q", topic.Name, part)
			}
		}
		got := words(page)
		for word, count := range words(manual.Text(topic.Text, 1000, func(s string) string { return s })) {
			if word != "help" && got[word] < count { // a link to a topic is "relcheck help TOPIC" in the text
				t.Errorf("%s.7: %q is there %d times, want %d", topic.Name, word, got[word], count)
			}
		}
		show := exec.Command("man", "-l", file)
		show.Env = append(os.Environ(), "MANWIDTH=100", "LC_ALL=C.UTF-8", "MANPAGER=cat")
		if out, err := show.CombinedOutput(); err != nil || !strings.Contains(string(out), topic.Title) {
			t.Errorf("man shows %s.7: %v\n%.500s", topic.Name, err, out)
		}
	}
	commands := readText(t, filepath.Join(dir, "relcheck.1"))
	for _, name := range []string{"relcheck serve", "relcheck release sync", "relcheck policy", `\-\-base\-url`} {
		if !strings.Contains(commands, name) {
			t.Errorf("relcheck.1 lacks %s", name)
		}
	}
}
