package systemtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"
)

// closedNetworkFolder is the environment variable with the folder of TestClosedNetwork. It
// is set in the process inside the network namespace.
const closedNetworkFolder = "SYSTEMTEST_CLOSED_NETWORK"

const (
	insideHost = "relcheck.inside"
	opaHost    = "openpolicyagent.org" // where OPA v1.7 and later look for downloads
)

// TestClosedNetwork carries a bundle into a network namespace without any route. Inside, a
// server, real Open Policy Agents, curl and a browser run. Every link in an answer must
// work, and no packet may leave.
func TestClosedNetwork(t *testing.T) {
	if folder := os.Getenv(closedNetworkFolder); folder != "" {
		testInside(t, folder)
		return
	}
	t.Parallel()
	browserModules(t)
	for _, opa := range opaReleases {
		opa.binary(t)
	}
	for _, program := range []string{"ip", "curl"} {
		if _, err := exec.LookPath(program); err != nil {
			missing(t, program)
		}
	}
	n := closedNetwork{t, t.TempDir()}
	n.createBundle()
	n.runInside(t)
}

// runInside runs a test in another process inside a new network namespace, which has the
// folder in its environment.
func (n closedNetwork) runInside(t *testing.T) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), closedNetworkFolder+"="+n.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Unshareflags: syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) {
		missing(t, "permission to create a network namespace")
	}
	if err != nil {
		t.Errorf("inside: %v", err)
	}
	t.Logf("%s", out)
	if bytes.Contains(out, []byte("--- SKIP")) {
		t.Skip("skipped inside the namespace")
	}
}

// githubAsset and githubRelease are parts of a list in the format of GitHub's API.
type githubAsset struct {
	Name   string `json:"name"`
	URL    string `json:"browser_download_url"`
	Size   int    `json:"size"`
	Digest string `json:"digest"`
}

type githubRelease struct {
	Tag       string        `json:"tag_name"`
	Page      string        `json:"html_url"`
	Published string        `json:"published_at"`
	Body      string        `json:"body"`
	Assets    []githubAsset `json:"assets"`
}

// createBundle creates the file bundle outside. It contains two releases of app for three
// platforms, and leaves out a fourth. The product opa has only a template for its links.
func (n closedNetwork) createBundle() {
	const outside = "https://github.com/acme/app/releases"
	db, files := []string{"--db", "@outside.db"}, []string{"--db", "@outside.db", "--files", "@outside"}
	run := func(flags []string, args ...string) { n.relcheck(append(args, flags...)...) }
	var list []githubRelease
	for _, tag := range []string{"v1.0.0", "v1.1.0"} {
		r := githubRelease{Tag: tag, Page: outside + "/tag/" + tag, Published: "2026-01-02T00:00:00Z",
			Body: "## Changes\n\nSee [the documentation](https://docs.example/) and ![a picture](https://docs.example/a.png)."}
		for _, name := range []string{"app-linux-amd64", "app-linux-arm64", "app-darwin-arm64", "app-windows-amd64.exe"} {
			content := []byte("content of " + name + " " + tag)
			n.write(tag+"/"+name, content)
			r.Assets = append(r.Assets, githubAsset{name, outside + "/download/" + tag + "/" + name, len(content), "sha256:" + sha256Of(content)})
		}
		list = append(list, r)
	}
	text, err := json.Marshal(list)
	if err != nil {
		n.Fatal(err)
	}
	n.write("app.json", text)
	if text, err = json.Marshal([]githubRelease{{Tag: "v9.0.0", Page: "https://github.com/open-policy-agent/opa/releases/tag/v9.0.0", Body: "Faster."}}); err != nil {
		n.Fatal(err)
	}
	n.write("opa.json", text)
	run(db, "product", "add", "app", "--repo", "acme/app", "--upstream", "file:"+n.path("app.json"))
	run(db, "product", "set", "opa", "--upstream", "file:"+n.path("opa.json"))
	run(db, "release", "sync", "app", "opa")
	for _, r := range list {
		for _, a := range r.Assets {
			run(files, "file", "add", "app", r.Tag, "@"+r.Tag+"/"+a.Name)
		}
	}
	for _, name := range []string{"opa_linux_amd64", "opa_linux_arm64"} {
		n.write(name, []byte("content of "+name))
		run(files, "file", "add", "opa", "v9.0.0", "@"+name)
	}
	run(nil, "key", "generate", "@key")
	run(files, "bundle", "create", "@bundle", "--key", "@key", "--platform", "linux/amd64,linux/arm64,darwin/arm64")
}

