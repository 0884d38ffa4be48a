package dbfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Companions are the suffixes of the files beside a database.
var Companions = []string{"-lock", "-wal", "-shm", "-journal"}

// CheckCompanions returns an error if another user may have created files beside the
// database at path: relcheck would write to them or to the targets of links. SQLite itself
// does not follow symbolic links to its files.
func CheckCompanions(path string) error {
	for _, suffix := range Companions {
		info, err := os.Lstat(path + suffix)
		if err == nil {
			err = checkCompanion(path, path+suffix, info)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// checkCompanion returns an error if name, a file beside the database at path, is not a
// regular file, or if it belongs neither to the owner of the database nor to the user of
// this process. If that is root, only the owner of the database is accepted.
func checkCompanion(path, name string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		what := "not a regular file"
		if info.Mode()&fs.ModeSymlink != 0 {
			what = "a symbolic link"
		}
		return fmt.Errorf("%s is %s, which relcheck does not create: remove it", name, what)
	}
	self, want := os.Geteuid(), os.Geteuid()
	database, err := os.Stat(path)
	if err == nil {
		want, _ = Owner(database)
	} else if hardLinks(info) > 1 {
		return fmt.Errorf("%s has another name (a hard link), and there is no store: remove it", name)
	}
	if got, known := Owner(info); known && got != want && (got != self || self == 0) {
		return fmt.Errorf("%s belongs to user %d and the store to user %d: check where it comes from, then chown it to the owner of the store", name, got, want)
	}
	return nil
}
