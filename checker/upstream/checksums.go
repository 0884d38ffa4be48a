package upstream

import (
	"cmp"
	"maps"
	"path"
	"regexp"
	"strings"

	"relcheck/checker/catalog"
)

// SetChecksums sets the checksums of files of a release from a text that [Checksums] can
// parse. The error is a [catalog.FieldError].
func SetChecksums(e *catalog.ReleasePatch, text string) error {
	files := Checksums(text, "")
	if len(files) == 0 {
		return &catalog.FieldError{Field: "checksums", Text: "the text contains no line of a checksum and a file name"}
	}
	return e.SetChecksums(maps.Values(files))
}

var (
	// The line of sha256sum -b: a hash, a space, a space or an asterisk, and a name.
	sumLine = regexp.MustCompile(`^([0-9A-Fa-f]{64}|[0-9A-Fa-f]{128})[ \t]+\*?(\S.*)$`)
	// The line of BSD's sha256 and of openssl dgst: SHA256 (NAME) = HASH.
	bsdLine = regexp.MustCompile(`^SHA(?:2-)?(?:256|512) ?\((.+)\) ?= ?([0-9A-Fa-f]+)$`)
	// A hash alone, also as Get-FileHash of PowerShell prints it.
	hashLine = regexp.MustCompile(`^(?:Hash +: +)?([0-9A-Fa-f]{64}|[0-9A-Fa-f]{128})$`)
)

const (
	signedStart    = "-----BEGIN PGP SIGNED MESSAGE-----"
	signatureStart = "-----BEGIN PGP SIGNATURE-----"
)

// Checksums parses the checksums in a text, such as the contents of checksums.txt,
// SHA256SUMS or app.tar.gz.sha256. It returns files with their names and their SHA-256 or
// SHA-512, which it distinguishes by their length, by name. A hash without a name is that
// of the file with the given name, unless that is empty.
//
// It understands the formats of sha256sum, shasum, BSD's sha256, openssl dgst and
// PowerShell's Get-FileHash, also within an OpenPGP clear-text signature, which it does
// not verify. It removes folders from names. It ignores other lines, and files that have
// several hashes of the same length.
func Checksums(text, name string) map[string]catalog.File {
	sums := checksums{}
	signed := false
	for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		line = strings.TrimSpace(line)
		switch line {
		case signedStart:
			signed = true
			continue
		case signatureStart:
			signed = false
		}
		if signed {
			line = strings.TrimPrefix(line, "- ") // before lines that begin with a dash
		}
		if m := sumLine.FindStringSubmatch(line); m != nil {
			if m[2] == "-" { // standard input
				m[2] = name
			}
			sums.add(m[2], m[1])
		} else if m := bsdLine.FindStringSubmatch(line); m != nil {
			sums.add(m[1], m[2])
		} else if m := hashLine.FindStringSubmatch(line); m != nil {
			sums.add(name, m[1])
		}
	}
	files := map[string]catalog.File{}
	for name, f := range sums {
		f.SHA256, f.SHA512 = strings.Trim(f.SHA256, conflict), strings.Trim(f.SHA512, conflict)
		if f.SHA256+f.SHA512 != "" {
			files[name] = *f
		}
	}
	return files
}

// checksums are files by name.
type checksums map[string]*catalog.File

// conflict takes the place of a hash if there are several.
const conflict = "-"

func (c checksums) add(name, hash string) {
	name = path.Base(strings.ReplaceAll(name, `\`, "/"))
	f := catalog.File{Name: name, SHA256: cleanHash(hash, 32), SHA512: cleanHash(hash, 64)}
	if checkFile(&f) != nil {
		return
	}
	old, ok := c[name]
	if !ok {
		c[name] = &f
		return
	}
	merge := func(old *string, hash string) {
		if *old != "" && hash != "" && *old != hash {
			hash = conflict
		}
		*old = cmp.Or(hash, *old)
	}
	merge(&old.SHA256, f.SHA256)
	merge(&old.SHA512, f.SHA512)
}

var (
	// The name of a file with the checksum of one other file: app.tar.gz.sha256.
	sumOfOne = regexp.MustCompile(`(?i)^(.+)[._-](?:sha-?(?:256|512)(?:sums?)?)(?:\.txt)?$`)
	// The name of a file with the checksums of several files: app_1.2.3_checksums.txt.
	sumOfMany = regexp.MustCompile(`(?i)(?:^|[._-])(?:sha-?(?:256|512)?-?sums?(?:256|512)?|checksums?|sha-?(?:256|512))(?:[._-](?:sha-?)?(?:256|512)(?:sums?)?)*(?:\.txt)?$`)
)

// ChecksumFile reports whether a file of a release is a checksum file, by its name. If it
// is named after one of the other files, ChecksumFile returns the name of that file.
func ChecksumFile(name string, others func(name string) bool) (of string, ok bool) {
	if m := sumOfOne.FindStringSubmatch(name); m != nil && others(m[1]) {
		return m[1], true
	}
	return "", sumOfMany.MatchString(name)
}
