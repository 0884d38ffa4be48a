package catalog

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"relcheck/checker/printable"
)

// HostedFile is a file of a release whose content is in the folder of files.
type HostedFile struct {
	Name     string // unique in the release, see [NamedFile]
	URL      string // from which it was fetched, or empty
	SHA256   string // of the content, in lower-case hexadecimal
	SHA512   string // the same, or empty if it is not known
	Size     int64  // in bytes
	Verified bool   // the content has matched a checksum of upstream

	Fetched time.Time // when the content was stored
	Damaged time.Time // when the content was found damaged, or zero
}

// Check returns a [FieldError] if f cannot be a hosted file.
func (f *HostedFile) Check() error {
	base := f.Name
	if _, name, ok := cutPlatform(f.Name); ok {
		base = name
	}
	err := checkFileName(base)
	switch {
	case err != nil:
	case f.URL != "" && printable.CheckDownload(f.URL) != nil:
		err = printable.CheckDownload(f.URL)
	case !isHash(f.SHA256, 32), f.SHA512 != "" && !isHash(f.SHA512, 64):
		err = errors.New("not a hash: give SHA-256 as 64 and SHA-512 as 128 hexadecimal digits")
	case f.Size < 0:
		err = fmt.Errorf("size %d is negative; give the size in bytes", f.Size)
	}
	if err != nil {
		return fieldErrorf("files", "%.100q: %v", f.Name, err)
	}
	return nil
}

// HostedState describes whether a hosted file can be served.
type HostedState int

const (
	NotHosted   HostedState = iota
	FileHosted              // can be linked and served
	FileDamaged             // the content is damaged
	FileChanged             // upstream has changed the file under the same name
)

// State returns whether f can be served as a listed file. f may be nil.
func (f *HostedFile) State(listed *File) HostedState {
	switch {
	case f == nil:
		return NotHosted
	case !f.Damaged.IsZero():
		return FileDamaged
	case differ(listed.SHA256, f.SHA256), differ(listed.SHA512, f.SHA512), listed.Size > 0 && listed.Size != f.Size:
		return FileChanged
	}
	return FileHosted
}

// differ reports whether two checksums are known and differ.
func differ(a, b string) bool { return a != "" && b != "" && a != b }

// FindHosted returns the hosted file with a name, or nil. The files must be sorted by name.
func FindHosted(files []HostedFile, name string) *HostedFile {
	i, found := slices.BinarySearchFunc(files, name, func(f HostedFile, name string) int { return strings.Compare(f.Name, name) })
	if !found {
		return nil
	}
	return &files[i]
}
