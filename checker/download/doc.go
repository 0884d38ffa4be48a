// Package download chooses which file of a release is the download for each platform.
//
// The names of the files are all there is to choose by. [Choose] reads a name word by
// word and applies these rules:
//
//   - Never a download: a file that is not uploaded; a companion, which is named as
//     another file plus a suffix (checksums, signatures, inventories, deltas); source
//     code, tests, debug symbols, images, libraries, documents and scripts.
//   - One program for all platforms. What stands before the platform and the version in
//     a name is the program's name. The product's name wins, then the repository's, then
//     a name that contains one of them, then the name that is there for most platforms.
//     A platform that has only another program has no download.
//   - The platform is what the last words for an operating system and an architecture
//     say; an ending such as .exe or .deb implies the operating system. A file for macOS
//     that is universal serves both architectures.
//   - What a name leaves out is assumed: amd64 for Linux and Windows; for macOS the
//     architecture that other files do not name, or both; Linux, in a release that names
//     no other system. If a release says arm for Windows or macOS and arm64 nowhere, it
//     means arm64.
//   - Of the files for a platform, the best kind wins: programs and archives, then
//     AppImage, deb, rpm, installers, other packages, and unknown endings. In a release
//     of electron-builder, which has a latest.yml, the installers for macOS and Windows
//     come before the archives, which are there for its updater.
//   - Then the file wins whose name gives the whole platform. Then a plain build wins
//     against one with further words (enterprise, profile), one for all distributions
//     against one for Ubuntu, glibc against musl, MSVC against MinGW, a build for all
//     CPUs against x86-64-v3, one architecture against a universal file, and a dynamic
//     build against a static one. For 32-bit ARM, the order is arm, armv6, armhf, armv7,
//     and builds without hardware floating point.
//   - The last resort is the more common format, the shorter name, and the alphabet.
//   - A file without any platform serves every platform if no other file names one, and
//     it is a .jar, a .pyz or the like, or has a script beside it that starts it on
//     Windows.
//
// An operator's file name, see [Options], overrides all of it.
package download
