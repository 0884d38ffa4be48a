package useragent

import (
	"strings"
	"testing"

	"relcheck/checker"
)

type parsed struct{ header, version, platform string }

func checkParse(t *testing.T, tests []parsed) {
	t.Helper()
	for _, test := range tests {
		version, p := Parse(test.header)
		if version != test.version || p.String() != test.platform {
			t.Errorf("Parse(%.100q) = %q, %v, want %q, %s", test.header, version, p, test.version, test.platform)
		}
	}
}

func TestGoForm(t *testing.T) {
	checkParse(t, []parsed{
		{"Open Policy Agent/0.70.0 (linux, amd64)", "0.70.0", "linux/amd64"},
		{`"Open Policy Agent/v0.12.3 (linux, amd64)"`, "v0.12.3", "linux/amd64"},
		{"A/B (beta)/1.0 (linux, amd64)", "1.0", "linux/amd64"},
		{"App/unknown (windows, arm64)", "unknown", "windows/arm64"},
		{"App/1 0 (linux, amd64)", "", "linux/amd64"},
		{"App (linux, amd64)", "", "linux/amd64"},
		// Platforms that Go does not support: two words, one of them known.
		{"App/1.0 (other, other)", "1.0", "other/other"},
		{"App/1.0 (amiga, m68k)", "1.0", "other/other"},
		{"A/B (beta)/1.0 (amiga, m68k)", "1.0", "other/other"},
		{"App/dev (haiku, x86_64)", "dev", "other/other"},
		{"App/1.0 (zos, s390x)", "1.0", "other/other"},
		{"App/1.0 (linux, e2k)", "1.0", "other/other"},
		{"App/1.0 (BeOS, x86)", "1.0", "other/other"},
		{"App/1 0 (amiga, m68k)", "", "other/other"},
		{"App (amiga, m68k)", "", "other/other"},
	})
}

// TestAliases has the names that other languages and tools give to platforms.
func TestAliases(t *testing.T) {
	var tests []parsed
	for text, platform := range map[string]string{
		"(Linux, x86_64)":                     "linux/amd64", // uname, Python
		"(darwin, aarch64)":                   "darwin/arm64",
		"(win32, x64)":                        "windows/amd64", // Node.js
		"(macOS, arm64)":                      "darwin/arm64",
		"(Windows_NT, AMD64)":                 "windows/amd64",
		"(linux; amd64)":                      "linux/amd64",
		"(linux/amd64)":                       "linux/amd64",
		"linux/amd64":                         "linux/amd64",
		"(Darwin, arm64)":                     "darwin/arm64",
		"(Windows, ARM64)":                    "windows/arm64",
		"(win32; ia32)":                       "windows/386",
		"(sunos; x64)":                        "solaris/amd64",
		"(win-x64)":                           "windows/amd64", // .NET
		"(linux-musl-arm64)":                  "linux/arm64",
		"(Win32NT; X64)":                      "windows/amd64",
		"(Windows 11, amd64)":                 "windows/amd64", // Java
		"(Mac OS X, aarch64)":                 "darwin/arm64",
		"(WINNT; AMD64)":                      "windows/amd64", // PHP, Qt
		"(x64-mingw-ucrt)":                    "windows/amd64", // Ruby
		"(MSWin32, x64)":                      "windows/amd64", // Perl
		"(linux_x64)":                         "linux/amd64",   // Dart
		"(linux/arm64/v8)":                    "linux/arm64",   // Docker
		"(linux-64)":                          "linux/amd64",   // conda
		"(ubuntu 24.04; arm64)":               "linux/arm64",
		"(Microsoft Windows 10.0.19045; X64)": "windows/amd64",
		"(x86_64-unknown-linux-gnu)":          "linux/amd64", // Rust
		"(aarch64-apple-darwin)":              "darwin/arm64",
		"(x86_64-pc-windows-msvc)":            "windows/amd64",
		"linux_amd64":                         "linux/amd64",
		"linux amd64":                         "linux/amd64",
		"Linux/5.15.0 x86_64":                 "linux/amd64",
		"os/linux arch/amd64":                 "linux/amd64",
		"linux/386":                           "linux/386",
		"(Linux 6.1.0-386; x86_64)":           "linux/amd64",
		"( Linux , x86_64 )":                  "linux/amd64",
		"(Linux, x86_64) reqwest/0.12":        "linux/amd64",
		"(linux/amd64) kubernetes/7c48c2b":    "linux/amd64", // client-go
		"(Linux; x64) Node.js/20":             "linux/amd64",
		"(linux; amd64; de-DE)":               "linux/amd64",
		"(go1.26.8 linux-amd64)":              "linux/amd64",
	} {
		tests = append(tests, parsed{"app/1.0 " + text, "1.0", platform},
			parsed{`"app/1.0 ` + text + `"`, "1.0", platform},
			parsed{"My App/v1.0-rc.1 " + text, "v1.0-rc.1", platform},
			parsed{"app v1.0 " + text, "v1.0", platform},
			parsed{"app/dev " + text, "dev", platform},
			parsed{"app " + text, "", platform})
	}
	checkParse(t, tests)
}

