package systemtest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRefusedCommandsCreateNothing runs commands that are refused on a store that does not exist
// yet. None of them may create it, or a folder of files.
func TestRefusedCommandsCreateNothing(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) {
		name := filepath.Join(t.TempDir(), "relcheck.db")
		testRefusals(t, name, name+": no such file")
	})
	t.Run("PostgreSQL", func(t *testing.T) { testRefusals(t, database(t), "no relcheck store found") })
}

func testRefusals(t *testing.T, name, missing string) {
	folder := t.TempDir()
	at := func(name string) string { return filepath.Join(folder, name) }
	other := at("other.db")
	relcheck(t, "product", "add", "app", "--db", other)
	relcheck(t, "release", "add", "app", "v1.0.0", "--db", other)
	for file, text := range map[string]string{"text": "text", "owned/store": "0123456789abcdef\n"} {
		if err := os.MkdirAll(filepath.Dir(at(file)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at(file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	serve := func(flags ...string) []string {
		return append([]string{"serve", "--listen", "127.0.0.1:0", "--db", name}, flags...)
	}
	for _, c := range []struct {
		want string // in the output
		args []string
	}{
		{"belongs to store 0123456789abcdef", serve("--files", at("owned"))},
		{"not a folder", serve("--files", at("text"))},
		{"not a folder", serve("--files", at("text/below"))},
		{"create the folder of files", serve("--files", "/proc/files")},
		{"--fetch-on-demand has no effect", serve("--fetch-on-demand")},
		{"back up to", serve("--backup-dir", at("none"))},
		{"back up to", serve("--backup-dir", at("text"))},
		{"--backup-keep: 0", serve("--backup-dir", folder, "--backup-keep", "0")},
		{"--backup-every has no effect", serve("--backup-every", "1h")},
		{"--dialects", serve("--dialects", at("none"))},
		{"--tls-cert", serve("--tls-cert", at("none"), "--tls-key", at("none"))},
		{"--tls-cert", serve("--tls-cert", at("text"), "--tls-key", at("text"))},
		{"must be used together", serve("--tls-cert", at("text"))},
		{"--token-file", serve("--token-file", at("none"))},
		{"--token-file", serve("--token-file", at("none"), "--sync-every", "1h")},
		{"--metrics-listen", serve("--metrics-listen", "none")},
		{"--listen", serve("--listen", "none")},
		{"--base-url", serve("--base-url", "example.com")},
		{"--source-rate", serve("--source-rate", "-1")},
		{"--public-threshold", serve("--public-stats", "--public-threshold", "0")},
		{"--trusted-proxy", serve("--trusted-proxy", "0.0.0.0/0")},
		{"unexpected argument", serve("extra")},

		{"product opa already exists", []string{"product", "add", "opa", "--db", name}},
		{"--download", []string{"product", "add", "app", "--download", "{file}", "--db", name}},
		{"there is no preset", []string{"product", "add", "--preset", "none", "--db", name}},
		{"there is no store at", []string{"release", "add", "none", "v1.0.0", "--db", name}},
		{"--date", []string{"release", "add", "opa", "v1.0.0", "--date", "soon", "--db", name}},
		{"no such file", []string{"release", "import", "opa", at("none"), "--db", name}},
		{"nothing was imported", []string{"release", "import", "opa", at("text"), "--db", name}},
		{"there is no store at", []string{"release", "sync", "none", "--db", name}},
		{"--scope", []string{"token", "add", "app", "--scope", "none", "--db", name}},
		{"--base-url", []string{"token", "link", "--base-url", "none", "--db", name}},
		{at("text"), []string{"key", "trust", at("text"), "--db", name}},
		{"there is no store at", []string{"simulate", "--days", "2", "--product", "none", "--db", name}},
		{"--instances", []string{"simulate", "--days", "2", "--instances", "0", "--db", name}},
		{"no such file", []string{"copy", "--from", at("none"), "--to", name}},
		{"not a relcheck database", []string{"copy", "--from", at("text"), "--to", name}},
		{"not exist", []string{"restore", at("none"), "--db", name}},
		{"not a relcheck database", []string{"restore", at("text"), "--db", name}},
		{missing, []string{"file", "add", "opa", "v1.0.0", at("text"), "--files", at("files"), "--db", name}},
		{"create.sqlite", []string{"doctor", "create.sqlite"}},

		{"not found", []string{"file", "add", "app", "v2.0.0", at("text"), "--files", at("files"), "--db", other}},
		{"no such file", []string{"file", "add", "app", "v1.0.0", at("none"), "--files", at("files"), "--db", other}},
		{"--parallel", []string{"file", "fetch", "app", "--parallel", "0", "--files", at("files"), "--db", other}},
		{"no link to a file", []string{"file", "fetch", "app", "--files", at("files"), "--db", other}},
	} {
		out, status := relcheckStatus(t, c.args...)
		if status == 0 || !strings.Contains(out, c.want) || strings.Contains(out, "created ") {
			t.Errorf("relcheck %s: got exit status %d and %s\nwant a failure, %q and no store", strings.Join(c.args, " "), status, out, c.want)
		}
		if out, status := relcheckStatus(t, "product", "list", "--db", name); status == 0 || !strings.Contains(out, missing) {
			t.Fatalf("after relcheck %s: the store was created", strings.Join(c.args, " "))
		}
		if _, err := os.Stat(at("files")); err == nil {
			t.Fatalf("after relcheck %s: the folder of files was created", strings.Join(c.args, " "))
		}
	}
	out, status := relcheckStatus(t, "product", "add", "app", "--db", name)
	if status != 0 || !strings.Contains(out, "created ") {
		t.Errorf("got exit status %d and %s, want a new store", status, out)
	}
	if out := relcheck(t, "product", "show", "app", "--db", name); !strings.Contains(out, "app") {
		t.Errorf("got %s, want product app", out)
	}
}
