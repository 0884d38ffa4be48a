package systemtest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// clientRun is one run of a client.
type clientRun struct {
	*testing.T
	*clientServer
	product string // that the client asks for; unknown, in some steps
	version string // that it runs
	dir     string // folder, empty at first
	state   string // folder kept between runs
	stderr  string // what the last program printed
}

// url returns the URL of a path below that of the product.
func (r *clientRun) url(path string) string { return r.URL + "/p/" + r.product + path }

// host returns the host and port of the server.
func (r *clientRun) host() string { return strings.TrimPrefix(r.URL, "https://") }

// exec runs a program with variables added to its environment, and returns its output, or
// "" if it fails.
func (r *clientRun) exec(env []string, program string, args ...string) string {
	r.Helper()
	wgetrc := filepath.Join(r.dir, "wgetrc")
	r.write("wgetrc", "ca_certificate = "+r.ca+"\n")
	cmd := exec.Command(program, args...)
	cmd.Dir = r.dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + r.dir, "SSL_CERT_FILE=" + r.ca, "NODE_EXTRA_CA_CERTS=" + r.ca, "CURL_CA_BUNDLE=" + r.ca, "WGETRC=" + wgetrc}, env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	r.stderr = stderr.String()
	r.Logf("%s %s: %s%s(error %v)", filepath.Base(program), strings.Join(args, " "), out, r.stderr, err)
	if strings.Contains(r.stderr, "goroutine ") && r.change == nil {
		r.Errorf("%s crashes", program)
	}
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// goClient runs a client of tools/clients.
func (r *clientRun) goClient(name, url string, args ...string) string {
	r.Helper()
	return r.exec(nil, filepath.Join(r.programs, "clients"), append([]string{name, url, r.version}, args...)...)
}

// viaProxy is the environment of a Go program whose host is fixed.
func (r *clientRun) viaProxy() []string {
	return []string{"HTTPS_PROXY=" + r.URL, "CHECKPOINT_TIMEOUT=30000"} // milliseconds
}

// node runs a client of testdata/clients/run.mjs.
func (r *clientRun) node(env []string, name, url string, args ...string) string {
	r.Helper()
	return r.exec(env, "node", append([]string{filepath.Join(r.modules, "run.mjs"), name, url, r.version}, args...)...)
}

// write writes a file of the run and returns its path.
func (r *clientRun) write(name, text string) string {
	r.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		r.Fatal(err)
	}
	return path
}

// program returns a program that prints its version.
func program(version string) string {
	return "#!/bin/sh\necho " + strings.TrimPrefix(version, "v") + "\n"
}

// someFiles returns an archive of the program app and a file with its checksum.
func someFiles(version string) map[string][]byte {
	var archive bytes.Buffer
	z := gzip.NewWriter(&archive)
	w := tar.NewWriter(z)
	text := program(version)
	w.WriteHeader(&tar.Header{Name: "app", Mode: 0o755, Size: int64(len(text))})
	w.Write([]byte(text))
	w.Close()
	z.Close()
	const name = "app_linux_amd64.tar.gz"
	return map[string][]byte{name: archive.Bytes(), "checksums.txt": []byte(sha256Of(archive.Bytes()) + "  " + name + "\n")}
}

// noFiles returns no files.
func noFiles(string) map[string][]byte { return nil }

// electronFiles returns what electron-builder publishes.
func electronFiles(version string) map[string][]byte {
	text := program(version)
	sum := sha512.Sum512([]byte(text))
	number, digest := strings.TrimPrefix(version, "v"), base64.StdEncoding.EncodeToString(sum[:])
	name := "app-" + number + ".AppImage"
	feed := fmt.Sprintf("version: %s\nfiles:\n  - url: %s\n    sha512: %s\n    size: %d\npath: %s\nsha512: %s\nreleaseDate: '2026-01-02T00:00:00.000Z'\n",
		number, name, digest, len(text), name, digest)
	return map[string][]byte{name: []byte(text), "latest-linux.yml": []byte(feed)}
}

// ghTag matches the tag in the output of gh release view.
var ghTag = regexp.MustCompile(`(?m)^tag:\t(.*)$`)

// runGH views and downloads the latest release with GitHub's command-line tool.
func runGH(r *clientRun) string {
	gh := func(args ...string) string {
		r.Helper()
		env := []string{"GH_ENTERPRISE_TOKEN=example-token", "GH_CONFIG_DIR=" + r.dir, "GH_NO_UPDATE_NOTIFIER=1", "GH_PROMPT_DISABLED=1"}
		return r.exec(env, "gh", append([]string{"release"}, append(args, "--repo", r.host()+"/me/"+r.product)...)...)
	}
	if list := gh("list"); list != "" {
		r.Errorf("gh release list: got %s, want an error", list)
	}
	m := ghTag.FindStringSubmatch(gh("view"))
	if m == nil {
		return ""
	}
	if again := ghTag.FindStringSubmatch(gh("view", m[1])); again == nil || again[1] != m[1] {
		r.Errorf("gh release view %s: got tag %q", m[1], again)
	}
	gh("download", m[1])
	gh("download", "--dir", "latest", "--pattern", "*.tar.gz")
	for name, content := range someFiles(m[1]) {
		if got, err := os.ReadFile(filepath.Join(r.dir, name)); err != nil || !bytes.Equal(got, content) {
			r.Errorf("gh release download: got file %s with %d bytes (error %v), want %d", name, len(got), err, len(content))
		}
	}
	return m[1]
}