func TestPrograms(t *testing.T) {
	checkParse(t, []parsed{
		{"app/1.0; linux; amd64", "1.0", "linux/amd64"},
		{"app/1.0(linux;amd64)", "1.0", "linux/amd64"},
		{"CI/CD Tool/1.0 (Linux, x86_64)", "1.0", "linux/amd64"},
		{"example.com/app/v1.0 linux/amd64", "v1.0", "linux/amd64"},
		{"darwin-updater/1.0 (Linux; x86_64)", "1.0", "linux/amd64"},
		{"app/2026.05.01 (Linux; x86_64)", "2026.05.01", "linux/amd64"},
		{"app/0fa3c1d (Linux, x86_64)", "0fa3c1d", "linux/amd64"},
		{"app/v1.2.4-0.20260201120000-abcdefabcdef+dirty (macOS, arm64)", "v1.2.4-0.20260201120000-abcdefabcdef+dirty", "darwin/arm64"},
		{"syncthing v1.30.0 (go1.26.8 linux-amd64)", "v1.30.0", "linux/amd64"},
		{"kubectl/v1.30.0 (linux/amd64) kubernetes/7c48c2b", "v1.30.0", "linux/amd64"},
		{"docker/20.10.7 go/go1.13.15 git-commit/b0f5bc3 kernel/5.4.0 os/linux arch/amd64 UpstreamClient(Docker-Client/20.10.7 \\(linux\\))", "20.10.7", "linux/amd64"},
		{"app/1.2.3 octokit-rest.js/22.0.1 octokit-core.js/7.0.8 Node.js/20.20.2 (linux; x64)", "1.2.3", "linux/amd64"},
		// Without a version, or with one that cannot be reported.
		{"linux amd64", "", "linux/amd64"},
		{"app linux/386", "", "linux/386"},
		{"Linux 5.15.0 x86_64", "", "linux/amd64"},
		{"app/1.0:2 (Linux, x86_64)", "", "linux/amd64"},
		{"app/" + strings.Repeat("1", 81) + " (Linux, x86_64)", "", "linux/amd64"},
		// Without a platform.
		{"Linux Updater/1.0 (x86_64)", "", "other/other"},
		{"app/1.0 (Linux)", "", "other/other"},
		{"app/1.0 (com.example.app; build:1; iOS 17.0.0) Alamofire/5.4.0", "", "other/other"},
		{"app/1 CFNetwork/1408.0.4 Darwin/22.5.0", "", "other/other"},
		{"GitHub CLI 2.63.0", "", "other/other"},
		{"HashiCorp/go-checkpoint", "", "other/other"},
		{"HashiCorp Terraform/1.5.7 (+https://www.terraform.io)", "", "other/other"},
		{"hc-install/0.10.0", "", "other/other"},
		{"go-github/v88.0.0", "", "other/other"},
		{"OPA-Version-Checker", "", "other/other"},
		{"electron-builder", "", "other/other"},
		{"Mastodon update checker", "", "other/other"},
	})
}

