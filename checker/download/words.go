package download

import (
	"strings"
	"sync"
)

// meaning is the meaning of a word in a file's name or a User-Agent header.
type meaning struct {
	os, arch   string // as Go names them
	implied    string // the architecture, if no other word names one
	cpu        int8   // how demanding the build is; 0 is the least
	libc       int8   // 0 is the usual one: glibc, MSVC
	excludedAs string // what the file is instead of a program
	flag       flag
}

// flag is what a word says besides the platform. A name may have several.
type flag uint8

const (
	neutral      flag = 1 << iota // nothing: a vendor, an ABI, a word for releases
	universal                     // for more than one architecture
	static                        // statically linked
	setup                         // an installer
	portable                      // not an installer
	distribution                  // for one distribution of Linux
	gnu                           // MinGW on Windows; the usual library elsewhere
)

// The values of meaning.cpu for 32-bit ARM. The least demanding build is the last,
// because it computes floating-point numbers without hardware.
const (
	armv6 int8 = iota + 1
	armhf
	armv7
	softFloat
)

var armNames = [...]string{"ARM", "ARMv6", "ARM with hardware floating point", "ARMv7", "ARM without hardware floating point"}

// Values of meaning.excludedAs and ending.excludedAs that the rules know.
const (
	companion     = "companion"
	documentation = "documentation"
)

