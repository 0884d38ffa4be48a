package download

import (
	"strings"
	"sync"
)

// kind is the kind of a file, by its ending. The first kinds are in the order of preference.
type kind int8

const (
	program kind = iota
	archive
	maybeInstaller // an .exe in a release whose other programs are in archives
	appImage
	debPackage
	rpmPackage
	installer
	otherPackage
	unknownEnding
	anywhere // runs on every platform
	notProgram
)

var kindNames = [...]string{
	"program", "archive", "may be an installer", "AppImage", "deb package", "rpm package", "installer", "package", "unknown ending", "for every platform",
}

// ending is what follows the last dot of a name, or the last two or three.
type ending struct {
	text        string
	kind        kind
	os          string // the only operating system that knows it
	overridable bool   // the rest of the name may say another operating system
	excludedAs  string // what the file is instead of a program
	rank        int8   // position in the table: more common formats come first
}

// endingTable lists the endings that say what a file is. Within a kind, the more common
// comes first.
var endingTable = []struct {
	words string
	ending
}{
	{"exe", ending{os: "windows"}},
	{"bin elf out", ending{}},
	{"tar.gz tgz zip tar.xz txz tar.bz2 tbz tbz2 tar.zst tar.zstd tzst tar.lz tar.lzma tar.lz4 tar.br tar.7z tar 7z gz xz bz2 zst zstd br lz4 lzma rar",
		ending{kind: archive}},
	{"appimage", ending{kind: appImage, os: "linux"}},
	{"deb", ending{kind: debPackage, os: "linux"}},
	{"rpm", ending{kind: rpmPackage, os: "linux"}},
	{"dmg", ending{kind: installer, os: "darwin"}},
	{"pkg mpkg", ending{kind: installer, os: "darwin", overridable: true}},
	{"msi msix msixbundle appx appxbundle", ending{kind: installer, os: "windows"}},
	{"run", ending{kind: installer, os: "linux", overridable: true}},
	{"snap flatpak flatpakref pkg.tar.zst pkg.tar.xz pkg.tar.gz ipk opk xbps eopkg", ending{kind: otherPackage, os: "linux"}},
	{"apk aab", ending{kind: otherPackage, os: "android", overridable: true}},
	{"ipa", ending{kind: otherPackage, os: "ios"}},
	{"whl gem nupkg vsix crx xpi bottle.tar.gz", ending{kind: otherPackage}},
	{"jar pyz pex phar", ending{kind: anywhere}},

	{"img iso qcow2 qcow vmdk vdi ova ovf vhd vhdx raw wic box squashfs ext4 uf2 hex", ending{kind: notProgram, excludedAs: "image"}},
	{"sh bash zsh fish bat cmd ps1 py rb pl lua js mjs ts nix", ending{kind: notProgram, excludedAs: "script"}},
	{"so dll dylib a lib h hpp o wasm node", ending{kind: notProgram, excludedAs: "library"}},
	{"pdb debug dbg dsym dwp sym map", ending{kind: notProgram, excludedAs: "debug symbols"}},
	{"txt md html htm pdf csv log rst adoc json jsonl yaml yml toml xml plist conf cfg ini service lock tf png svg ico",
		ending{kind: notProgram, excludedAs: documentation}},
	{"sha sha1 sha224 sha256 sha384 sha512 sha1sum sha256sum sha384sum sha512sum sha3 md5 md5sum sum sums checksum checksums digest dgst " +
		"b2 b2sum blake2 blake2b b3 b3sum blake3 crc32 sfv sig sign signature asc gpg pgp minisig sigstore cosign bundle pem crt cert cer p7s p7b " +
		"pub key prov att attestation intoto sbom spdx cdx bom vex syft torrent zsync blockmap delta diff patch xdelta vcdiff bsdiff meta metalink",
		ending{kind: notProgram, excludedAs: companion}},
}

var endings = sync.OnceValue(func() map[string]ending {
	table := make(map[string]ending)
	for _, row := range endingTable {
		for w := range strings.FieldsSeq(row.words) {
			row.ending.text, row.ending.rank = "."+w, int8(min(len(table)+1, 127))
			table[w] = row.ending
		}
	}
	return table
})

// cutEnding splits a name in lower case into its base and its ending. A name that ends
// in a platform or a version has no ending: it is a program.
func cutEnding(name string) (base string, e ending) {
	start := len(name)
	for range 3 {
		i := strings.LastIndexByte(name[:start], '.')
		if i < 0 {
			break
		}
		start = i
		if known, ok := endings()[name[i+1:]]; ok {
			base, e = name[:i], known
		}
	}
	if e.text != "" {
		return base, e
	}
	i := strings.LastIndexByte(name, '.')
	if i < 0 || !isEnding(name[i+1:]) {
		return name, ending{}
	}
	return name[:i], ending{text: name[i:], kind: unknownEnding}
}

// isEnding reports whether a word after a dot is an ending that is not in the table.
func isEnding(w string) bool {
	if w == "" || isDigit(w[0]) || isVersion(w) {
		return false
	}
	for i := range len(w) {
		if !isDigit(w[i]) && (w[i] < 'a' || w[i] > 'z') {
			return false
		}
	}
	m := understand(w)
	return m == nil || m.excludedAs != ""
}
