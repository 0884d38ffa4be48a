package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/CycloneDX/cyclonedx-go"
	"github.com/santhosh-tekuri/jsonschema/v5"
	"golang.org/x/mod/sumdb/note"
)

var (
	platforms = flag.String("platforms", "linux/"+runtime.GOARCH, "platforms that the tests build, separated by spaces")
	earlier   = flag.String("earlier", "10e6903", "commit whose package is upgraded")
)

// temp is a folder for files that several tests use.
var temp string

func TestMain(m *testing.M) {
	var err error
	if temp, err = os.MkdirTemp("", "relcheck-dist-test"); err != nil {
		log.Fatal(err)
	}
	status := m.Run()
	os.RemoveAll(temp)
	os.Exit(status)
}

// releases are two results of this commit, built in different folders and signed.
type releases struct {
	folders   [2]string
	publicKey string
}

var built = sync.OnceValues(func() (r releases, err error) {
	secret, public, err := note.GenerateKey(rand.Reader, "release")
	if err != nil {
		return r, err
	}
	r.publicKey = public
	key := filepath.Join(temp, "release.key")
	if err := os.WriteFile(key, []byte(secret+"\n"), 0o600); err != nil {
		return r, err
	}
	head, err := exec.Command("git", "rev-parse", "HEAD").Output()
	if err != nil {
		return r, err
	}
	for i := range r.folders {
		if r.folders[i], err = distOf(strings.TrimSpace(string(head)), "-key", key); err != nil {
			return r, err
		}
	}
	return r, nil
})

// dists builds this commit, unless an earlier test has.
func dists(t *testing.T) releases {
	t.Helper()
	r, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// distOf builds a commit in a new clone and returns the folder with the results.
func distOf(commit string, flags ...string) (string, error) {
	folder, err := os.MkdirTemp(temp, "clone")
	if err != nil {
		return "", err
	}
	for _, args := range [][]string{
		{"git", "clone", "--quiet", "--no-checkout", "../..", folder},
		{"git", "-C", folder, "checkout", "--quiet", commit},
	} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("%s: %w\n%s", args, err, out)
		}
	}
	flags = append([]string{"-source", folder, "-platforms", *platforms}, flags...)
	return filepath.Join(folder, "dist"), run(context.Background(), flags)
}

// result returns the path of the only result whose name ends with suffix.
func result(t *testing.T, suffix string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dists(t).folders[0], "*"+suffix))
	if err != nil || len(names) != 1 {
		t.Fatalf("got %d results *%s, want 1: %v", len(names), suffix, err)
	}
	return names[0]
}

// missing skips a test that needs something that this machine does not have. In CI it fails the
// test.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal("missing: " + what)
	}
	t.Skip("missing: " + what)
}

// need calls [missing] if a test needs root or programs that are missing.
func need(t *testing.T, root bool, programs ...string) {
	t.Helper()
	if root && os.Geteuid() != 0 {
		missing(t, "root")
	}
	absent := slices.DeleteFunc(programs, func(name string) bool {
		_, err := exec.LookPath(name)
		return err == nil
	})
	if len(absent) > 0 {
		missing(t, strings.Join(absent, ", "))
	}
}

