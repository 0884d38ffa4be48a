package systemtest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"relcheck/db"
)

// closedNetwork is a folder with the stores and the folders of files of a closed network
// and of the outside, and a key.
type closedNetwork struct {
	testing.TB
	dir string
}

// path returns the path of a file in the folder.
func (n closedNetwork) path(name string) string { return filepath.Join(n.dir, name) }

// relcheck runs a command. Arguments that begin with @ are files in the folder.
func (n closedNetwork) relcheck(args ...string) string {
	n.Helper()
	return relcheck(n, n.args(args)...)
}

func (n closedNetwork) args(args []string) (expanded []string) {
	for _, arg := range args {
		if name, ok := strings.CutPrefix(arg, "@"); ok {
			arg = n.path(name)
		}
		expanded = append(expanded, arg)
	}
	return expanded
}

// newClosedNetwork returns a folder with a store outside.db, which has releases of the
// product app, each with files of a size that an HTTP server has, and the trusted key key.
func newClosedNetwork(t testing.TB, releases, filesEach, size int) closedNetwork {
	t.Helper()
	n := closedNetwork{t, t.TempDir()}
	type asset struct {
		Name   string `json:"name"`
		URL    string `json:"browser_download_url"`
		Size   int    `json:"size"`
		Digest string `json:"digest"`
	}
	type release struct {
		Tag       string  `json:"tag_name"`
		Published string  `json:"published_at"`
		Body      string  `json:"body"`
		Assets    []asset `json:"assets"`
	}
	upstream := filepath.Join(n.dir, "upstream")
	server := httptest.NewServer(http.FileServer(http.Dir(upstream)))
	t.Cleanup(server.Close)
	random := rand.NewChaCha8([32]byte{1})
	var all []release
	for i := range releases {
		r := release{Tag: fmt.Sprintf("v1.%d.0", i), Published: fmt.Sprintf("2026-01-%02dT00:00:00Z", i+1), Body: "# Notes"}
		platforms := []string{"linux-amd64", "linux-arm64", "darwin-amd64", "darwin-arm64", "windows-amd64", "windows-arm64", "freebsd-amd64", "freebsd-arm64"}
		for _, platform := range platforms[:filesEach] {
			content := make([]byte, size)
			random.Read(content)
			sum := sha256.Sum256(content)
			name := "app-" + platform
			r.Assets = append(r.Assets, asset{name, server.URL + "/" + r.Tag + "/" + name, size, "sha256:" + hex.EncodeToString(sum[:])})
			n.write("upstream/"+r.Tag+"/"+name, content)
		}
		all = append(all, r)
	}
	list, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	n.write("releases.json", list)
	n.relcheck("product", "add", "app", "--db", "@outside.db")
	n.relcheck("release", "import", "app", "@releases.json", "--db", "@outside.db")
	n.relcheck("key", "generate", "@key")
	return n
}

func (n closedNetwork) write(name string, content []byte) {
	n.Helper()
	err := os.MkdirAll(filepath.Dir(n.path(name)), 0o755)
	if err == nil {
		err = os.WriteFile(n.path(name), content, 0o644)
	}
	if err != nil {
		n.Fatal(err)
	}
}

// sequenceColumn matches the sequence number of the product app in the output of bundle inspect.
var sequenceColumn = regexp.MustCompile(`(?m)^(app +)[0-9]+`)

// state describes the products and hosted files of a store, and the contents of its folder.
// It omits when files were hosted and bundles were applied.
func (n closedNetwork) state(store, folder string) string {
	n.Helper()
	ctx := n.Context()
	s, err := db.OpenExisting(ctx, store)
	if err != nil {
		n.Fatal(err)
	}
	defer s.Close()
	var b strings.Builder
	write := func(v any, err error) {
		text, err2 := json.Marshal(v)
		if err := errors.Join(err, err2); err != nil {
			n.Fatal(err)
		}
		b.Write(append(text, '\n'))
	}
	products, err := s.Products(ctx)
	for i := range products {
		products[i].Bundles = nil
	}
	write(products, err)
	for _, p := range products {
		for e, err := range s.Entries(ctx, p.Name) {
			write(e, err)
		}
	}
	for f, err := range s.HostedFiles(ctx) {
		f.Fetched = time.Time{}
		write(f, err)
	}
	write(s.TrustedKeys(ctx))
	for _, name := range n.contents(folder) {
		b.WriteString(name + "\n")
	}
	return b.String()
}

// contents returns the names of the files in a folder of files, except locks. The test
// fails if a file does not have the SHA-256 in its name.
func (n closedNetwork) contents(folder string) (names []string) {
	n.Helper()
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil
		}
		if err != nil || !entry.Type().IsRegular() || filepath.Base(filepath.Dir(path)) == "lock" {
			return err
		}
		text, err := os.ReadFile(path)
		sum := sha256.Sum256(text)
		name, _ := filepath.Rel(folder, path)
		if strings.HasPrefix(name, "sha256") && entry.Name() != hex.EncodeToString(sum[:]) {
			n.Errorf("got other content under %s", name)
		}
		names = append(names, name)
		return err
	})
	if err != nil {
		n.Fatal(err)
	}
	return names
}
