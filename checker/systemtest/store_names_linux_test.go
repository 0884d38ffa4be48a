package systemtest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// storeNames are other names of a store, and whether they can be used.
var storeNames = map[string]struct {
	make func(t *testing.T, store string) (name string)
	good bool
}{
	"its own, beside a hard link": {func(t *testing.T, store string) string {
		hardLink(t, store)
		return store
	}, true},
	"hard link": {hardLink, false},
	"mount of the file": {func(t *testing.T, store string) string {
		name := filepath.Join(t.TempDir(), "relcheck.db")
		bind(t, store, name, os.WriteFile(name, nil, 0o600))
		return name
	}, false},
	"mount of the folder": {func(t *testing.T, store string) string {
		folder := t.TempDir()
		bind(t, filepath.Dir(store), folder, nil)
		return filepath.Join(folder, filepath.Base(store))
	}, true},
	"symbolic link": {func(t *testing.T, store string) string {
		name := filepath.Join(t.TempDir(), "link.db")
		if err := os.Symlink(store, name); err != nil {
			t.Fatal(err)
		}
		return name
	}, true},
}

func hardLink(t *testing.T, store string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "relcheck.db")
	if err := os.Link(store, name); err != nil {
		t.Fatal(err)
	}
	return name
}

func bind(t *testing.T, from, to string, err error) {
	t.Helper()
	if err := errors.Join(err, syscall.Mount(from, to, "", syscall.MS_BIND, "")); err != nil {
		missing(t, "the right to mount a file: "+err.Error())
	}
	t.Cleanup(func() { syscall.Unmount(to, syscall.MNT_DETACH) })
}

// wantBesideServer contains the errors of commands that fail while a server runs, under
// any name.
var wantBesideServer = map[string]string{"serve": "in use by process", "simulate the past": "in use by process", "copy": "in use by process",
	"restore to it": "already exists", "simulate with its releases": "connection refused"}

// storeCommands returns all commands that open a store.
func storeCommands(t *testing.T, name string) map[string][]string {
	to := func() string { return filepath.Join(t.TempDir(), "to.db") }
	return map[string][]string{
		"backup":                     {"backup", to(), "--db", name},
		"restore":                    {"restore", name, "--db", to()},
		"restore to it":              {"restore", name, "--db", name},
		"copy":                       {"copy", "--from", name, "--to", to()},
		"serve":                      {"serve", "--listen", "127.0.0.1:0", "--db", name},
		"release add":                {"release", "add", "opa", "v1.0.0", "--db", name},
		"release list":               {"release", "list", "opa", "--db", name},
		"product list":               {"product", "list", "--db", name},
		"product add":                {"product", "add", "app", "--db", name},
		"token add":                  {"token", "add", "ann", "--db", name},
		"token list":                 {"token", "list", "--db", name},
		"stats":                      {"stats", "opa", "--db", name},
		"export":                     {"export", "opa", "--db", name},
		"audit":                      {"audit", "--db", name},
		"doctor":                     {"doctor", "--db", name},
		"simulate with its releases": {"simulate", "--url", "http://127.0.0.1:1", "--db", name, "--duration", "1ms", "--rate", "1000"},
		"simulate the past":          {"simulate", "--days", "1", "--add", "--db", name},
	}
}

// TestCommandsUnderOtherNames checks, while a server is under load, that every command
// works under names that share the store's WAL, and is refused under others. No
// acknowledged report may be lost.
func TestCommandsUnderOtherNames(t *testing.T) {
	t.Parallel()
	for what, other := range storeNames {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			store := filepath.Join(t.TempDir(), "relcheck.db")
			served := serve(t, store)
			name := other.make(t, store)
			var acked acknowledged
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() {
				defer close(done)
				if bad := sendUntil(ctx, newLoad(t, served.addr, 4, acked.add)); bad > 0 {
					t.Errorf("got %d reports not recorded, want 0", bad)
				}
			}()
			var commands sync.WaitGroup
			for command, args := range storeCommands(t, name) {
				commands.Go(func() {
					out, status := relcheckStatus(t, args...)
					want, text := 0, wantBesideServer[command]
					if text != "" {
						want = 1
					}
					if !other.good {
						want, text = 1, "mount the folder, not the file"
					}
					if command == "restore to it" { // refused for either reason
						text = ""
					}
					if status != want || !strings.Contains(out, text) {
						t.Errorf("%s: got exit status %d, want %d and %q: %s", strings.Join(args, " "), status, want, text, out)
					}
				})
			}
			commands.Wait()
			acked.await(t, 100)
			stop()
			<-done
			served.kill()
			acked.wantRecordedOnce(t, exportedIDs(t, store))
		})
	}
}

// TestServerWarnsOfHazards checks that a server logs each hazard to its store once, at
// start or when it appears.
func TestServerWarnsOfHazards(t *testing.T) {
	t.Parallel()
	store := filepath.Join(t.TempDir(), "relcheck.db")
	relcheck(t, "token", "add", "ann", "--db", store)
	if err := os.Chmod(filepath.Dir(store), 0o777); err != nil {
		t.Fatal(err)
	}
	served := serve(t, store)
	hardLink(t, store)
	waitFor(t, "warning of the hard link", func() bool { return served.errs.count("has 2 names") > 0 })
	served.stop(t)
	want := []string{"has 2 names (hard links)", "every user can write to folder"}
	if os.Geteuid() == 0 {
		want = append(want, "runs as root")
	}
	for _, text := range want {
		if n := served.errs.count(text); n != 1 {
			t.Errorf("got %q %d times in the log, want once", text, n)
		}
	}
	out, _ := relcheckStatus(t, "doctor", "--db", store)
	for _, text := range []string{"has 2 names (hard links)", "every user of this machine can replace"} {
		if !strings.Contains(out, text) {
			t.Errorf("doctor: got no %q in\n%s", text, out)
		}
	}
}
