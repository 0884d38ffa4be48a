package download

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"relcheck/checker"
)

func filesNamed(names string) (files []File) {
	for name := range strings.FieldsSeq(names) {
		files = append(files, File{Name: name, URL: "https://example.com/" + name})
	}
	return files
}

// TestChoose chooses among the files of a release of the product "app". Files that are
// not downloads come first, so that a choice by order fails.
func TestChoose(t *testing.T) {
	tests := []struct {
		files string
		want  string // platform=file, or nothing
	}{
		// Companions.
		{"app-linux-amd64.tar.gz.sha app-linux-amd64.tar.gz", "linux/amd64=app-linux-amd64.tar.gz"},
		{"app-linux-amd64.tar.gz.blake3 app-linux-amd64.tar.gz", "linux/amd64=app-linux-amd64.tar.gz"},
		{"app-linux-amd64.tar.gz.cosign app-linux-amd64.tar.gz", "linux/amd64=app-linux-amd64.tar.gz"},
		{"app-linux-amd64.tar.gz.vex app-linux-amd64.tar.gz", "linux/amd64=app-linux-amd64.tar.gz"},
		{"app-linux-amd64.tar.gz.delta app-linux-amd64.tar.gz", "linux/amd64=app-linux-amd64.tar.gz"},
		{"app-linux-amd64.deb.dgst app-linux-amd64.deb", "linux/amd64=app-linux-amd64.deb"},
		{"app-linux-amd64.sha app-linux-amd64", "linux/amd64=app-linux-amd64"},
		{"app-linux-amd64.unheard app-linux-amd64", "linux/amd64=app-linux-amd64"},
		{"app-linux-amd64.sbom.json app-linux-amd64.intoto.jsonl app-linux-amd64", "linux/amd64=app-linux-amd64"},
		{"app-linux-amd64-keyless.pem app-linux-amd64-keyless.sig app-linux-amd64.sig app-linux-amd64", "linux/amd64=app-linux-amd64"},
		{"app-windows-amd64.exe.asc app-windows-amd64.exe.p7s app-windows-amd64.exe", "windows/amd64=app-windows-amd64.exe"},
		{"App-x86_64.AppImage.zsync App-x86_64.AppImage", "linux/amd64=App-x86_64.AppImage"},
		{"APP-LINUX-AMD64.SHA512 app-linux-amd64", "linux/amd64=app-linux-amd64"},
		{"app_linux_amd64_sha256 app_linux_amd64_checksums.txt app_linux_amd64.zip", "linux/amd64=app_linux_amd64.zip"},
		{"app-linux-amd64.tar.gz.blake3", ""},
		{"app-linux-amd64.tar.gz.unheard", ""},
		{"app-linux-amd64.cosign.bundle", ""},
		{"LICENSE-linux-amd64 tests-linux-amd64.zip src-linux-amd64.zip image-linux-amd64.tar checksums_linux_amd64 SHA256SUMS-linux-amd64", ""},
		{"SHA256SUMS-linux-amd64 checksums_linux_amd64 app-linux-amd64", "linux/amd64=app-linux-amd64"},
		{"sha256sum-amd64.txt app-linux-amd64", "linux/amd64=app-linux-amd64"},
		{"app app.exe", "windows/amd64=app.exe"}, // app.exe is not a companion of app

		// What is not the program.
		{"LICENSE-linux-amd64 app-linux-amd64", "linux/amd64=app-linux-amd64"},
		{"app-src-linux-amd64.zip app-linux-amd64-full-edition.zip", "linux/amd64=app-linux-amd64-full-edition.zip"},
		{"app-debug-linux-amd64.zip app-linux-amd64-stripped.zip", "linux/amd64=app-linux-amd64-stripped.zip"},
		{"app-linux-amd64-debuginfo.tar.gz app-linux-amd64.tar.gz", "linux/amd64=app-linux-amd64.tar.gz"},
		{"tests-linux-amd64.zip app-linux-amd64-v1.2.3.zip", "linux/amd64=app-linux-amd64-v1.2.3.zip"},
		{"app-darwin-arm64.dSYM.zip app-darwin-arm64-v1.2.3.zip", "darwin/arm64=app-darwin-arm64-v1.2.3.zip"},
		{"app-windows-x64.pdb app-windows-x64-pdb.zip app-windows-x64-1.2.3.zip", "windows/amd64=app-windows-x64-1.2.3.zip"},
		{"app-image-linux-amd64.tar app-oci-linux-amd64.tar.gz app-linux-amd64-1.2.3.tar.gz", "linux/amd64=app-linux-amd64-1.2.3.tar.gz"},
		{"app-linux-amd64.iso app-linux-amd64.img.xz app-linux-amd64.qcow2", ""},
		{"app-docs-linux-amd64.zip app-linux-amd64-completions.tar.gz app-linux-amd64-manpages.zip", ""},
		{"libapp-linux-amd64.so app-linux-amd64-headers.zip", ""},
		{"install-linux-amd64.sh app-linux-amd64.ps1", ""},
		{"app-source.tar.gz app-1.2.3.tar.gz app-1.2.3.zip", ""},

		// Installers and packages.
		{"app-1.2.3-1-x86_64.pkg.tar.zst app_1.2.3_linux_x86_64.tar.gz", "linux/amd64=app_1.2.3_linux_x86_64.tar.gz"},
		{"app_1.2.3_linux_amd64.apk app_1.2.3_linux_amd64_portable.zip", "linux/amd64=app_1.2.3_linux_amd64_portable.zip"},
		{"app_amd64.deb app-x86_64.AppImage", "linux/amd64=app-x86_64.AppImage"},
		{"app.x86_64.rpm app_1.2.3_amd64.deb", "linux/amd64=app_1.2.3_amd64.deb"},
		{"app_amd64.snap app-1.2.3-1.x86_64.rpm", "linux/amd64=app-1.2.3-1.x86_64.rpm"},
		{"app_1.2.3_linux_amd64.apk app-amd64.flatpak", "linux/amd64=app-amd64.flatpak"},
		{"app-x64.msi app-windows-x64-portable.zip", "windows/amd64=app-windows-x64-portable.zip"},
		{"app-setup-x64.exe app-windows-x64-1.2.3.zip", "windows/amd64=app-windows-x64-1.2.3.zip"},
		{"AppSetup-x64.exe app-windows-x64-1.2.3.zip", "windows/amd64=app-windows-x64-1.2.3.zip"},
		{"app-x64.exe app-windows-x64-1.2.3.zip app-linux-x64.tar.gz", "linux/amd64=app-linux-x64.tar.gz windows/amd64=app-windows-x64-1.2.3.zip"},
		{"app-windows-x64-1.2.3.zip app-x64.exe app-linux-x64", "linux/amd64=app-linux-x64 windows/amd64=app-x64.exe"},
		{"app-windows-x64-installer.exe app-windows-x64-no-installer.exe", "windows/amd64=app-windows-x64-no-installer.exe"},
		{"app-arm64.pkg app-arm64.dmg app-macos-arm64-1.2.3.zip", "darwin/arm64=app-macos-arm64-1.2.3.zip"},
		{"app-macos-arm64.pkg app-macos-arm64.dmg", "darwin/arm64=app-macos-arm64.dmg"},
		{"app-linux-x64.vsix app-x86_64-unknown-linux-gnu.gz", "linux/amd64=app-x86_64-unknown-linux-gnu.gz"},
		{"app-linux-amd64.unheard app_linux_amd64.deb", "linux/amd64=app_linux_amd64.deb"},
		{"app-linux-amd64.unheard", "linux/amd64=app-linux-amd64.unheard"},
		{"app.dmg app-mac.zip app-mac.zip.blockmap", "darwin/amd64=app.dmg darwin/arm64=app.dmg"},

		// One program for all platforms.
		{"zz-server_linux_amd64 zz-server_darwin_arm64 zz-server_windows_amd64.exe app_linux_amd64.tar.gz",
			"linux/amd64=app_linux_amd64.tar.gz"},
		{"zz-server_linux_amd64 zz-server_darwin_arm64 cli_windows_amd64.exe",
			"linux/amd64=zz-server_linux_amd64 darwin/arm64=zz-server_darwin_arm64"},
		{"x_linux_amd64 app-server_linux_amd64.tar.gz", "linux/amd64=app-server_linux_amd64.tar.gz"},
		{"x_linux_amd64 protoc-gen-app_linux_amd64", "linux/amd64=protoc-gen-app_linux_amd64"},
		{"App_linux_amd64 a-p-p_darwin_arm64", "linux/amd64=App_linux_amd64 darwin/arm64=a-p-p_darwin_arm64"},
		{"app-linux-amd64-enterprise.tar.gz app-linux-amd64-v1.2.3.tar.gz", "linux/amd64=app-linux-amd64-v1.2.3.tar.gz"},
		{"linux-amd64-app.zip darwin-arm64-app.zip", "linux/amd64=linux-amd64-app.zip darwin/arm64=darwin-arm64-app.zip"},

		// Builds.
		{"app-x86_64-unknown-linux-musl.zip app-x86_64-unknown-linux-gnu.tar.gz", "linux/amd64=app-x86_64-unknown-linux-gnu.tar.gz"},
		{"app-x86_64-unknown-linux-musl.tar.gz", "linux/amd64=app-x86_64-unknown-linux-musl.tar.gz"},
		{"app-alpine-x64 app-linux-x64-1.2.3", "linux/amd64=app-linux-x64-1.2.3"},
		{"app-x86_64-pc-windows-gnu.zip app-x86_64-pc-windows-msvc.zip", "windows/amd64=app-x86_64-pc-windows-msvc.zip"},
		{"app_linux_amd64_v3.zip app_linux_amd64_v2.zip app_linux_amd64_v1.tar.gz", "linux/amd64=app_linux_amd64_v1.tar.gz"},
		{"app-x86_64-v3-linux.zip app-1.2.3-x86_64-linux.zip", "linux/amd64=app-1.2.3-x86_64-linux.zip"},
		{"app-linux-amd64v3 app-linux-amd64-avx2 app-linux-amd64-1.2.3", "linux/amd64=app-linux-amd64-1.2.3"},
		{"app-linux-armv7 app-linux-armv6 app-linux-armv5", "linux/arm=app-linux-armv6"},
		{"app-linux-armhf app-linux-armel", "linux/arm=app-linux-armhf"},
		{"app-linux-armv7 app-linux-arm-1.2.3", "linux/arm=app-linux-arm-1.2.3"},
		{"app-arm-unknown-linux-gnueabi.zip app-arm-unknown-linux-gnueabihf.zip", "linux/arm=app-arm-unknown-linux-gnueabihf.zip"},
		{"app_linux_arm_7.zip app_linux_arm_6.zip", "linux/arm=app_linux_arm_6.zip"},
		{"app-linux-amd64-static.zip app-linux-amd64-v1.2.3.zip", "linux/amd64=app-linux-amd64-v1.2.3.zip"},
		{"app-linux-arm64_static", "linux/arm64=app-linux-arm64_static"},
		{"app-ubuntu-22.04-amd64.tgz app-debian12-amd64.tgz app-linux-amd64-1.2.3.tgz", "linux/amd64=app-linux-amd64-1.2.3.tgz"},
		{"app-macos-universal.zip", "darwin/amd64=app-macos-universal.zip darwin/arm64=app-macos-universal.zip"},
		{"app_Darwin_all.tar.gz app-darwin-arm64-v1.2.3.tar.gz", "darwin/amd64=app_Darwin_all.tar.gz darwin/arm64=app-darwin-arm64-v1.2.3.tar.gz"},
		{"app-macos-fat.zip app-macos-arm64.pkg", "darwin/amd64=app-macos-fat.zip darwin/arm64=app-macos-fat.zip"},
		{"app-linux-amd64.zip app-linux-amd64.tar.gz app-windows-amd64.tar.gz app-windows-amd64.zip",
			"linux/amd64=app-linux-amd64.tar.gz windows/amd64=app-windows-amd64.zip"},

		{"app-windows-amd64 app-windows-amd64.zip app-windows-amd64-v1.2.3.exe app-linux-amd64",
			"linux/amd64=app-linux-amd64 windows/amd64=app-windows-amd64-v1.2.3.exe"},

		// What a name leaves out.
		{"app-linux.zip app-macos.zip app-win.zip", "linux/amd64=app-linux.zip darwin/amd64=app-macos.zip darwin/arm64=app-macos.zip windows/amd64=app-win.zip"},
		{"App-1.2.3.dmg App-1.2.3-arm64.dmg", "darwin/amd64=App-1.2.3.dmg darwin/arm64=App-1.2.3-arm64.dmg"},
		{"app-linux.tar.gz app-linux-amd64.deb", "linux/amd64=app-linux.tar.gz"},
		{"app-linux app-linux-amd64-v1.2.3", "linux/amd64=app-linux-amd64-v1.2.3"},
		{"app.AppImage app-arm64.AppImage app_amd64.deb", "linux/amd64=app.AppImage linux/arm64=app-arm64.AppImage"},
		{"app.dmg app-arm64-mac.zip latest-mac.yml", "darwin/amd64=app.dmg darwin/arm64=app-arm64-mac.zip"},
		{"app-x64.exe app-x64.msi app-portable-x64.exe app-win-x64.zip latest.yml", "windows/amd64=app-x64.exe"},
		{"app.dmg app-intel.dmg", "darwin/amd64=app-intel.dmg darwin/arm64=app.dmg"},
		{"app.pkg app-darwin-x64.tar.gz app-darwin-arm64.tar.gz", "darwin/amd64=app-darwin-x64.tar.gz darwin/arm64=app-darwin-arm64.tar.gz"},
		{"app app-arm64 app-armhf", "linux/amd64=app linux/arm64=app-arm64 linux/arm=app-armhf"},
		{"app app-amd64 app-arm64", "linux/amd64=app-amd64 linux/arm64=app-arm64"},
		{"app app-arm64 app.exe", "windows/amd64=app.exe"},
		{"app_linux-arm app_windows-arm.exe", "linux/arm64=app_linux-arm windows/arm64=app_windows-arm.exe"},
		{"app_linux-arm app_linux-arm64 app_windows-arm.zip", "linux/arm=app_linux-arm linux/arm64=app_linux-arm64"},
		{"app-linux-all.tar.gz app_all.deb app-noarch.rpm", ""},
		{"app-arm64-v8a.apk app.apk", "android/386=app.apk android/amd64=app.apk android/arm=app.apk android/arm64=app-arm64-v8a.apk"},
		{"app.jar app-sources.jar app-javadoc.jar", "other/other=app.jar"},
		{"app-1.2.3.jar app-linux-amd64", "linux/amd64=app-linux-amd64"},
		{"app app.bat", "other/other=app"},
		{"app", ""},
		{"app.pyz app.pyz.asc", "other/other=app.pyz"},
		{"", ""},
	}
	for _, test := range tests {
		want := make(map[string]string)
		for field := range strings.FieldsSeq(test.want) {
			platform, file, _ := strings.Cut(field, "=")
			want[platform] = file
		}
		files := filesNamed(test.files)
		for range 2 {
			got := chosen(files, Options{Product: "app", Tag: "v1.2.3"})
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("Choose(%s): -want +got:\n%s", test.files, diff)
			}
			slices.Reverse(files)
		}
	}
}

