package upstream

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"relcheck/checker"
)

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
		// Other conventions.
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
		// Misleading names.
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
	}
	for _, test := range tests {
		if got := joinPlatforms(parseName(test.name).platforms()); got != test.want {
			t.Errorf("Platforms(%q) = %q, want %q", test.name, got, test.want)
		}
	}
}

// TestPlatformsIgnoresOtherFiles checks that checksums, signatures and other files that
// are no programs have no platforms.
func TestPlatformsIgnoresOtherFiles(t *testing.T) {
	for _, ext := range strings.Fields(".sha256 .sha256sum .sha512 .sha1 .md5 .sum .digest .sig .asc .minisig .pem .crt .cert .pub " +
		".sbom .json .jsonl .intoto .att .spdx .cdx .txt .yaml .yml .sigstore .intoto.jsonl .SHA256") {
		if got := parseName("tool_linux_amd64" + ext).platforms(); got != nil {
			t.Errorf("parseName(tool_linux_amd64%s).platforms() = %v, want none", ext, got)
		}
	}
}

func TestByPlatform(t *testing.T) {
	opa := "opa_darwin_amd64 opa_darwin_arm64_static opa_linux_amd64 opa_linux_amd64_static opa_linux_arm64_static opa_windows_amd64.exe"
	withSums := opa + " " + strings.ReplaceAll(opa, " ", ".sha256 ") + ".sha256"
	tests := []struct {
		names string
		want  map[string]string
	}{
		{withSums, map[string]string{
			"darwin/amd64":  "opa_darwin_amd64",
			"darwin/arm64":  "opa_darwin_arm64_static",
			"linux/amd64":   "opa_linux_amd64",
			"linux/arm64":   "opa_linux_arm64_static",
			"windows/amd64": "opa_windows_amd64.exe",
		}},
		{"t_amd64.deb t-1.x86_64.rpm tool-1.2.3_linux_x86_64.tar.gz", map[string]string{"linux/amd64": "tool-1.2.3_linux_x86_64.tar.gz"}},
		{"t_amd64.deb t-1.x86_64.rpm", map[string]string{"linux/amd64": "t_amd64.deb"}},
		{"tool-windows-amd64.msi tool-windows-amd64-portable.zip", map[string]string{"windows/amd64": "tool-windows-amd64-portable.zip"}},
		{"t_macos_all.zip tool_macos_arm64.zip", map[string]string{"darwin/amd64": "t_macos_all.zip", "darwin/arm64": "tool_macos_arm64.zip"}},
		{"tool_macos_all.zip tool_macos_arm64.pkg", map[string]string{"darwin/amd64": "tool_macos_all.zip", "darwin/arm64": "tool_macos_all.zip"}},
		{"tool-linux-armv7 tool-linux-armv6", map[string]string{"linux/arm": "tool-linux-armv6"}},
		{"source.tar.gz", map[string]string{}},
		{"", map[string]string{}},
	}
	for _, test := range tests {
		var assets []Asset
		for _, name := range strings.Fields(test.names) {
			assets = append(assets, Asset{name, "https://example.com/" + name})
		}
		for range 2 {
			got := make(map[string]string)
			for p, url := range ByPlatform(assets) {
				got[p.String()] = strings.TrimPrefix(url, "https://example.com/")
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("ByPlatform(%s): -want +got:\n%s", test.names, diff)
			}
			slices.Reverse(assets) // the result must not depend on the order
		}
	}
}

func FuzzPlatforms(f *testing.F) {
	for _, seed := range []string{"opa_linux_amd64_static", "tool_Darwin_all.tar.gz", "x86_64-pc-windows-msvc.exe", "a.1.2.386", "aarch64_be", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		for _, p := range parseName(name).platforms() {
			if !p.Known() {
				t.Errorf("Platforms(%q) contains %v, want platforms that Go builds for", name, p)
			}
		}
	})
}

// joinPlatforms returns the names of platforms, separated by spaces.
func joinPlatforms(platforms []checker.Platform) string {
	var names []string
	for _, p := range platforms {
		names = append(names, p.String())
	}
	return strings.Join(names, " ")
}
