package download

import (
	"fmt"
	"strings"
	"testing"

	"relcheck/checker"
)

// platforms returns the platforms that a file's name names, or none if it does not run.
func platforms(file string) []checker.Platform {
	if n := parse(file, nil); n.excludedAs == "" {
		return n.platforms()
	}
	return nil
}

func TestParsePlatform(t *testing.T) {
	for text, want := range map[string]string{
		"linux/amd64": "linux/amd64 <nil>", "Linux/x86_64": `/ unknown platform "Linux/x86_64": use linux/amd64`, "darwin/aarch64": `/ unknown platform "darwin/aarch64": use darwin/arm64`,
		"amiga/m68k": `/ unknown platform "amiga/m68k": use a platform of Go, such as linux/amd64`, "linux": `/ unknown platform "linux": use a platform of Go, such as linux/amd64`,
	} {
		p, err := ParsePlatform(text)
		if got := fmt.Sprint(p, " ", err); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

func TestPlatforms(t *testing.T) {
	tests := []struct {
		name string
		want string // platforms, separated by spaces
	}{
		// Open Policy Agent.
		{"opa_darwin_amd64", "darwin/amd64"},
		{"opa_darwin_arm64_static", "darwin/arm64"},
		{"opa_linux_amd64", "linux/amd64"},
		{"opa_linux_amd64_static", "linux/amd64"},
		{"opa_linux_arm64_static", "linux/arm64"},
		{"opa_windows_amd64.exe", "windows/amd64"},
		{"opa_linux_amd64.sha256", ""},
		{"opa_windows_amd64.exe.sha256", ""},
		// Kubernetes and its tools.
		{"kubernetes-client-linux-ppc64le.tar.gz", "linux/ppc64le"},
		{"kubernetes-server-linux-s390x.tar.gz", "linux/s390x"},
		{"kubernetes-client-darwin-arm64.tar.gz", "darwin/arm64"},
		{"kubernetes.tar.gz", ""},
		{"kind-linux-amd64.sha256sum", ""},
		{"helm-v3.12.0-windows-amd64.zip.sha256sum.asc", ""},
		{"minikube_latest_amd64.deb", "linux/amd64"},
		{"minikube-installer.exe", ""},
		// goreleaser.
		{"tool_1.2.3_Linux_x86_64.tar.gz", "linux/amd64"},
		{"tool_1.2.3_Linux_i386.tar.gz", "linux/386"},
		{"tool_Darwin_all.tar.gz", "darwin/amd64 darwin/arm64"},
		{"tool_1.2.3_linux_armv6.tar.gz", "linux/arm"},
		{"tool_linux_amd64_v1.zip", "linux/amd64"},
		{"tool_1.2.3_macOS_arm64.zip", "darwin/arm64"},
		{"tool_1.2.3_checksums.txt", ""},
		{"checksums_linux_amd64", ""},
		{"SHA256SUMS-linux-amd64", ""},
		{"tool_1.2.3_linux_amd64.tar.gz.sbom.json", ""},
		{"tool-1.2.3-1.x86_64.rpm", "linux/amd64"},
		{"tool_1.2.3_linux_amd64.apk", "linux/amd64"},
		// Triples, as Rust and C compilers name platforms.
		{"tool-x86_64-unknown-linux-musl.tar.gz", "linux/amd64"},
		{"tool-aarch64-apple-darwin.tar.xz", "darwin/arm64"},
		{"tool-x86_64-pc-windows-msvc.zip", "windows/amd64"},
		{"tool-i686-pc-windows-gnu.zip", "windows/386"},
		{"tool-arm-unknown-linux-gnueabihf", "linux/arm"},
		{"tool-armv7-unknown-linux-musleabihf", "linux/arm"},
		{"tool-aarch64-linux-android", "android/arm64"},
		{"tool-aarch64-apple-ios.tar.gz", "ios/arm64"},
		{"tool-aarch64-apple-tvos.tar.gz", ""},
		{"tool-aarch64_be-unknown-linux-gnu", ""},
		{"tool-riscv64gc-unknown-linux-gnu", "linux/riscv64"},
		{"tool-powerpc64le-unknown-linux-gnu", "linux/ppc64le"},
		{"tool-loongarch64-unknown-linux-gnu", "linux/loong64"},
		{"tool-mips64el-unknown-linux-gnu", "linux/mips64le"},
		// Syncthing.
		{"syncthing-linux-amd64-v1.30.0.tar.gz", "linux/amd64"},
		{"syncthing-macos-universal-v1.30.0.zip", "darwin/amd64 darwin/arm64"},
		{"syncthing-source-v1.30.0.tar.gz", ""},
		{"syncthing-illumos-amd64-v1.30.0.tar.gz", "illumos/amd64"},
		// Other habits.
		{"tool-win32-x64.zip", "windows/amd64"},
		{"tool-win32-arm64.zip", "windows/arm64"},
		{"tool-win32.zip", "windows/386"},
		{"tool-win64.zip", "windows/amd64"},
		{"tool-linux64", "linux/amd64"},
		{"tool-linux32", "linux/386"},
		{"tool_0.54.0_Linux-64bit.tar.gz", "linux/amd64"},
		{"tool_0.54.0_Linux-ARM-64bit.tar.gz", "linux/arm64"},
		{"tool_0.54.0_Windows-32-bit.zip", "windows/386"},
		{"tool-macos-arm64-x86_64.zip", "darwin/amd64 darwin/arm64"},
		{"tool-macos-universal-arm64.zip", "darwin/arm64"},
		{"tool-x64.msi", "windows/amd64"},
		{"tool-amd64.exe", "windows/amd64"},
		{"Tool-aarch64.AppImage", "linux/arm64"},
		{"tool-1.0-cp39-macosx_11_0_arm64.whl", "darwin/arm64"},
		{"tool_linux_amd64.7z", "linux/amd64"},
		{"tool-windows-386.msi", "windows/386"},
		{"tool-js-wasm.zip", "js/wasm"},
		{"tool linux (x86-64).zip", "linux/amd64"},
		// Traps.
		{"darwin-amd64", "darwin/amd64"},
		{"winner-amd64.tar.gz", ""},
		{"armchair-linux.tar.gz", ""},
		{"armchair_linux_amd64", "linux/amd64"},
		{"arm-tools_linux_amd64", "linux/amd64"},
		{"linux-tools_darwin_arm64", "darwin/arm64"},
		{"linux-tools-amd64.exe", "windows/amd64"},
		{"linuxkit-amd64", ""},
		{"tool-linux-amd64-126.0.386.tar.gz", "linux/amd64"},
		{"tool-linux-amd64-v1.386.tar.gz", "linux/amd64"},
		{"tool_linux_386.tar.gz", "linux/386"},
		{"tool-linux-amd64-1.2.1", "linux/amd64"},
		{"source.tar.gz", ""},
		{"tool-src.zip", ""},
		{"tool-linux.tar.gz", ""},
		{"tool-linux-all.tar.gz", ""},
		{"tool_all.deb", ""},
		{"tool-darwin-386", ""},
		{"tool-freebsd-sparc64", ""},
		{"tool-linux-amd64.so", ""},
		{"linux", ""},
		{"amd64", ""},
		{"", ""},
		{"...", ""},
		{"\xff\xfe_linux_\x00_amd64", "linux/amd64"},

		// Glued and split words.
		{"toolLinuxAMD64", ""},
		{"tool-linuxamd64", "linux/amd64"},
		{"tool-macosarm64.zip", "darwin/arm64"},
		{"tool-macos11-arm64", "darwin/arm64"},
		{"tool-freebsd13-amd64.tar.gz", "freebsd/amd64"},
		{"tool-win-64.zip", "windows/amd64"},
		{"tool-osx-64.tar.bz2", "darwin/amd64"},
		{"tool-linux-aarch64_be", ""},
		{"tool-mac-os-x-x86_64.zip", "darwin/amd64"},
		{"tool-macos-intel.dmg", "darwin/amd64"},
		{"tool-mac-silicon.dmg", "darwin/arm64"},
		{"tool_linux_arm_v7.tar.gz", "linux/arm"},
		{"tool-linux-arm-7.1.tar.gz", "linux/arm"},
		{"tool_linux_mips64le_hardfloat.tar.gz", "linux/mips64le"},
		{"tool_linux_mips_softfloat", "linux/mips"},
		{"tool_linux_amd64_v3", "linux/amd64"},
		{"tool-linux-amd64-v3.1.0", "linux/amd64"},
		{"tool-ubuntu-22.04-x86_64.tar.gz", "linux/amd64"},
		{"tool-1.0-1.el9.x86_64.rpm", "linux/amd64"},
		{"tool_musllinux_aarch64", "linux/arm64"},
		{"tool-wasm32-wasip1.tar.gz", "wasip1/wasm"},
		{"tool-arm64-v8a.apk", "android/arm64"},
		{"tool-armeabi-v7a.apk", "android/arm"},
		{"tool-x86_64-pc-win32.zip", "windows/amd64"},
		{"tool-x86_64-w64-mingw32.zip", "windows/amd64"},
		{"tool-sunos-x64.tar.gz", "solaris/amd64"},
		{"tool-riscv64gc-unknown-linux-gnu.tar.gz.sha256", ""},
		{"tool-1.2.linux.amd64", "linux/amd64"},
		{"tool.linux-amd64.tar.gz", "linux/amd64"},
		{"tool-freebsd-amd64.pkg", "freebsd/amd64"},
		{"tool-arm64.pkg", "darwin/arm64"},
		{"tool-sparcv9-linux", ""},
		{"ToolSetup-x64.exe", "windows/amd64"},
		{"ToolPortable-arm64-1.2.exe", "windows/arm64"},
		{"tool-linux-ppc", ""},
	}
	for _, test := range tests {
		var got []string
		for _, p := range platforms(test.name) {
			got = append(got, p.String())
		}
		if got := strings.Join(got, " "); got != test.want {
			t.Errorf("platforms(%q) = %q, want %q", test.name, got, test.want)
		}
	}
}

func TestNormalize(t *testing.T) {
	tests := []struct{ os, arch, want string }{
		{"linux", "amd64", "linux/amd64"},
		{"Linux", "x86_64", "linux/amd64"},
		{"darwin", "aarch64", "darwin/arm64"},
		{"win32", "x64", "windows/amd64"},
		{"macOS", "arm64", "darwin/arm64"},
		{"Windows_NT", "AMD64", "windows/amd64"},
		// Node, Python, Java, .NET, Rust, uname.
		{"win32", "ia32", "windows/386"},
		{"win32", "arm64", "windows/arm64"},
		{"sunos", "x64", "solaris/amd64"},
		{"android", "arm64", "android/arm64"},
		{"Windows", "ARM64", "windows/arm64"},
		{"Darwin", "arm64", "darwin/arm64"},
		{"Mac OS X", "aarch64", "darwin/arm64"},
		{"macOS 14.5", "x86_64", "darwin/amd64"},
		{"Windows 11", "amd64", "windows/amd64"},
		{"Windows 10", "x86", "windows/386"},
		{"Win32NT", "X64", "windows/amd64"},
		{"macos", "aarch64", "darwin/arm64"},
		{"linux", "powerpc64le", "linux/ppc64le"},
		{"linux", "loongarch64", "linux/loong64"},
		{"Linux", "armv7l", "linux/arm"},
		{"Linux", "armv6l", "linux/arm"},
		{"Linux", "armv8l", "linux/arm"},
		{"Linux", "i686", "linux/386"},
		{"Linux", "mips64el", "linux/mips64le"},
		{"GNU/Linux", "x86-64", "linux/amd64"},
		{"Linux 5.15.0-386", "x86_64", "linux/amd64"},
		{"SunOS", "i86pc", "solaris/amd64"},
		{"FreeBSD", "amd64", "freebsd/amd64"},
		{"MINGW64_NT-10.0-19045", "x86_64", "windows/amd64"},
		{"CYGWIN_NT-10.0", "x86_64", "windows/amd64"},
		{"Ubuntu 24.04", "x86_64", "linux/amd64"},
		{"alpine", "arm64", "linux/arm64"},
		{"OpenBSD", "64-bit", "openbsd/amd64"},
		// Nothing that Go knows.
		{"", "", "other/other"},
		{"linux", "", "other/other"},
		{"", "amd64", "other/other"},
		{"BeOS", "x86_64", "other/other"},
		{"linux", "sparc64", "other/other"},
		{"darwin", "386", "other/other"},
		{"windows", "arm", "other/other"},
		{"KHTML", "like Gecko", "other/other"},
		{"compatible; Googlebot/2.1", "+http://www.google.com/bot.html", "other/other"},
		{"\xff\x00", strings.Repeat("x86_64", 1000), "other/other"},
	}
	for _, test := range tests {
		if got := Normalize(test.os, test.arch).String(); got != test.want {
			t.Errorf("Normalize(%.50q, %.50q) = %s, want %s", test.os, test.arch, got, test.want)
		}
	}
}

// TestNormalizeGo checks that Normalize does not change Go's own names.
func TestNormalizeGo(t *testing.T) {
	for _, p := range append(checker.Platforms(), checker.Other) {
		if got := Normalize(p.OS, p.Arch); got != p {
			t.Errorf("Normalize(%q, %q) = %v", p.OS, p.Arch, got)
		}
		if name := "tool_1.2.3_" + p.OS + "_" + p.Arch + ".tar.gz"; p != checker.Other {
			if got := platforms(name); len(got) != 1 || got[0] != p {
				t.Errorf("platforms(%q) = %v, want %v", name, got, p)
			}
		}
	}
}

// TestVocabulary checks that no word has two meanings, and that each is spelled as names
// are read.
func TestVocabulary(t *testing.T) {
	seen := make(map[string]bool)
	for _, row := range vocabulary {
		for w := range strings.FieldsSeq(row.words) {
			if seen[w] {
				t.Errorf("%q is in the vocabulary twice", w)
			}
			seen[w] = true
			if w != strings.ToLower(w) {
				t.Errorf("%q is not in lower case", w)
			}
		}
	}
	seen = make(map[string]bool)
	for _, row := range endingTable {
		for w := range strings.FieldsSeq(row.words) {
			if seen[w] {
				t.Errorf("ending %q is in the table twice", w)
			}
			seen[w] = true
		}
	}
	for pair, w := range pairs {
		if understand(w) == nil {
			t.Errorf("%s and %s give %q, which is not in the vocabulary", pair[0], pair[1], w)
		}
	}
}

func FuzzPlatforms(f *testing.F) {
	for _, seed := range []string{"opa_linux_amd64_static", "tool_Darwin_all.tar.gz", "x86_64-pc-windows-msvc.exe", "a.1.2.386", "aarch64_be", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		for _, p := range platforms(name) {
			if !p.Known() {
				t.Errorf("platforms(%q) holds %v, which Go does not build for", name, p)
			}
		}
		if p := Normalize(name, name); !p.Known() && p != checker.Other {
			t.Errorf("Normalize(%q) = %v", name, p)
		}
	})
}
