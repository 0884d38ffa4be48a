package systemtest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"relcheck/checker/catalog"
	"relcheck/checker/mirror"
	"relcheck/db"
)

// richNotes are release notes with everything that Markdown can express.
var richNotes = "## What's new\n\n* **Faster** rules, see [the documentation](https://example.com/docs) by @somebody in #1234\n" +
	"* Tables, ~~old~~ *new* text and `code`:\n  1. a nested list\n  2. with [x] and two items\n\n- [x] done\n- [ ] to do\n\n" +
	"| rule | time |\n|---|--:|\n| first | 1 ms |\n| a rule with a name that is rather long for a narrow window | 2 ms |\n\n### Details\n\n```\n" +
	strings.Repeat("opa eval --data policy.rego ", 6) + "\n```\n\n> A quotation\n> of two lines.\n\n![A picture](https://example.com/picture.png)\n\n" +
	"<details><summary>Raw</summary>HTML</details>\n\n---\n\nhttps://github.com/open-policy-agent/opa/compare/v1.0.0-" + strings.Repeat("long", 20) + "...v1.1.0\n"

// hostingPages serves products with releases that have files in all states and notes, and
// with upstreams that were reached now, long ago, and never.
func hostingPages(t *testing.T) pageServer {
	t.Helper()
	ctx := context.Background()
	file, folder := filepath.Join(t.TempDir(), "hosting.db"), t.TempDir()
	hostFile(t, file, folder, "v1.1.0", "opa_linux_amd64", []byte("linux"))
	s, err := db.Open(ctx, file, readSchema())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	release := catalog.Release{Tag: "v1.1.0", Title: "Rules & tables", Date: time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC), Notes: "https://example.com/notes"}
	for _, name := range []string{"opa_linux_amd64", "opa_linux_arm64_static", "opa_darwin_amd64", "opa_darwin_arm64", "opa_freebsd_amd64", "opa_windows_amd64.exe",
		"a-file-with-a-very-long-name-that-does-not-fit-anywhere_1.1.0_linux_x86_64-unknown-linux-musl.tar.gz.sigstore.json"} {
		f := catalog.File{Name: name, URL: "https://example.com/" + name, Size: 81 << 20, SHA256: sha256Of([]byte(name))}
		switch name {
		case "opa_linux_amd64":
			f.Size, f.SHA256 = 5, sha256Of([]byte("linux"))
		case "opa_linux_arm64_static", "opa_windows_amd64.exe":
			f.Size, f.SHA256 = 0, ""
		case "opa_freebsd_amd64":
			f.SHA256, f.SHA512 = "", strings.Repeat("5", 128)
		}
		release.Files = append(release.Files, f)
	}
	old := catalog.Release{Tag: "v1.0.0", Date: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)}
	list := catalog.ListOf("list", release, old, catalog.Release{Tag: "v1.0.1", Withdrawn: true, Reason: "It does not start on machines with more than 64 processors."})
	list.Entries[0].Upstream.Text = &richNotes
	_, err = s.ImportReleases(ctx, "opa", list, true)
	must(err)
	id, err := s.ID(ctx)
	must(err)
	f, err := mirror.Create(folder, fmt.Sprintf("%016x", id))
	must(err)
	defer f.Close()
	host := func(name, content string, verified bool) (sum string) {
		t.Helper()
		c, err := f.Add(ctx, bytes.NewReader([]byte(content)), mirror.Digests{})
		must(err)
		must(s.HostFile(ctx, "opa", "v1.1.0", catalog.HostedFile{Name: name, SHA256: c.SHA256, Size: c.Size, Verified: verified, Fetched: time.Now()}))
		return c.SHA256
	}
	host("opa_linux_amd64", "linux", true)
	host("opa_linux_arm64_static", "unverified", false)
	host("opa_darwin_arm64", "changed upstream", true)
	must(s.MarkDamaged(ctx, host("opa_darwin_amd64", "opa_darwin_amd64", true), time.Now()))
	missing := host("opa_windows_amd64.exe", "missing", false)
	must(os.Remove(filepath.Join(folder, "sha256", missing[:2], missing)))
	host("opa_added_by_hand_linux_ppc64le", "by hand", false)

	upstreams := []string{"github:acme/app", "go:example.com/app", "relcheck:https://releases.example.com/a/rather/long/path/p/app"}
	must(s.AddProduct(ctx, catalog.Product{Name: "app", Title: "App", Upstreams: strings.Join(upstreams, " ")}))
	_, err = s.ImportReleases(ctx, "app", catalog.ListOf("list", catalog.Release{Tag: "v2.0.0"}), true)
	must(err)
	week := 9 * 24 * time.Hour
	must(s.RecordSync(ctx, "app", catalog.Sync{Upstream: upstreams[0], Tried: time.Now().Add(-week), Latest: "v2.0.0"}))
	must(s.RecordSync(ctx, "app", catalog.Sync{Upstream: upstreams[0], Tried: time.Now(), Error: "GET /repos/acme/app/releases: 403 Forbidden: API rate limit exceeded; it ends at 2026-11-28T23:00:00Z"}))
	must(s.RecordSync(ctx, "app", catalog.Sync{Upstream: upstreams[1], Tried: time.Now(), Latest: "v2.0.0"}))
	must(s.AddProduct(ctx, catalog.Product{Name: "new", Title: "New product", Upstreams: "github:acme/new"}))
	return servePages(t, file, "--files", folder)
}