// vocabulary is the one table of aliases: it serves file names and User-Agent headers.
// Words are in lower case, several to a row.
var vocabulary = []struct {
	words string
	meaning
}{
	// Operating systems.
	{"linux manylinux manylinux1 manylinux2010 manylinux2014", meaning{os: "linux"}},
	{"linux32", meaning{os: "linux", implied: "386"}},
	{"linux64", meaning{os: "linux", implied: "amd64"}},
	{"darwin macos osx macosx mac apple", meaning{os: "darwin"}},
	{"intel", meaning{implied: "amd64"}},
	{"silicon applesilicon", meaning{implied: "arm64"}},
	{"windows win win32nt winnt mswin mswin32", meaning{os: "windows"}},
	{"mingw mingw32 cygwin msys", meaning{os: "windows", flag: gnu}},
	{"win32", meaning{os: "windows", implied: "386"}},
	{"win64", meaning{os: "windows", implied: "amd64"}},
	{"mingw64", meaning{os: "windows", implied: "amd64", flag: gnu}},
	{"android androideabi", meaning{os: "android"}},
	{"aix", meaning{os: "aix"}},
	{"illumos omnios", meaning{os: "illumos"}},
	{"ios iphoneos", meaning{os: "ios"}},
	{"js", meaning{os: "js"}},
	{"plan9", meaning{os: "plan9"}},
	{"dragonfly dragonflybsd", meaning{os: "dragonfly"}},
	{"freebsd", meaning{os: "freebsd"}},
	{"netbsd", meaning{os: "netbsd"}},
	{"openbsd", meaning{os: "openbsd"}},
	{"solaris sunos", meaning{os: "solaris"}},
	{"wasip1 wasi", meaning{os: "wasip1"}},
	// Systems that Go does not support. A program for "apple" or "linux" does not run there.
	{"tvos watchos visionos haiku fuchsia hurd emscripten", meaning{os: "other"}},

	// Architectures.
	{"amd64 x64 x8664 x86-64 amd64v1 x86-64v1 i86pc", meaning{arch: "amd64"}},
	{"amd64v2 x86-64v2 sse4", meaning{arch: "amd64", cpu: 2}},
	{"amd64v3 x86-64v3 avx2", meaning{arch: "amd64", cpu: 3}},
	{"amd64v4 x86-64v4 avx512", meaning{arch: "amd64", cpu: 4}},
	{"arm64 aarch64 armv8 arm64v8 armv8a arm64e", meaning{arch: "arm64"}},
	{"386 i386 i486 i586 i686 x86 ia32 x32 x86-32", meaning{arch: "386"}},
	{"arm arm32", meaning{arch: "arm"}},
	{"armv6 armv6l armv6hf arm6 arm32v6", meaning{arch: "arm", cpu: armv6}},
	{"armhf armhfp armv8l", meaning{arch: "arm", cpu: armhf}},
	{"armv7 armv7a armv7l armv7hf armv7hl armv7neon arm7 arm32v7 armeabi-v7a", meaning{arch: "arm", cpu: armv7}},
	{"armel armeabi armv5 armv5te armv5tel armv5l arm5 arm32v5", meaning{arch: "arm", cpu: softFloat}},
	{"ppc64 powerpc64", meaning{arch: "ppc64"}},
	{"ppc64le ppc64el powerpc64le", meaning{arch: "ppc64le"}},
	{"mips", meaning{arch: "mips"}},
	{"mipsle mipsel", meaning{arch: "mipsle"}},
	{"mips64", meaning{arch: "mips64"}},
	{"mips64le mips64el", meaning{arch: "mips64le"}},
	{"riscv64 riscv64gc rv64gc", meaning{arch: "riscv64"}},
	{"loong64 loongarch64", meaning{arch: "loong64"}},
	{"s390x", meaning{arch: "s390x"}},
	{"wasm wasm32", meaning{arch: "wasm"}},
	{"32bit", meaning{implied: "386"}},
	{"64bit", meaning{implied: "amd64"}},
	// Architectures that Go does not support, and that are not aliases of others.
	{"aarch64-be armeb ia64 sparc sparc64 sparcv9 alpha64 hppa m68k ppc powerpc s390 riscv32 sh4 x64-32 thumbv7", meaning{arch: "other"}},

	// Builds.
	{"musl musleabi musleabihf musllinux alpine", meaning{os: "linux", libc: 1}},
	{"gnueabi softfloat", meaning{cpu: softFloat}},
	{"gnu gnullvm", meaning{flag: gnu}},
	{"universal universal2 fat all any noarch multiarch", meaning{flag: universal}},
	{"static", meaning{flag: static}},
	{"setup installer install", meaning{flag: setup}},
	{"portable standalone no-installer", meaning{flag: portable}},
	{"ubuntu debian fedora centos rhel el6 el7 el8 el9 el10 rocky almalinux opensuse suse sles amzn jammy noble focal bookworm bullseye trixie",
		meaning{os: "linux", flag: distribution}},
	{"unknown pc none nt msvc gnueabihf eabi eabihf gnuabi64 w64 elf hardfloat glibc " +
		"release releases rel stable latest final bin binary binaries dist executable exe app pkg package archive build " +
		"version v rc alpha beta pre preview nightly snapshot canary dev", meaning{flag: neutral}},

	// What is not the program.
	{"src source sources sourcecode vendor vendored", meaning{excludedAs: "source code"}},
	{"test tests testing e2e e2etest testsuite testdata bench benchmark benchmarks conformance", meaning{excludedAs: "tests"}},
	{"debug dbg dbgsym debuginfo debugsource debugsymbols dsym dsyms pdb pdbs symbols unstripped", meaning{excludedAs: "debug symbols"}},
	{"image images oci docker container containers airgap airgapped rootfs initrd", meaning{excludedAs: "image"}},
	{"license licenses licence licences copying notice notices credits readme changelog releasenotes doc docs " +
		"documentation javadoc man manpage manpages manual completion completions", meaning{excludedAs: documentation}},
	{"checksum checksums sha sha1 sha2 sha256 sha384 sha512 sha1sum sha1sums sha256sum sha256sums sha384sum sha384sums " +
		"sha512sum sha512sums shasum shasums shasums256 shasums512 256sums 512sums md5 md5sum md5sums b2sum b2sums b3sum hashes digest digests sums", meaning{excludedAs: "checksums"}},
	{"sbom spdx cyclonedx bom provenance attestation attestations intoto slsa vex signature signatures", meaning{excludedAs: "inventory or signature"}},
	{"config configs configuration crd crds chart charts helm manifest manifests schema schemas example examples sample samples " +
		"locale locales translations web-ui", meaning{excludedAs: "configuration"}},
	{"header headers include devel library libraries", meaning{excludedAs: "library"}},
	{"delta deltas diff diffs patch patches", meaning{excludedAs: "part of an update"}},
}