var hostedOnly bool

// inside is the closed network.
type inside struct {
	closedNetwork
	url     string
	token   string            // for the API
	content map[string]bool   // SHA-256 of the contents of the bundle
	found   map[string]string // where each link was found
}

// testInside is the part of TestClosedNetwork inside the network namespace.
func testInside(t *testing.T, folder string) {
	n := &inside{closedNetwork: closedNetwork{t, folder}, content: map[string]bool{}}
	n.setNames()
	ipCommand(t, "link", "set", "lo", "up")
	n.relcheck("key", "trust", "@key.pub", "--db", "@inside.db")
	n.relcheck("bundle", "apply", "@bundle", "--db", "@inside.db", "--files", "@inside")
	if hostedOnly = strings.Contains(n.relcheck("product", "set", "--help"), "--links"); hostedOnly {
		n.relcheck("product", "set", "opa", "--links", "hosted-only", "--notes-here", "--db", "@inside.db") // exists in every store
	} else {
		n.relcheck("product", "set", "opa", "--notes-here", "--db", "@inside.db")
		n.relcheck("product", "set", "app", "--notes-here", "--db", "@inside.db")
	}
	for _, name := range n.contents(n.path("inside")) {
		if sum := filepath.Base(name); strings.HasPrefix(name, "sha256") {
			n.content[sum] = true
		}
	}
	if len(n.content) != 8 {
		t.Fatalf("got %d files from the bundle, want 3 for each release of app and 2 of opa", len(n.content))
	}
	n.token = strings.TrimSpace(n.relcheck("token", "add", "test", "--db", "@inside.db"))
	server := n.start("--files", n.path("inside"))
	t.Run("no route", n.followAll)
	up := newUplink(t)
	t.Run("default route", n.followAll)
	if hostedOnly {
		t.Run("browser", n.browse)
	}
	if sent := up.sent(); sent != "" {
		t.Errorf("got packets that left the network, want none:\n%s", sent)
	}
	server.stop(t)
	n.control(t, up)
}

// setNames sets what the hosts file and the DNS resolver of the namespace know, and creates
// the certificate that all programs trust.
func (n *inside) setNames() {
	pair := newKeyPair(n, 1, insideHost, opaHost)
	n.write("cert.pem", pair.cert)
	n.write("key.pem", pair.key)
	n.write("hosts", []byte("127.0.0.1 localhost "+insideHost+" "+opaHost+"\n"))
	n.write("resolv.conf", []byte("nameserver 198.51.100.53\noptions timeout:1 attempts:1\n"))
	for _, name := range []string{"hosts", "resolv.conf"} {
		if err := unix.Mount(n.path(name), "/etc/"+name, "", unix.MS_BIND, ""); err != nil {
			n.Fatalf("mount /etc/%s: %v", name, err)
		}
	}
	os.Setenv("SSL_CERT_FILE", n.path("cert.pem"))
}

// start starts the server with flags.
func (n *inside) start(flags ...string) *process {
	n.Helper()
	p := serve(n.TB, n.path("inside.db"), append([]string{"--listen", "127.0.0.1:443", "--base-url", "https://" + insideHost, "--public-stats",
		"--tls-cert", n.path("cert.pem"), "--tls-key", n.path("key.pem")}, flags...)...)
	n.url = "https://" + insideHost
	return p
}