func TestChooseByProduct(t *testing.T) {
	tests := []struct {
		files, product, repository, tag string
		want                            string
	}{
		{"alpha-linux-amd64 beta-linux-amd64", "beta", "", "", "beta-linux-amd64"},
		{"alpha-linux-amd64 beta-linux-amd64", "my-product", "owner/beta", "", "beta-linux-amd64"},
		{"alpha-linux-amd64 beta-linux-amd64", "my-product", "example.com/owner/beta/v2", "", "beta-linux-amd64"},
		{"alpha-linux-amd64 beta-linux-amd64", "my-product", "https://example.com/owner/beta.git", "", "beta-linux-amd64"},
		{"alpha-linux-amd64 beta-linux-amd64", "alpha", "owner/beta", "", "alpha-linux-amd64"},
		{"alpha-linux-amd64 alpha-linux-arm64 beta-linux-amd64", "my-product", "owner/repository", "", "alpha-linux-amd64"},
		{"alpha-linux-amd64 alpha_linux_amd64.deb beta-linux-amd64", "my-product", "owner/repository", "", "alpha-linux-amd64"},
		// Words of the product's name have no other meaning in a name.
		{"test-runner-linux-amd64 runner-linux-amd64", "test-runner", "", "", "test-runner-linux-amd64"},
		{"test-runner-linux-amd64", "runner", "owner/test-runner", "", "test-runner-linux-amd64"},
		{"docker-compose-linux-x86_64", "docker-compose", "docker/compose", "", "docker-compose-linux-x86_64"},
		{"source-controller-linux-amd64", "source-controller", "", "", "source-controller-linux-amd64"},
		{"windows_exporter-0.25.1-amd64.exe windows_exporter-0.25.1-386.exe", "windows_exporter", "", "", ""},
		{"linux-arm_linux_amd64", "linux-arm", "", "", "linux-arm_linux_amd64"},
		{"v8-linux-amd64", "v8", "", "", "v8-linux-amd64"},
		// The tag is not part of the name.
		{"app-k3s1-linux-amd64.zip app-enterprise-linux-amd64.tar.gz", "app", "", "v1.30.0+k3s1", "app-k3s1-linux-amd64.zip"},
		{"app-linux-amd64-k3s1.zip app-linux-amd64-fips.tar.gz", "app", "", "v1.30.0+k3s1", "app-linux-amd64-k3s1.zip"},
		{"app-linux-amd64-2024.08.06.zip", "app", "", "2024.08.06", "app-linux-amd64-2024.08.06.zip"},
		{"bun-linux-x64.zip", "bun", "", "bun-v1.1.0", "bun-linux-x64.zip"},
	}
	for _, test := range tests {
		o := Options{Product: test.product, Repository: test.repository, Tag: test.tag}
		if got := chosen(filesNamed(test.files), o)["linux/amd64"]; got != test.want {
			t.Errorf("Choose(%s, %+v) = %q, want %q", test.files, o, got, test.want)
		}
	}
}