// output runs a command and returns what it prints.
func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// Two builds of a commit in different folders have the same bytes.
func TestSameBytes(t *testing.T) {
	r := dists(t)
	entries, err := os.ReadDir(r.folders[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		var sums [2][32]byte
		for i, folder := range r.folders {
			data, err := os.ReadFile(filepath.Join(folder, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			sums[i] = sha256.Sum256(data)
		}
		t.Logf("%x  %s", sums[0], e.Name())
		if sums[0] != sums[1] {
			t.Errorf("%s: got SHA-256 %x and %x, want the same", e.Name(), sums[0], sums[1])
		}
	}
	if want := 6; len(entries) < want {
		t.Errorf("got %d results, want at least %d", len(entries), want)
	}
}

// The checksums cover all results, and are signed.
func TestChecksums(t *testing.T) {
	r := dists(t)
	first := r.folders[0]
	text, err := os.ReadFile(filepath.Join(first, checksumsName))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := os.ReadFile(filepath.Join(first, checksumsName+noteSuffix))
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := note.NewVerifier(r.publicKey)
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil || n.Text != string(text) {
		t.Errorf("got signed text %q and error %v, want %q", n.Text, err, text)
	}
	entries, err := os.ReadDir(first)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(first, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		line := fmt.Sprintf("%x  %s\n", sha256.Sum256(data), e.Name())
		if strings.HasPrefix(e.Name(), "relcheck_") != strings.Contains(string(text), line) {
			t.Errorf("checksum of %s: got\n%s", e.Name(), text)
		}
	}
}

// The commands of the manual verify the checksums and the signature.
func TestVerify(t *testing.T) {
	r, program := dists(t), install(t)
	key := filepath.Join(t.TempDir(), "release.key.pub")
	if err := os.WriteFile(key, []byte(r.publicKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	output(t, program, "key", "verify", filepath.Join(r.folders[0], "SHA256SUMS.note"), "--key", key)
	c := exec.Command("sha256sum", "--check", "--ignore-missing", "SHA256SUMS")
	c.Dir = r.folders[0]
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("sha256sum: %v\n%s", err, out)
	}
}

// A folder with other files is not emptied.
func TestOtherFiles(t *testing.T) {
	folder := t.TempDir()
	name := filepath.Join(folder, "notes.txt")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := run(t.Context(), []string{"-source", "../..", "-out", folder})
	if err == nil || !strings.Contains(err.Error(), "contains notes.txt") {
		t.Errorf("got error %v, want one that names notes.txt", err)
	}
	if _, err := os.Stat(name); err != nil {
		t.Error(err)
	}
}

// The list of modules follows the schema of CycloneDX, and has exactly the modules whose
// packages are in the program.
func TestModules(t *testing.T) {
	data, err := os.ReadFile(result(t, "modules.cdx.json"))
	if err != nil {
		t.Fatal(err)
	}
	library := strings.TrimSpace(output(t, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go"))
	compiler := jsonschema.NewCompiler()
	compiler.LoadURL = func(string) (io.ReadCloser, error) { return nil, fmt.Errorf("not in the folder of schemas") }
	for url, file := range map[string]string{"bom-1.6.schema.json": "bom-1.6.schema.json", "spdx.schema.json": "spdx.schema.json", "jsf-0.82.schema.json": "jsf-0.82.schemax.json"} {
		f, err := os.Open(filepath.Join(library, "schema", file))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := compiler.AddResource("http://cyclonedx.org/schema/"+url, f); err != nil {
			t.Fatal(err)
		}
	}
	schema, err := compiler.Compile("http://cyclonedx.org/schema/bom-1.6.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var value any
	if err := json.Unmarshal(data, &value); err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(value); err != nil {
		t.Errorf("%#v", err)
	}
	var bom cyclonedx.BOM
	if err := cyclonedx.NewBOMDecoder(bytes.NewReader(data), cyclonedx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range *bom.Components {
		got = append(got, c.Name+"@"+c.Version)
	}
	want := []string{"std@" + strings.TrimPrefix(runtime.Version(), "go")}
	for _, p := range strings.Fields(*platforms) {
		system, arch, _ := strings.Cut(p, "/")
		c := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}}@{{.Version}}{{end}}{{end}}", ".")
		c.Dir, c.Env = "../..", append(os.Environ(), "CGO_ENABLED=0", "GOOS="+system, "GOARCH="+arch)
		out, err := c.Output()
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, strings.Fields(string(out))...)
	}
	slices.Sort(got)
	slices.Sort(want)
	if want = slices.Compact(want); !slices.Equal(got, want) {
		t.Errorf("got modules\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// install unpacks the program of this machine and returns its path.
func install(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	output(t, "tar", "-xzf", result(t, "_linux_"+runtime.GOARCH+".tar.gz"), "--strip-components=1", "-C", folder)
	return filepath.Join(folder, "relcheck")
}

// The program in the archive knows its version, and is beside all other files.
func TestArchive(t *testing.T) {
	program := install(t)
	out := output(t, program, "version")
	name := filepath.Base(result(t, ".deb"))
	if version := strings.Split(name, "_")[1]; !strings.Contains(out, "Version: "+version+"\n") {
		t.Errorf("got %q, want version %s", out, version)
	}
	for _, name := range append(manPages(t), "README.txt", "CHANGELOG.md", "completions/relcheck.bash", "completions/_relcheck", "completions/relcheck.fish",
		"systemd/relcheck.service", "systemd/relcheck.sysusers", "systemd/relcheck.default", "examples/grafana-dashboard.json", "examples/prometheus-rules.yml") {
		if _, err := os.Stat(filepath.Join(filepath.Dir(program), name)); err != nil {
			t.Error(err)
		}
	}
}

// manPages returns the names of all man pages in an archive: one of all commands, and one for
// each topic of the manual.
func manPages(t *testing.T) []string {
	t.Helper()
	topics, err := filepath.Glob("../../checker/manual/*.md")
	if err != nil || len(topics) < 20 {
		t.Fatalf("got %d topics of the manual and error %v, want at least 20", len(topics), err)
	}
	pages := []string{"man/relcheck.1"}
	for _, topic := range topics {
		pages = append(pages, "man/relcheck-"+strings.TrimSuffix(filepath.Base(topic), ".md")+".7")
	}
	return pages
}

// freeAddress returns an address on which nothing listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