// curl requests a URL and returns the body, or an error with what curl prints.
func (n *inside) curl(args ...string) ([]byte, error) {
	var stderr bytes.Buffer
	cmd := exec.Command("curl", append([]string{"--silent", "--show-error", "--fail", "--location", "--max-time", "5", "--cacert", n.path("cert.pem")}, args...)...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	return out, err
}

// answer requests an answer of the server and adds the links in it.
func (n *inside) answer(path string, args ...string) []byte {
	n.Helper()
	body, err := n.curl(append(args, n.url+path)...)
	if err != nil {
		n.Errorf("%s: %v", path, err)
	}
	return body
}

// anyLink matches a link in text or JSON.
var anyLink = regexp.MustCompile(`https?://[^\s"'<>\\)]+`)

// addLinks adds all links in a text.
func (n *inside) addLinks(from, text string) {
	for _, link := range anyLink.FindAllString(text, -1) {
		n.found[link] = from
	}
}

// pageLink matches a link in a page. pageNotes matches the notes of a release, whose links
// are upstream's text.
var (
	pageLink  = regexp.MustCompile(`<(?:a|link|img|script)\s[^>]*(?:href|src)="([^"]*)"`)
	pageNotes = regexp.MustCompile(`(?s)<section aria-labelledby="notes".*?</section>`)
)

// addPage adds all links in a page.
func (n *inside) addPage(path string) {
	base, err := url.Parse(n.url + path)
	if err != nil {
		n.Fatal(err)
	}
	text := pageNotes.ReplaceAll(n.answer(path, "-H", "Accept: text/html"), nil)
	for _, m := range pageLink.FindAllSubmatch(text, -1) {
		link, err := base.Parse(html.UnescapeString(string(m[1])))
		if err != nil {
			n.Errorf("page %s: link %s: %v", path, m[1], err)
			continue
		}
		link.Fragment = ""
		n.found[link.String()] = "page " + path
	}
}

// addAnswers adds the links in all answers of the server and of programs that use it.
func (n *inside) addAnswers() {
	for product, path := range map[string]string{"app": "/p/app", "opa": ""} {
		for _, platform := range []string{"linux, amd64", "linux, arm64", "darwin, arm64", "windows, amd64", "plan9, 386"} {
			n.addLinks("report of "+product+" on "+platform, string(n.answer(path+"/v1/version", "-A", "Test/1.0.0 ("+platform+")", "-H", "Content-Type: application/json",
				"-d", `{"id":"`+uuid.NewString()+`","version":"v0.1.0"}`)))
		}
		n.addGitHub(product)
		n.addAPI(product)
		for _, page := range []string{"", "/releases", "/connect"} {
			n.addPage("/products/" + product + page)
		}
	}
	for _, page := range []string{"/", "/connect", "/privacy", "/products/app/releases/v1.1.0", "/products/app/releases/v1.0.0", "/products/opa/releases/v9.0.0"} {
		n.addPage(page)
	}
	for _, product := range []string{"app", "opa"} {
		for _, args := range [][]string{{}, {"--json"}, {"--platform", "windows/amd64"}} {
			n.addLinks("relcheck check", n.relcheck(append([]string{"check", "--product", product, "--as", "0.1.0", "--url", n.url}, args...)...))
		}
	}
}

// addGitHub adds the links in GitHub's form of the latest release of a product, except those
// in upstream's notes, and those to archives of the source code and to uploads, which the form
// requires and the server does not have.
func (n *inside) addGitHub(product string) {
	var release map[string]any
	if err := json.Unmarshal(n.answer("/p/"+product+"/repos/a/b/releases/latest"), &release); err != nil {
		n.Fatal(err)
	}
	for _, field := range []string{"body", "tarball_url", "zipball_url", "upload_url"} {
		delete(release, field)
	}
	text, err := json.Marshal(release)
	if err != nil {
		n.Fatal(err)
	}
	n.addLinks("GitHub's form for "+product, string(text))
}

// addAPI adds the links in the API's answers about the releases of a product, except in what
// they quote of upstream's list.
func (n *inside) addAPI(product string) {
	path := "/api/v1/products/" + product + "/releases"
	var list struct {
		Releases []map[string]any `json:"releases"`
	}
	authorization := "Authorization: Bearer " + n.token
	if err := json.Unmarshal(n.answer(path, "-H", authorization), &list); err != nil || len(list.Releases) == 0 {
		n.Fatalf("%s: got %v (error %v), want some releases", path, list, err)
	}
	for _, r := range list.Releases {
		details := map[string]any{}
		if err := json.Unmarshal(n.answer(path+"/"+r["version"].(string), "-H", authorization), &details); err != nil {
			n.Fatal(err)
		}
		for _, quoted := range []string{"body", "notes", "upstream", "operator"} {
			delete(details, quoted) // it shows what the list of upstream contains
			delete(r, quoted)
		}
		for _, answer := range []map[string]any{r, details} {
			text, err := json.Marshal(answer)
			if err != nil {
				n.Fatal(err)
			}
			n.addLinks("API of "+product, string(text))
		}
	}
}

// addOPA adds the links that real Open Policy Agents show.
func (n *inside) addOPA(t *testing.T) {
	for _, g := range opaReleases {
		opa, env := g.binary(t), g.variable+"="+n.url
		out := opaVersion(t, opa, env)
		_, links, _ := strings.Cut(out, "Latest Upstream Version: 9.0.0\n")
		log := opaRun(t, opa, env, "is out of date")
		download := n.url + "/files/opa/v9.0.0/opa_linux_amd64"
		if !g.reports { // it makes the link itself
			download = "https://" + opaHost + "/downloads/v9.0.0/opa_linux_amd64"
		}
		notes := n.url + "/products/opa/releases/v9.0.0"
		if links != "Download: "+download+"\nRelease Notes: "+notes+"\n" || log["download_opa"] != download || log["release_notes"] != notes {
			t.Errorf("opa %s: got output %q and log %v, want download %s and release notes %s", g.version, out, log, download, notes)
		}
		n.addLinks("opa "+g.version, links)
	}
}

// followAll follows all links in answers.
func (n *inside) followAll(t *testing.T) {
	n.TB, n.found = t, map[string]string{}
	n.addAnswers()
	n.addOPA(t)
	downloads := map[string]bool{}
	for _, link := range slices.Sorted(maps.Keys(n.found)) {
		if !hostedOnly && !strings.HasPrefix(link, n.url) && (strings.Contains(link, "windows") || strings.Contains(link, "plan9") || strings.Contains(link, "opa_darwin") || strings.Contains(link, "/tag/")) {
			continue
		}
		body, err := n.curl(link)
		if err != nil {
			t.Errorf("link %s in %s: %v", link, n.found[link], err)
			continue
		}
		if !strings.Contains(link, "/files/") && !strings.Contains(link, "/downloads/") {
			continue
		}
		sum := sha256Of(body)
		if strings.HasSuffix(link, ".sha256") {
			sum, _, _ = strings.Cut(string(body), " ")
		}
		downloads[sum] = true
		if !n.content[sum] {
			t.Errorf("link %s in %s: got %.80q, want a file of the bundle", link, n.found[link], body)
		}
	}
	if !maps.Equal(downloads, n.content) {
		t.Errorf("got links to %d files of the bundle, want to all %d: %q", len(downloads), len(n.content), slices.Sorted(maps.Keys(n.found)))
	}
}

// browse follows links in a browser.
func (n *inside) browse(t *testing.T) {
	n.TB = t
	link := strings.TrimSpace(n.relcheck("token", "link", "--db", "@inside.db", "--base-url", n.url))
	config, err := json.Marshal(map[string]any{"base": n.url, "link": link, "releases": []string{"/products/app/releases/v1.1.0", "/products/opa/releases/v9.0.0"},
		"downloads": []string{"https://" + opaHost + "/downloads/v9.0.0/opa_linux_amd64"}})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", "testdata/browser/closed.mjs", browserModules(t))
	cmd.Stdin = bytes.NewReader(config)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("browser: %v\n%s", err, out)
	}
	files := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		if sum, ok := strings.CutPrefix(line, "file "); ok {
			files[strings.TrimSpace(sum)] = true
		}
	}
	for sum := range files {
		if !n.content[sum] {
			t.Errorf("browser: got a file with SHA-256 %s, want one of the bundle", sum)
		}
	}
	if len(files) != 5 {
		t.Errorf("browser: got %d files, want the 3 of the latest release of app and the 2 of opa\n%s", len(files), out)
	}
}