// TestChooseByFileName checks that the file name that an operator sets overrides all
// rules, for every platform.
func TestChooseByFileName(t *testing.T) {
	files := filesNamed("app_1.2.3_linux_amd64.tar.gz app_1.2.3_linux_amd64.tar.gz.sha256 app_1.2.3_darwin_arm64.tar.gz app_1.2.3_windows_amd64.zip app-debug_1.2.3_linux_amd64")
	fileName := func(p checker.Platform) string {
		if p == checker.Other {
			return ""
		}
		return fmt.Sprintf("app_1.2.3_%s_%s.tar.gz", p.OS, p.Arch)
	}
	got := Choose(files, Options{Product: "app", FileName: fileName})
	want := Selection{
		Downloads: map[checker.Platform]Choice{
			{OS: "linux", Arch: "amd64"}:  {File: 0, Reason: "file name set for the product"},
			{OS: "darwin", Arch: "arm64"}: {File: 2, Reason: "file name set for the product"},
		},
		Unused: []string{
			"",
			"not the file name that is set for the product",
			"",
			"not the file name that is set for the product",
			"not the file name that is set for the product",
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}

	all := Choose(files, Options{FileName: func(checker.Platform) string { return "app-debug_1.2.3_linux_amd64" }})
	if got, want := len(all.Downloads), len(checker.Platforms())+1; got != want {
		t.Errorf("a file name without a platform serves %d platforms, want %d", got, want)
	}
}

func TestReasons(t *testing.T) {
	files := filesNamed("app_1.2.3_amd64.deb app-x86_64-unknown-linux-musl.tar.gz app-x86_64-unknown-linux-gnu.tar.gz app-x86_64-unknown-linux-gnu.tar.xz " +
		"app-x86_64-unknown-linux-gnu.tar.gz.sha app-src.zip app-server-linux-amd64.zip app-linux-amd64-fips.zip app-1.2.3.zip app-freebsd-amd64")
	s := Choose(files, Options{Product: "app", Tag: "1.2.3"})
	want := Choice{File: 2, Reason: ".tar.gz", Others: []Other{
		{3, ".tar.xz"},
		{1, "musl"},
		{7, "special build: fips"},
		{0, "deb package"},
	}}
	if diff := cmp.Diff(want, s.Downloads[checker.Platform{OS: "linux", Arch: "amd64"}]); diff != "" {
		t.Errorf("linux/amd64: -want +got:\n%s", diff)
	}
	want = Choice{File: 9, Reason: "the only file"}
	if diff := cmp.Diff(want, s.Downloads[checker.Platform{OS: "freebsd", Arch: "amd64"}]); diff != "" {
		t.Errorf("freebsd/amd64: -want +got:\n%s", diff)
	}
	unused := []string{"", "", "", "", "companion of app-x86_64-unknown-linux-gnu.tar.gz", "source code", "another program: app-server", "", "no platform in its name", ""}
	if diff := cmp.Diff(unused, s.Unused); diff != "" {
		t.Errorf("unused: -want +got:\n%s", diff)
	}
	s = Choose(filesNamed("App-1.2.3.dmg App-1.2.3-mac.zip latest-mac.yml"), Options{Product: "app", Tag: "1.2.3"})
	want = Choice{File: 0, Reason: "installer", Others: []Other{{1, "archive for the updater of the program"}}}
	if diff := cmp.Diff(want, s.Downloads[checker.Platform{OS: "darwin", Arch: "amd64"}]); diff != "" {
		t.Errorf("darwin/amd64: -want +got:\n%s", diff)
	}
}

// checkSelection checks what holds for every release: each platform is one of Go's, no
// companion is chosen, and the order of the files has no effect.
func checkSelection(t *testing.T, files []File, o Options) {
	t.Helper()
	s := Choose(files, o)
	for p, c := range s.Downloads {
		if !p.Known() && p != checker.Other {
			t.Errorf("a download for %v, which Go does not support", p)
		}
		name := strings.ToLower(files[c.File].Name)
		for _, suffix := range []string{".sha256", ".sig", ".asc", ".pem", ".sbom.json", ".delta"} {
			if strings.HasSuffix(name, suffix) {
				t.Errorf("companion %q is chosen for %v", name, p)
			}
		}
		if base, ok := strings.CutSuffix(name, ".unheard"); ok {
			if slices.ContainsFunc(files, func(f File) bool { return strings.ToLower(f.Name) == base && base != "" }) {
				t.Errorf("companion %q is chosen for %v", name, p)
			}
		}
	}
	order := rand.New(rand.NewPCG(1, uint64(len(files)))).Perm(len(files))
	shuffled := make([]File, len(files))
	for i, j := range order {
		shuffled[i] = files[j]
	}
	again := Choose(shuffled, o)
	if len(again.Downloads) != len(s.Downloads) {
		t.Fatalf("%q: %d downloads in one order, %d in another", files, len(s.Downloads), len(again.Downloads))
	}
	for p, c := range s.Downloads {
		a, ok := again.Downloads[p]
		if !ok || order[a.File] != c.File || a.Reason != c.Reason || len(a.Others) != len(c.Others) {
			t.Errorf("%v: %q (%s) in one order, %q (%s) in another", p, files[c.File], c.Reason, shuffled[a.File], a.Reason)
		}
	}
	for i, j := range order {
		if again.Unused[i] != s.Unused[j] {
			t.Errorf("%q is unused for %q in one order, for %q in another", files[j], s.Unused[j], again.Unused[i])
		}
	}
}

// TestRandomReleases composes the names of files from words that have a meaning.
func TestRandomReleases(t *testing.T) {
	var words, suffixes []string
	for _, row := range vocabulary {
		words = append(words, strings.Fields(row.words)...)
	}
	for _, row := range endingTable {
		suffixes = append(suffixes, strings.Fields(row.words)...)
	}
	common := strings.Fields("linux darwin windows amd64 arm64 arm x86_64 v1.2.3 app app server")
	suffixes = append(suffixes, "unheard", "tar.gz", "zip", "exe", "deb", "tar.gz", "zip", "exe")
	r := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		var files []File
		for len(files) < 2+r.IntN(12) {
			name := []string{"app", "app", "app", "cli", "app-server"}[r.IntN(5)]
			for range r.IntN(5) {
				word := common[r.IntN(len(common))]
				if r.IntN(3) == 0 {
					word = words[r.IntN(len(words))]
				}
				name += string("-_."[r.IntN(3)]) + word
			}
			if len(files) > 0 && r.IntN(4) == 0 {
				name = files[r.IntN(len(files))].Name // the beginning of a companion
			}
			if r.IntN(3) > 0 {
				name += "." + suffixes[r.IntN(len(suffixes))]
			}
			files = append(files, File{Name: name, URL: fmt.Sprint("https://example.com/", len(files))})
		}
		checkSelection(t, files, Options{Product: "app", Tag: "v1.2.3"})
	}
}

