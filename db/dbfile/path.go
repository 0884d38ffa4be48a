package dbfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

var ErrForeign = errors.New("not a relcheck database")

// How a file gets to the disk, and to its place. Tests replace them.
var (
	Sync = (*os.File).Sync
	Link = os.Link
)

// Resolve follows symbolic links, also one to a file that is missing: one file has one
// lock, whatever it is called.
func Resolve(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	const most = 40 // links to links
	for range most {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			return real
		}
		folder, err := filepath.EvalSymlinks(filepath.Dir(path))
		if err != nil {
			return path
		}
		path = filepath.Join(folder, filepath.Base(path))
		target, err := os.Readlink(path)
		if err != nil {
			return path
		}
		if path = target; !filepath.IsAbs(target) {
			path = filepath.Join(folder, target)
		}
	}
	return path
}

func Size(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// FolderError tells why a file cannot be opened. SQLite says "unable to open
// database file" to a missing folder, to a read-only one, and more.
func FolderError(path string) error {
	folder := filepath.Dir(path)
	info, err := os.Stat(folder)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("folder %s does not exist; create it first", folder)
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is not a folder", folder)
	}
	if err := checkWritable(folder); err != nil {
		return err
	}
	return errors.New("cannot be opened; relcheck needs to read and write the file and its folder")
}

// checkWritable tells why nothing can be written to a folder.
func checkWritable(folder string) error {
	f, err := os.CreateTemp(folder, "relcheck-trial-")
	if reason := (*fs.PathError)(nil); errors.As(err, &reason) {
		return fmt.Errorf("folder %s cannot be written to: %w; relcheck needs to", folder, reason.Err)
	}
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}
