package dbfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Companions are the names, after that of the database, of the files beside it.
var Companions = []string{"-lock", "-wal", "-shm", "-journal"}

// CheckCompanions refuses files beside the database at path that another user may
// have put there: relcheck would write to them, or to what they link to. SQLite
// itself opens its files without following symbolic links.
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

// checkCompanion refuses the file name, beside the database at path, if it is not a
// regular file or if its owner is neither that of the database nor this process's user.
// If that is root, files of root have to belong to a database of root.
func checkCompanion(path, name string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		what := "not a regular file"
		if info.Mode()&fs.ModeSymlink != 0 {
			what = "a symbolic link"
		}
		return fmt.Errorf("%s is %s, so it was not made by relcheck: remove it", name, what)
	}
	us, want := os.Geteuid(), os.Geteuid()
	database, err := os.Stat(path)
	if err == nil {
		want, _ = Owner(database)
	} else if hardLinks(info) > 1 {
		return fmt.Errorf("%s has another name (a hard link), and there is no store: remove it", name)
	}
	if got, known := Owner(info); known && got != want && (got != us || us == 0) {
		return fmt.Errorf("%s belongs to user %d and the store to user %d: find out who made it, then chown it to the owner of the store", name, got, want)
	}
	return nil
}
