package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// debian is a running Debian with systemd. Nothing that changes in it stays.
type debian struct {
	t   *testing.T
	pid string // of its process 1
}

// debianRoot returns the folder of the Debian in .cache, which it creates at first.
func debianRoot(t *testing.T) string {
	t.Helper()
	need(t, true, "debootstrap", "systemd-nspawn", "nsenter")
	root, err := filepath.Abs("../../.cache/debian")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(root); err != nil {
		made := root + ".new"
		if err := os.MkdirAll(filepath.Dir(root), 0o755); err != nil {
			t.Fatal(err)
		}
		os.RemoveAll(made)
		out, err := exec.Command("debootstrap", "--variant=minbase", "--include=systemd,systemd-sysv,adduser", "bookworm", made).CombinedOutput()
		if err != nil {
			missing(t, fmt.Sprintf("a Debian that debootstrap creates: %v\n%s", err, out))
		}
		if err := os.WriteFile(made+"/etc/hosts", []byte("127.0.0.1 localhost\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(made, root); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// nspawn are the arguments with which nothing stays that changes in a Debian.
var nspawn = []string{"--quiet", "--register=no", "--keep-unit", "--private-network", "--volatile=overlay"}

// bootDebian boots the Debian in a folder. packages are the folders that it can read, by their
// path in it.
func bootDebian(t *testing.T, root string, packages map[string]string) *debian {
	t.Helper()
	args := append([]string{"--boot", "--directory=" + root}, nspawn...)
	for inside, folder := range packages {
		args = append(args, "--bind-ro="+folder+":"+inside)
	}
	boot := exec.Command("systemd-nspawn", args...)
	var console bytes.Buffer
	boot.Stdout, boot.Stderr = &console, &console
	if err := boot.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- boot.Wait() }()
	first := func() string { // process 1 of the system
		children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", boot.Process.Pid))
		return strings.TrimSpace(string(children))
	}
	t.Cleanup(func() {
		if pid, err := strconv.Atoi(first()); err == nil {
			syscall.Kill(pid, syscall.SIGKILL) // and with it all others
		}
		boot.Process.Kill()
		<-ended
	})
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		d := &debian{t, first()}
		if state, _ := d.try("systemctl is-system-running"); state == "running\n" || state == "degraded\n" {
			return d
		}
		select {
		case err := <-ended:
			ended <- err
			missing(t, fmt.Sprintf("permission to boot a system with systemd-nspawn: %v\n%s", err, &console))
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("Debian did not boot within two minutes\n%s", &console)
		}
	}
}

// try runs a command line in the system.
func (d *debian) try(line string) (string, error) {
	out, err := exec.Command("nsenter", "--target", d.pid, "--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd", "--", "sh", "-c", line).CombinedOutput()
	return string(out), err
}

// run runs a command line that must succeed.
func (d *debian) run(line string) string {
	d.t.Helper()
	out, err := d.try(line)
	if err != nil {
		log, _ := d.try("journalctl --no-pager --unit relcheck | tail -20")
		d.t.Fatalf("%s: %v\n%s\n%s", line, err, out, log)
	}
	return out
}

// want runs a command line whose output must contain a text.
func (d *debian) want(line, text string) {
	d.t.Helper()
	if out := d.run(line); !strings.Contains(out, text) {
		d.t.Errorf("%s: got %q, want %q", line, out, text)
	}
}

// await runs a command line until it succeeds.
func (d *debian) await(line string) {
	d.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		if _, err := d.try(line); err == nil {
			return
		}
		if time.Now().After(deadline) {
			d.run(line)
			return
		}
	}
}

// service runs relcheck as the service does, with its store.
const service = "cd /var/lib/relcheck && runuser -u relcheck -- relcheck "

// The package of an earlier build is installed in Debian, filled, and upgraded: the data
// stays. Then the package is removed and purged.
func TestDebian(t *testing.T) {
	root := debianRoot(t) // first, because builds take long
	old, err := distOf(*earlier)
	if err != nil {
		t.Fatal(err)
	}
	d := bootDebian(t, root, map[string]string{"/opt/old": old, "/opt/new": dists(t).folders[0]})
	deb := "/relcheck_*_linux_" + runtime.GOARCH + ".deb"

	// The earlier build does not notify systemd.
	d.run("mkdir -p /etc/systemd/system/relcheck.service.d && printf '[Service]\nType=exec\n' > /etc/systemd/system/relcheck.service.d/type.conf")
	d.run("dpkg --install /opt/old" + deb)
	d.await("relcheck check --as 0.70.0 --url http://localhost:8080")
	d.run(service + "release add opa v1.2.3")
	earlierVersion := d.run("dpkg-query -W -f '${Version}' relcheck")
	d.run("rm -r /etc/systemd/system/relcheck.service.d && printf 'RELCHECK_SOURCE_RATE=500\n' >> /etc/default/relcheck")

	d.run("DEBIAN_FRONTEND=noninteractive dpkg --install /opt/new" + deb)
	if v := d.run("dpkg-query -W -f '${Version}' relcheck"); v == earlierVersion {
		t.Errorf("got version %s after the upgrade, want another one", v)
	}
	d.want("systemctl show relcheck --property Type --value", "notify\n")
	d.want("systemctl is-active relcheck", "active")
	d.want("systemctl is-enabled relcheck", "enabled")
	d.await("relcheck check --as 0.70.0 --url http://localhost:8080 | grep v1.2.3")
	d.want(service+"release list opa", "v1.2.3")
	if reports := strings.Count(d.run(service+"export opa"), "0.70.0"); reports < 2 {
		t.Errorf("got %d reports, want those before and after the upgrade", reports)
	}
	d.want("cat /etc/default/relcheck", "RELCHECK_SOURCE_RATE=500")
	d.want("stat -c '%U:%G %a' /var/lib/relcheck /var/lib/relcheck/relcheck.db", "relcheck:relcheck 750\nrelcheck:relcheck 600\n")
	if log := d.run("journalctl --no-pager --unit relcheck"); strings.Contains(log, "sign-in?link=") {
		t.Errorf("got a sign-in link in the journal, want none\n%s", log)
	}
	d.stopsAndRecovers()

	d.run("dpkg --remove relcheck")
	d.want("ls /var/lib/relcheck /etc/default/relcheck", "relcheck.db")
	d.run("test ! -e /usr/bin/relcheck && test ! -e /usr/lib/systemd/system/relcheck.service")
	if out, _ := d.try("grep -l relcheck /proc/[0-9]*/comm"); out != "" {
		t.Errorf("got processes after the removal: %s", out)
	}
	d.run("dpkg --install /opt/new" + deb)
	d.await("relcheck check --as 0.70.0 --url http://localhost:8080 | grep v1.2.3")
	d.run("dpkg --purge relcheck")
	if out, _ := d.try("find / -xdev -name '*relcheck*' -not -path '/proc/*' -not -path '/opt/*' -not -path '/var/log/*' -not -path '/tmp/*'"); out != "" {
		t.Errorf("got files after the purge:\n%s", out)
	}
}

// The package can be installed and purged where systemd does not run and its tool for users
// is missing, such as in a container.
func TestDebianWithoutSystemd(t *testing.T) {
	args := append([]string{"--pipe", "--directory=" + debianRoot(t), "--bind-ro=" + dists(t).folders[0] + ":/opt/new"}, nspawn...)
	out := output(t, "systemd-nspawn", append(args, "sh", "-ec", "rm /usr/bin/systemd-sysusers; dpkg --install /opt/new/relcheck_*_linux_"+runtime.GOARCH+".deb; "+
		"stat -c '%U:%G %a %n' /var/lib/relcheck; dpkg --purge relcheck; ls /var/lib")...)
	_, after, ok := strings.Cut(out, "relcheck:relcheck 750 /var/lib/relcheck\n")
	if !ok || strings.Contains(after, "\nrelcheck\n") {
		t.Errorf("got\n%s\nwant a folder of relcheck until the package is purged", out)
	}
}

// The commands of the manual install the service from an archive. Its example of a changed
// unit lets the service listen on port 443.
func TestDebianFromArchive(t *testing.T) {
	d := bootDebian(t, debianRoot(t), map[string]string{"/opt/archive": filepath.Dir(install(t))})
	text, err := os.ReadFile("../../checker/manual/systemd.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := map[string][]string{}
	for _, m := range regexp.MustCompile("(?ms)^```(sh|ini$)[^\n]*\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		blocks[m[1]] = append(blocks[m[1]], m[2])
	}
	if len(blocks["sh"]) != 2 || len(blocks["ini"]) != 1 {
		t.Fatalf("got %q, want commands that install and that print a link, and a part of a unit", blocks)
	}
	d.run("set -e; cd /opt/archive\n" + blocks["sh"][0])
	d.await("relcheck check --as 0.70.0 --url http://localhost:8080")
	d.want(blocks["sh"][1], "/sign-in?link=")
	d.run("mkdir /etc/systemd/system/relcheck.service.d && cat > /etc/systemd/system/relcheck.service.d/override.conf <<'END'\n" + blocks["ini"][0] + "END")
	d.run("sed -i s/localhost:8080/localhost:443/ /etc/default/relcheck && systemctl daemon-reload && systemctl restart relcheck")
	d.await("relcheck check --as 0.70.0 --url http://localhost:443")
}

// stopsAndRecovers checks that systemd restarts the service when it is stuck, and that the
// service stops in order.
func (d *debian) stopsAndRecovers() {
	d.t.Helper()
	d.run("mkdir -p /run/systemd/system/relcheck.service.d && printf '[Service]\nWatchdogSec=5\nRestartSec=0\n' > /run/systemd/system/relcheck.service.d/watchdog.conf")
	d.run("systemctl daemon-reload && systemctl restart relcheck")
	d.run("kill -STOP $(systemctl show relcheck --property MainPID --value)")
	d.await("systemctl show relcheck --property NRestarts --value | grep [1-9] && systemctl is-active relcheck")
	d.want("journalctl --no-pager --unit relcheck", "Watchdog timeout")
	d.run("rm -r /run/systemd/system/relcheck.service.d && systemctl daemon-reload && systemctl stop relcheck")
	d.want("systemctl show relcheck --property Result --value", "success")
	d.run("systemctl start relcheck")
}
