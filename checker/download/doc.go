// Package download chooses which file of a release is the download for each platform.
//
// The choice depends only on the names of the files. [Choose] reads a name word by word
// and applies these rules:
//
//   - Never a download: a companion, which is named as another file plus a suffix
//     (checksums, signatures, inventories, deltas); source code, tests, debug symbols,
//     images, libraries, documents and scripts.
//   - One program for all platforms. The words before the platform and the version in a
//     file's name are the program's name. The product's name wins, then the repository's,
//     then a name that contains one of them, then the name with files for the most
//     platforms. A platform that has only files of other programs has no download.
//   - The last word for an operating system and the last word for an architecture name
//     the platform; an ending such as .exe or .deb implies the operating system. A
//     universal file for macOS serves both architectures.
//   - What a name leaves out is assumed: amd64 for Linux and Windows; for macOS the
//     architecture that other files do not name, or both; Linux, in a release that names
//     no other system. If a release has arm for Windows or macOS and nowhere arm64, arm
//     means arm64.
//   - Of the files for a platform, the best kind wins: programs and archives, then
//     AppImage, deb, rpm, installers, other packages, and unknown endings. In a release
//     of electron-builder, which has a latest.yml, the installers for macOS and Windows
//     come before the archives, which are there for its updater.
//   - Then a name with the whole platform comes before one that leaves a part out; a
//     plain build before one with further words (enterprise, profile); a build for all
//     distributions before one for Ubuntu; glibc before musl; MSVC before MinGW; a build
//     for all CPUs before x86-64-v3; one architecture before a universal file; and a
//     dynamic build before a static one. For 32-bit ARM, the order is arm, armv6, armhf,
//     armv7, and builds without hardware floating point.
//   - Finally, the more common format comes first, then the shorter name, and then the
//     first in the alphabet.
//   - A file without any platform serves every platform if no other file names one, and
//     if it is a .jar, a .pyz or the like, or has a script beside it that starts it on
//     Windows.
//
// A file name that the operator sets overrides all rules: see [Options].
package download