// TestHostileNames checks that long names and many files take little time.
func TestHostileNames(t *testing.T) {
	long := []string{
		strings.Repeat("linux-", 1<<17),
		strings.Repeat("a", 1<<20),
		strings.Repeat("x86_64.", 1<<17),
		strings.Repeat(".", 1<<20),
		strings.Repeat("linux", 51),
		strings.Repeat("a-", 127),
	}
	var files []File
	for _, name := range long {
		files = append(files, File{Name: name}, File{Name: name + ".sig"})
		platforms(name)
		Normalize(name, name)
	}
	for i := range 5000 {
		files = append(files, File{Name: fmt.Sprintf("app-linux-amd64-%d.zip", i)})
	}
	started := time.Now()
	s := Choose(files, Options{Product: strings.Repeat("a-", 1<<10), Repository: strings.Repeat("/", 1<<10), Tag: strings.Repeat("1.", 1<<10)})
	if took := time.Since(started); took > 5*time.Second {
		t.Errorf("5,000 files took %v", took)
	}
	if s.Unused[0] != "name too long" {
		t.Errorf("a name of %d bytes is unused for %q", len(files[0].Name), s.Unused[0])
	}
}

// FuzzChoose chooses among arbitrary files, one to a line.
func FuzzChoose(f *testing.F) {
	for _, p := range readProjects(f) {
		var names []string
		for _, file := range p.files {
			names = append(names, file.Name)
		}
		f.Add(strings.Join(names, "\n"), p.Product, p.Tag)
	}
	f.Add("app-linux-amd64\napp-linux-amd64\n.\n..\n\napp.\n.tar.gz\n\xff\xfe_linux_\x00_amd64", "", "v")
	f.Add("a-linux-amd64\na-linux-amd64.b\na-linux-amd64.b.c\na-linux-amd64-.sig", "a.b", "/@+")
	f.Fuzz(func(t *testing.T, list, product, tag string) {
		var files []File
		for i, name := range strings.Split(list, "\n") {
			files = append(files, File{Name: name, URL: fmt.Sprint("https://example.com/", i)})
		}
		checkSelection(t, files, Options{Product: product, Repository: "owner/" + product, Tag: tag})
	})
}
