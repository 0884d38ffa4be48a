package catalog

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// HostedFile is a file of a release whose content is in the folder of files.
type HostedFile struct {
	Name     string
	SHA256   string // of the content, in lower-case hexadecimal
	Size     int64  // in bytes
	Verified bool   // the content has matched a checksum of upstream

	Fetched time.Time // when the content was stored
	Damaged time.Time // when the content was found damaged or missing, or zero
}

// Check returns a [FieldError] if f cannot be a hosted file.
func (f *HostedFile) Check() error {
	err := checkFileName(f.Name)
	switch {
	case err != nil:
	case !isHash(f.SHA256, 32):
		err = errors.New("not a hash: give SHA-256 as 64 hexadecimal digits")
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
	FileDamaged             // the content is damaged or missing
	FileChanged             // upstream has changed the file under the same name
)

// HostedFile returns the hosted file of a name, or nil, and its state. A file can be linked
// and served if its content is not damaged and matches upstream's checksum or has none.
func (r *Release) HostedFile(name string) (*HostedFile, HostedState) {
	i, found := slices.BinarySearchFunc(r.Hosted, name, func(f HostedFile, name string) int { return strings.Compare(f.Name, name) })
	if !found {
		return nil, NotHosted
	}
	f := &r.Hosted[i]
	if !f.Damaged.IsZero() {
		return f, FileDamaged
	}
	for _, listed := range r.Files {
		if listed.FileName() == name && cmp.Or(listed.SHA256, f.SHA256) != f.SHA256 {
			return f, FileChanged
		}
	}
	return f, FileHosted
}
