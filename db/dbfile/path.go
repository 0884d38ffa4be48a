package dbfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// ErrForeign is the error about a file of another program.
var ErrForeign = errors.New("not a relcheck database: it was not changed")

// Advise adds what to do to an error that wraps [ErrForeign], and returns other errors
// unchanged.
func Advise(err error, advice string) error {
	if errors.Is(err, ErrForeign) {
		return fmt.Errorf("%w: %s", err, advice)
	}
	return err
}

// NameStore is the usual advice.
const NameStore = "name another store with --db"

// errReplaced is the error about a path that has another file than the one that was opened.
var errReplaced = errors.New("the file was replaced")

// Sync and Link sync and link files. Tests replace them.
var (
	Sync = (*os.File).Sync
	Link = os.Link
)

// Resolve resolves symbolic links, even one to a missing file, so that all links to a file
// lead to one lock.
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

// Size returns the size of a file, or 0 if it is missing.
func Size(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// FolderError returns the reason why a file cannot be opened. SQLite's "unable to open
// database file" has many, such as a missing or a read-only folder.
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

func checkWritable(folder string) error {
	f, err := os.CreateTemp(folder, "relcheck-trial-")
	if reason, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("cannot write to folder %s: %w; relcheck needs permission to", folder, reason.Err)
	}
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}
