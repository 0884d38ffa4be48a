package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// packageFiles returns the files of each package.
func packageFiles(t *testing.T) []string {
	t.Helper()
	all := []string{
		"/etc/default/relcheck",
		"/usr/bin/relcheck",
		"/usr/lib/systemd/system/relcheck.service",
		"/usr/lib/sysusers.d/relcheck.conf",
		"/usr/share/bash-completion/completions/relcheck",
		"/usr/share/fish/vendor_completions.d/relcheck.fish",
		"/usr/share/doc/relcheck/CHANGELOG.md",
		"/usr/share/doc/relcheck/examples/Caddyfile",
		"/usr/share/doc/relcheck/examples/grafana-dashboard.json",
		"/usr/share/doc/relcheck/examples/nginx.conf",
		"/usr/share/doc/relcheck/examples/prometheus-rules.yml",
	}
	for _, page := range manPages(t) {
		name := filepath.Base(page)
		all = append(all, "/usr/share/man/man"+name[len(name)-1:]+"/"+name+".gz")
	}
	return all
}

// The RPM package has all files, belongs to root, and has scripts. Its licence is not
// declared.
func TestRPM(t *testing.T) {
	need(t, false, "rpm")
	name := result(t, "linux_"+runtime.GOARCH+".rpm")
	list := output(t, "rpm", "-qp", "--qf", "[%{FILENAMES} %{FILEUSERNAME} %{FILEGROUPNAME}\n]", name)
	for _, file := range append(packageFiles(t), "/usr/share/zsh/site-functions/_relcheck") {
		if !strings.Contains(list, file+" root root\n") {
			t.Errorf("got no %s of root in\n%s", file, list)
		}
	}
	info := output(t, "rpm", "-qp", "--qf", "%{LICENSE}|%{ARCH}|%{BUILDHOST}|%{SUMMARY}", name)
	if want := "not declared|" + map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH] + "|localhost|" + summary; info != want {
		t.Errorf("got %q, want %q", info, want)
	}
	if configs := output(t, "rpm", "-qcp", name); configs != "/etc/default/relcheck\n" {
		t.Errorf("got configuration files %q", configs)
	}
	scripts := output(t, "rpm", "-qp", "--scripts", name)
	for _, want := range []string{"systemd-sysusers relcheck.conf", "disable --now relcheck.service", "try-restart relcheck.service"} {
		if !strings.Contains(scripts, want) {
			t.Errorf("got no %q in the scripts\n%s", want, scripts)
		}
	}
}

// The Debian package has all files.
func TestDeb(t *testing.T) {
	need(t, false, "dpkg-deb")
	name := result(t, "linux_"+runtime.GOARCH+".deb")
	list := output(t, "dpkg-deb", "-c", name)
	for _, file := range append(packageFiles(t), "/usr/share/zsh/vendor-completions/_relcheck") {
		if !regexp.MustCompile(`(?m) root/root .* \.` + regexp.QuoteMeta(file) + `$`).MatchString(list) {
			t.Errorf("got no %s of root in\n%s", file, list)
		}
	}
}

// Shells accept the scripts.
func TestScripts(t *testing.T) {
	folder := filepath.Dir(install(t))
	for _, name := range []string{"deb/postinst", "deb/prerm", "deb/postrm", "rpm/post", "rpm/preun", "rpm/postun"} {
		output(t, "sh", "-n", name)
	}
	for shell, name := range map[string]string{"bash": "relcheck.bash", "zsh": "_relcheck", "fish": "relcheck.fish"} {
		t.Run(shell, func(t *testing.T) {
			need(t, false, shell)
			output(t, shell, "-n", filepath.Join(folder, "completions", name))
		})
	}
}

// systemd accepts the unit and rates its exposure below 2.5 of 10.
func TestUnit(t *testing.T) {
	need(t, false, "systemd-analyze")
	unit, err := os.ReadFile("systemd/relcheck.service")
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "relcheck.service")
	here := strings.Replace(string(unit), "/usr/bin/relcheck", install(t), 1)
	if err := os.WriteFile(name, []byte(here), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := output(t, "systemd-analyze", "verify", "--man=no", name); out != "" {
		t.Errorf("got %q, want nothing", out)
	}
	out := output(t, "systemd-analyze", "security", "--offline=true", "--no-pager", name)
	m := regexp.MustCompile(`Overall exposure level for relcheck.service: ([0-9.]+)`).FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("got no exposure level in\n%s", out)
	}
	if level, err := strconv.ParseFloat(m[1], 64); err != nil || level >= 2.5 {
		t.Errorf("got exposure level %s, want less than 2.5", m[1])
	}
	t.Logf("exposure level %s", m[1])
}

// The variables in the files of packages and image are flags of relcheck serve.
func TestVariables(t *testing.T) {
	help := output(t, install(t), "serve", "--help")
	for _, file := range []string{"systemd/relcheck.default", "systemd/relcheck.service", "examples/nginx.conf", "examples/Caddyfile", "image.go"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, variable := range regexp.MustCompile(`RELCHECK_[A-Z_]+`).FindAllString(string(text), -1) {
			flag := "--" + strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(variable, "RELCHECK_"), "_", "-"))
			if !strings.Contains(help, flag+" ") {
				t.Errorf("%s: %s: relcheck serve has no flag %s", file, variable, flag)
			}
		}
	}
}

// nginx and Caddy accept their examples.
func TestProxyExamples(t *testing.T) {
	folder := t.TempDir()
	t.Run("nginx", func(t *testing.T) {
		if _, err := os.Stat("/usr/sbin/nginx"); err != nil {
			need(t, false, "nginx")
		}
		certificate, key := newCertificate(t, folder, "releases.example.com")
		site, err := os.ReadFile("examples/nginx.conf")
		if err != nil {
			t.Fatal(err)
		}
		text := strings.NewReplacer("/etc/ssl/certs/releases.example.com.pem", certificate, "/etc/ssl/private/releases.example.com.key", key).Replace(string(site))
		config := filepath.Join(folder, "nginx.conf")
		text = "error_log stderr;\npid " + folder + "/nginx.pid;\nevents {}\nhttp {\naccess_log off;\n" + text + "}\n"
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c := exec.Command("nginx", "-t", "-p", folder, "-c", config)
		c.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin")
		if c.Err != nil {
			c = exec.Command("/usr/sbin/nginx", "-t", "-p", folder, "-c", config)
		}
		if out, err := c.CombinedOutput(); err != nil || strings.Contains(string(out), "warn") {
			t.Errorf("got error %v, want none and no warning\n%s", err, out)
		}
	})
	t.Run("Caddy", func(t *testing.T) {
		need(t, false, "caddy")
		c := exec.Command("caddy", "validate", "--adapter", "caddyfile", "--config", "examples/Caddyfile")
		c.Env = append(os.Environ(), "HOME="+folder, "XDG_DATA_HOME="+folder, "XDG_CONFIG_HOME="+folder)
		if out, err := c.CombinedOutput(); err != nil || strings.Contains(string(out), `"warn"`) {
			t.Errorf("got error %v, want none and no warning\n%s", err, out)
		}
	})
}
