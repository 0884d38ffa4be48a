package server_test

import (
	"cmp"
	"os"
	"strings"
	"testing"
)

// TestFileChangesOnDisk changes a served file on disk in several ways. The file must not be
// served until it is stored again.
func TestFileChangesOnDisk(t *testing.T) {
	content := strings.Repeat("content ", 30_000)
	for name, change := range map[string]func(path string) error{
		"a byte": func(path string) error {
			return os.WriteFile(path, []byte("C"+content[1:]), 0o644)
		},
		"a byte, same time": func(path string) error {
			info, err := os.Stat(path)
			if err == nil {
				err = os.WriteFile(path+"x", []byte("C"+content[1:]), 0o644)
			}
			return cmp.Or(err, os.Chtimes(path+"x", info.ModTime(), info.ModTime()), os.Rename(path+"x", path))
		},
		"truncated": func(path string) error { return os.Truncate(path, 1000) },
		"empty":     func(path string) error { return os.Truncate(path, 0) },
		"longer":    func(path string) error { return os.WriteFile(path, []byte(content+"x"), 0o644) },
		"removed":   os.Remove,
		"a folder":  func(path string) error { return cmp.Or(os.Remove(path), os.Mkdir(path, 0o755)) },
		"a link":    func(path string) error { return cmp.Or(os.Remove(path), os.Symlink("/etc/hostname", path)) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newFileService(t, false)
			s.newProduct(t, "app", "").want("201", "PUT", "v1", `{"assets":{"linux/amd64":"https://e.com/a.zip"}}`)
			s.host(t, "app", "v1", "a.zip", content, true)
			if got := s.get(t, "GET", "/files/app/v1/a.zip"); got.body != content {
				t.Fatalf("before the change: got %d bytes, want %d", len(got.body), len(content))
			}
			if err := change(s.pathOf(content)); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if got := s.get(t, "GET", "/files/app/v1/a.zip"); got.StatusCode != 503 || strings.Contains(got.body, "content c") {
					t.Errorf("after the change: got status %d and %.60q, want 503", got.StatusCode, got.body)
				}
			}
			s.load(t)
			if got, _, _ := s.links(t, "app"); got != "https://e.com/a.zip" {
				t.Errorf("after the change: got download %q, want upstream's", got)
			}
			damaged := 0
			for f := range s.store.HostedFiles(t.Context()) {
				if !f.Damaged.IsZero() {
					damaged++
				}
			}
			if want := map[bool]int{true: 0, false: 1}[name == "removed" || name == "a folder" || name == "a link"]; damaged != want {
				t.Errorf("after the change: got %d damaged files in the store, want %d", damaged, want)
			}
			if name == "a folder" {
				os.Remove(s.pathOf(content))
			}
			s.host(t, "app", "v1", "a.zip", content, true)
			if got := s.get(t, "GET", "/files/app/v1/a.zip"); got.body != content {
				t.Errorf("stored again: got status %d and %d bytes, want %d", got.StatusCode, len(got.body), len(content))
			}
		})
	}
}