// lookup finds the meaning of a word in the vocabulary.
var lookup = sync.OnceValue(func() map[string]*meaning {
	table := make(map[string]*meaning)
	for i := range vocabulary {
		for w := range strings.FieldsSeq(vocabulary[i].words) {
			table[w] = &vocabulary[i].meaning
		}
	}
	return table
})

// understand returns the meaning of a word, or nil. It also understands a system with
// its version (macos11) and a system with an architecture (linuxarm64).
func understand(w string) *meaning {
	table := lookup()
	if m := table[w]; m != nil {
		return m
	}
	if trimmed := strings.TrimRight(w, "0123456789"); trimmed != w {
		if m := table[trimmed]; m != nil && m.os != "" {
			return m
		}
	}
	for i := range w {
		system := table[w[:i]]
		if system == nil || system.os == "" {
			continue
		}
		if rest := table[w[i:]]; rest != nil && (rest.arch != "" || rest.flag == universal) {
			both := *rest
			both.os = system.os
			return &both
		}
	}
	return nil
}

// pairs are words that a separator split, or that mean something else together. A
// number after a dot belongs to a version, not to a pair.
var pairs = map[[2]string]string{
	{"x86", "64"}: "x86-64", {"x86", "64v1"}: "x86-64v1", {"x86", "64v2"}: "x86-64v2", {"x86", "64v3"}: "x86-64v3", {"x86", "64v4"}: "x86-64v4",
	{"x86", "32"}: "x86-32", {"x64", "32"}: "x64-32",
	{"amd64", "v1"}: "amd64v1", {"amd64", "v2"}: "amd64v2", {"amd64", "v3"}: "amd64v3", {"amd64", "v4"}: "amd64v4",
	{"x86-64", "v1"}: "amd64v1", {"x86-64", "v2"}: "amd64v2", {"x86-64", "v3"}: "amd64v3", {"x86-64", "v4"}: "amd64v4",
	{"x86-64", "avx2"}: "amd64v3", {"x86-64", "avx512"}: "amd64v4", {"amd64", "avx2"}: "amd64v3", {"amd64", "avx512"}: "amd64v4",
	{"arm", "64"}: "arm64", {"arm", "64bit"}: "arm64", {"arm", "32"}: "arm", {"arm", "32bit"}: "arm", {"aarch64", "be"}: "aarch64-be",
	{"arm", "v5"}: "armv5", {"arm", "5"}: "armv5", {"arm", "v6"}: "armv6", {"arm", "6"}: "armv6", {"arm", "v7"}: "armv7", {"arm", "7"}: "armv7",
	{"arm64", "v8a"}: "arm64", {"arm64", "v8"}: "arm64", {"arm", "v8"}: "arm64", {"armeabi", "v7a"}: "armeabi-v7a",
	{"ppc64", "le"}: "ppc64le", {"mips64", "le"}: "mips64le", {"mips", "le"}: "mipsle", {"64", "bit"}: "64bit", {"32", "bit"}: "32bit",
	{"linux", "64"}: "linux64", {"linux", "32"}: "linux32", {"win", "64"}: "win64", {"win", "32"}: "win32",
	{"windows", "64"}: "win64", {"windows", "32"}: "win32", {"osx", "64"}: "darwinamd64", {"macos", "64"}: "darwinamd64", {"darwin", "64"}: "darwinamd64",
	{"mac", "os"}: "macos", {"os", "x"}: "osx", {"no", "installer"}: "no-installer", {"web", "ui"}: "web-ui",
}