// TestNoPrograms has headers of browsers, crawlers and libraries, which are not checks of
// a program.
func TestNoPrograms(t *testing.T) {
	for _, header := range []string{
		"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:127.0) Gecko/20100101 Firefox/127.0",
		"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) app/1.0 Chrome/120.0 Electron/28.0 Safari/537.36",
		"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
		"Mozilla/5.0 (Windows NT; Windows NT 10.0; en-US) WindowsPowerShell/5.1.19041.1",
		"Mozilla/5.0 (linux, amd64)",
		"Opera/9.80 (X11; Linux i686; Ubuntu/14.10) Presto/2.12.388 Version/12.16",
		"AppleWebKit/605.1.15 (KHTML, like Gecko)",
		"Googlebot/2.1 (+http://www.google.com/bot.html)",
		"Somebot/2.0 (Linux; x86_64)",
		"SomeCrawler/2.0 (linux/amd64; +https://example.com)",
		"Anything/2.0 (compatible; Linux x86_64)",
		"Baiduspider/2.0 (linux, m68k)",
		"Lynx/2.8.9rel.1 libwww-FM/2.14 SSL-MM/1.4.1 GNUTLS/3.5.17",
		"ELinks/0.12pre6 (textmode; Debian; Linux 4.19 x86_64; 80x24-2)",
		"curl/8.7.1", "curl/7.19.7 (x86_64-redhat-linux-gnu) libcurl/7.19.7 NSS/3.19.1", "curl/8.7.1 (amiga, m68k)",
		"Wget/1.21.3", "Wget/1.20.3 (linux-gnu)", "Wget/1.20.3 (linux-gnu; x86_64)",
		"python-requests/2.32.3", "python-requests/1.2.3 CPython/2.7.3 Linux/3.2.0-4-amd64", "Python/3.12 aiohttp/3.9 (linux; x86_64)",
		"Go-http-client/1.1", "Go-http-client/2.0 (linux/amd64)",
		"Java/21.0.1", "Apache-HttpClient/4.5.2 (Java/1.8.0_151)", "okhttp/4.12.0 (Linux; aarch64)",
		"node", "axios/1.7.2", "npm/11.19.1 node/v20.20.2 linux x64 workspaces/false", "Bun/1.1.0 (linux, x64)", "Deno/1.44 (x86_64-unknown-linux-gnu)",
		"octokit-rest.js/22.0.1 octokit-core.js/7.0.8 Node.js/20.20.2 (linux; x64)",
		"App/1.0 (beos, bepc)", "App/1.0 (gzip, deflate)", "App/1.0 (KHTML, like)", "App/1.0 (1.0, linux)", "App/1.0 (a b, x86)",
		"", " ", `"`, `""`, "/", "(", ")", " (", " (, )", "/ (, )", "()", " ()", ", ", "(((((", "x/ (y", "/1.0", "1.0", "\xff/1.0 (\xff, \x00)",
		strings.Repeat("(", 8000), strings.Repeat("a/1 ", 2000), strings.Repeat("linux", 1600), strings.Repeat(" ,;", 2000),
	} {
		if version, _ := Parse(header); version != "" {
			t.Errorf("Parse(%.100q) = version %q, want none", header, version)
		}
	}
	// The platform of a library is reliable. The platform of a browser is not:
	// it names Intel on every Mac.
	checkParse(t, []parsed{
		{"octokit-rest.js/22.0.1 octokit-core.js/7.0.8 Node.js/20.20.2 (linux; x64)", "", "linux/amd64"},
		{"npm/11.19.1 node/v20.20.2 linux x64 workspaces/false", "", "linux/amd64"},
		{"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)", "", "other/other"},
	})
}

func TestPlatform(t *testing.T) {
	for _, test := range []struct{ header, os, arch, want string }{
		{"app/1.0 (linux, amd64)", "", "", "linux/amd64"},
		{"app/1.0 (linux, amd64)", "win32", "arm64", "windows/arm64"},
		{"app/1.0 (linux, amd64)", "", "aarch64", "linux/arm64"},
		{"app/1.0 (linux, amd64)", "Darwin", "", "darwin/amd64"},
		{"Mozilla/5.0 (X11; Linux x86_64)", "Windows_NT", "AMD64", "windows/amd64"},
		{"curl/8.7.1", "linux", "", "other/other"},
		{"curl/8.7.1", "linux", "x86_64", "linux/amd64"},
		{"app/1.0 (linux, amd64)", "amiga", "m68k", "other/other"},
		{"app/1.0 (linux, amd64)", "\x00", "", "other/other"},
		{"", "", "", "other/other"},
	} {
		if got := Platform(test.header, test.os, test.arch).String(); got != test.want {
			t.Errorf("Platform(%q, %q, %q) = %s, want %s", test.header, test.os, test.arch, got, test.want)
		}
	}
}

func FuzzUserAgent(f *testing.F) {
	for _, s := range []string{
		"Open Policy Agent/0.70.0 (linux, amd64)", `"Open Policy Agent/v0.12.3 (darwin, amd64)"`, "app/1.0 (Windows_NT; AMD64) x/1",
		"syncthing v1.30.0 (go1.26.8 linux-amd64)", "Mozilla/5.0 (X11; Linux x86_64)", "npm/11.19.1 node/v20.20.2 linux x64", "curl/8.7.1",
		"OPA-Version-Checker", "a/b/1.0 (x, y) (linux, arm64)", " (, )", "/ (linux, amd64)", "x/1.0 (linux, amd64", `"`, "",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		version, p := Parse(header)
		if version != "" && (!checker.ValidVersion(version) || !strings.Contains(header, version)) {
			t.Errorf("%q: version %q", header, version)
		}
		if p != checker.Other && !p.Known() {
			t.Errorf("%q: platform %v", header, p)
		}
		if version != "" && p == checker.Other && !strings.Contains(header, ", ") {
			t.Errorf("%q: version %q without a platform", header, version)
		}
		for _, p := range []checker.Platform{{OS: "linux", Arch: "amd64"}, {OS: "plan9", Arch: "386"}} {
			agent := checker.UserAgent("x"+header, "1.2.3", p)
			if again, back := Parse(agent); again != "1.2.3" || back != p {
				t.Errorf("Parse(%q) = %q, %v", agent, again, back)
			}
		}
	})
}

func BenchmarkParse(b *testing.B) {
	for name, header := range map[string]string{
		"Go":      "Open Policy Agent/0.70.0 (linux, amd64)",
		"aliases": "app/1.0 (Linux, x86_64)",
		"browser": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
		"none":    "Go-http-client/1.1",
		"hostile": strings.Repeat("a/1 ", 2000) + "(",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Parse(header)
			}
		})
	}
}
