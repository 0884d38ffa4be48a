// Package upstream reads releases from where they are published: from files
// ([ReadReleases]) and from Go module proxies ([Proxy]). It also writes the files that
// move releases from one relcheck to another ([WriteExport]), and parses lists of
// checksums ([Checksums]).
//
// Input is untrusted, and its size is limited. What cannot be read to its end is an
// error. Invalid entries of a complete list are skipped and described. The order of
// versions is not the concern of this package: it accepts every tag that
// [catalog.CheckTag] accepts.
package upstream