// control checks that a client that follows a link to the outside sends packets, which the
// test then sees.
func (n *inside) control(t *testing.T, up *uplink) {
	n.TB = t
	for _, c := range []struct {
		name, links string
		flags       []string
	}{
		{"without --files", "hosted", nil},
		{"links of upstream", "upstream", []string{"--files", n.path("inside")}},
	} {
		if hostedOnly {
			n.relcheck("product", "set", "app", "--links", c.links, "--db", "@inside.db")
		} else {
			n.relcheck("product", "set", "app", fmt.Sprintf("--upstream-links=%t", c.links == "upstream"), "--db", "@inside.db")
		}
		p := n.start(c.flags...)
		var answer struct {
			Assets []githubAsset
		}
		if err := json.Unmarshal(n.answer("/p/app/repos/a/b/releases/latest"), &answer); err != nil || len(answer.Assets) == 0 {
			t.Fatalf("%s: got %+v (error %v), want assets", c.name, answer, err)
		}
		if sent := up.sent(); sent != "" {
			t.Errorf("%s: got packets before a link is followed:\n%s", c.name, sent)
		}
		if body, err := n.curl(answer.Assets[0].URL); err == nil {
			t.Errorf("%s: got %.80q from %s, want an error", c.name, body, answer.Assets[0].URL)
		}
		if sent := up.sent(); !strings.Contains(sent, "UDP to 198.51.100.53 port 53") {
			t.Errorf("%s: got packets %q, want a request to the DNS server for the host of %s", c.name, sent, answer.Assets[0].URL)
		}
		p.stop(t)
	}
}
