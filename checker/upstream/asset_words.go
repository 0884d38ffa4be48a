package upstream

// The words in the names of release files, in lower case. Other words (musl, gnu,
// unknown, pc, static, versions) do not describe a platform.

// osOf and archOf map a word to its name in Go.
var osOf = map[string]string{
	"linux": "linux", "linux32": "linux", "linux64": "linux",
	"darwin": "darwin", "macos": "darwin", "osx": "darwin", "macosx": "darwin", "mac": "darwin", "apple": "darwin",
	"windows": "windows", "win": "windows", "win32": "windows", "win64": "windows",
	"aix": "aix", "android": "android", "illumos": "illumos", "ios": "ios", "js": "js", "plan9": "plan9",
	"dragonfly": "dragonfly", "freebsd": "freebsd", "netbsd": "netbsd", "openbsd": "openbsd",
	"solaris": "solaris", "sunos": "solaris", "wasip1": "wasip1",
	// Go does not support these, and programs for "apple" do not run there.
	"tvos": "tvos", "watchos": "watchos", "visionos": "visionos",
}

var archOf = map[string]string{
	"amd64": "amd64", "x64": "amd64", "x86-64": "amd64",
	"arm64": "arm64", "aarch64": "arm64", "armv8": "arm64", "arm64v8": "arm64",
	"386": "386", "i386": "386", "i486": "386", "i586": "386", "i686": "386", "x86": "386", "ia32": "386",
	"arm": "arm", "armhf": "arm", "armel": "arm", "armv5": "arm", "armv6": "arm", "armv6l": "arm", "armv6hf": "arm",
	"armv7": "arm", "armv7a": "arm", "armv7l": "arm", "armv7hf": "arm",
	"ppc64": "ppc64", "powerpc64": "ppc64", "ppc64le": "ppc64le", "ppc64el": "ppc64le", "powerpc64le": "ppc64le",
	"mips": "mips", "mipsle": "mipsle", "mipsel": "mipsle", "mips64": "mips64", "mips64le": "mips64le", "mips64el": "mips64le",
	"riscv64": "riscv64", "riscv64gc": "riscv64", "loong64": "loong64", "loongarch64": "loong64",
	"s390x": "s390x", "wasm": "wasm",
	// Go does not support big-endian ARM, which is not compatible with arm64.
	"aarch64-be": "aarch64-be",
}

// impliedArch maps words that imply an architecture.
var impliedArch = map[string]string{
	"linux32": "386", "win32": "386", "32bit": "386",
	"linux64": "amd64", "win64": "amd64", "64bit": "amd64",
}

// pairs are words that a separator split, or that have another meaning together.
var pairs = map[[2]string]string{
	{"x86", "64"}:     "x86-64",
	{"arm", "64bit"}:  "arm64",
	{"aarch64", "be"}: "aarch64-be",
	{"ppc64", "le"}:   "ppc64le",
	{"mips64", "le"}:  "mips64le",
	{"64", "bit"}:     "64bit",
	{"32", "bit"}:     "32bit",
}

// universals are words for files that run on both architectures of macOS.
var universals = []string{"universal", "universal2", "all"}

// packages are the extensions of installer packages.
var packages = map[string]struct{}{
	"deb": {}, "rpm": {}, "apk": {}, "msi": {}, "msix": {}, "pkg": {}, "dmg": {}, "snap": {}, "flatpak": {}, "appimage": {}, "whl": {},
}

// osOfExtension maps extensions that exist on one operating system only. They take
// precedence over the rest of the name: linux-tools_amd64.exe is for Windows.
var osOfExtension = map[string]string{
	"exe": "windows", "msi": "windows", "msix": "windows", "dmg": "darwin",
	"deb": "linux", "rpm": "linux", "snap": "linux", "flatpak": "linux", "appimage": "linux",
}

// notPrograms are the extensions of files that accompany a program: checksums,
// signatures, SBOMs, documents, and files for debuggers and linkers.
var notPrograms = []string{
	"sha1", "sha224", "sha256", "sha384", "sha512", "sha1sum", "sha256sum", "sha384sum", "sha512sum", "md5", "md5sum", "sum", "sums", "digest",
	"sig", "asc", "gpg", "pgp", "minisig", "sigstore", "bundle", "pem", "crt", "cert", "cer", "pub", "key", "prov",
	"sbom", "spdx", "cdx", "json", "jsonl", "intoto", "att", "xml", "yaml", "yml", "toml",
	"txt", "md", "html", "pdf", "csv", "log", "rb", "diff", "patch", "torrent", "zsync", "blockmap",
	"so", "dll", "dylib", "a", "lib", "h", "pdb", "debug", "map",
}

// checksums are words that mark a list of checksums anywhere in a name.
var checksums = []string{"checksum", "sha1sum", "sha256sum", "sha512sum", "md5sum"}
