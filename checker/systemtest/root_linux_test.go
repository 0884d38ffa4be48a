package systemtest

import (
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// serviceUser is the user of the service in TestCommandsOfRoot. It needs no name.
const serviceUser = 12345

// asService returns a command that runs program as the user of the service.
func asService(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(program, args...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: serviceUser, Gid: serviceUser}}
	return cmd
}

// TestCommandsOfRoot checks that the service can write to all files that root creates with
// commands beside it: new stores, their companions, backups and hosted files.
func TestCommandsOfRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		missing(t, "root, which can run programs as another user")
	}
	home, err := os.MkdirTemp("", "relcheck-test-") // t.TempDir cannot be read by other users
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	in := func(name string) string { return filepath.Join(home, name) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	program, schema := in("program"), readSchema()
	binary, err := os.ReadFile("/proc/self/exe")
	must(err)
	must(os.WriteFile(program, binary, 0o755))
	must(os.WriteFile(in("schema.sql"), []byte(schema), 0o644))
	must(os.WriteFile(in("app_linux_amd64"), []byte("program"), 0o644))
	data := in("data")
	must(os.Mkdir(data, 0o750))
	must(os.Mkdir(filepath.Join(data, "backups"), 0o750))
	must(os.Chown(filepath.Join(data, "backups"), serviceUser, serviceUser))
	must(os.Chown(data, serviceUser, serviceUser))
	must(os.Chmod(home, 0o755))
	t.Setenv(schemaFile, in("schema.sql"))
	store, files := filepath.Join(data, "relcheck.db"), filepath.Join(data, "files")

	relcheck(t, "product", "add", "app", "--db", store)
	relcheck(t, "release", "add", "app", "v1.0.0", "--db", store)
	relcheck(t, "file", "add", "app", "v1.0.0", in("app_linux_amd64"), "--files", files, "--db", store)
	wantOwner(t, data)
	for range 2 { // the second time with what root has left
		served := startBy(t, "relcheck", asService(program, "serve", "--listen", "127.0.0.1:0", "--db", store, "--files", files, "--backup-dir", filepath.Join(data, "backups")))
		relcheck(t, "token", "add", "ann", "--db", store)
		relcheck(t, "file", "verify", "--files", files, "--db", store)
		wantOwner(t, data)
		res, err := http.Post(served.url+"/p/app/v1/version", "application/json", strings.NewReader(`{"id":"a34ac24b-8e94-4886-a8ae-20e18b65d40c","version":"1.0.0"}`))
		must(err)
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Errorf("report: got status %s, want 200\n%s", res.Status, served.errs)
		}
		served.stop(t)
		relcheck(t, "release", "withdraw", "app", "v1.0.0", "--db", store)
		relcheck(t, "release", "restore", "app", "v1.0.0", "--db", store)
	}
	backup, restored, copied := filepath.Join(data, "backup.db"), filepath.Join(data, "restored.db"), filepath.Join(data, "copied.db")
	relcheck(t, "backup", backup, "--db", store)
	relcheck(t, "restore", backup, "--db", restored)
	relcheck(t, "copy", "--from", store, "--to", copied)
	wantOwner(t, data)
	for _, name := range []string{store, restored, copied} {
		cmd := asService(program, "serve", "--listen", "127.0.0.1:0", "--db", name)
		startBy(t, "relcheck", cmd).stop(t)
	}
	out, err := os.ReadDir(filepath.Join(data, "backups"))
	if err != nil || len(out) == 0 {
		t.Errorf("backups of the service: got %v (error %v), want one", out, err)
	}
}

// wantOwner checks that everything in a folder belongs to the user of the service.
func wantOwner(t *testing.T, folder string) {
	t.Helper()
	found := 0
	err := filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		info, statErr := os.Lstat(path)
		if os.IsNotExist(statErr) { // a companion of a store
			return nil
		}
		if err != nil || statErr != nil {
			return err
		}
		found++
		if s := info.Sys().(*syscall.Stat_t); s.Uid != serviceUser || s.Gid != serviceUser {
			t.Errorf("%s belongs to user %d and group %d, want %d", path, s.Uid, s.Gid, serviceUser)
		}
		return nil
	})
	if err != nil || found == 0 {
		t.Errorf("walk %s: %d files, error %v", folder, found, err)
	}
}
