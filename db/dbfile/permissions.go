package dbfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// FolderWarning describes which other users can create files in the folder of the store at
// path, or returns "".
func FolderWarning(path string) string {
	folder := filepath.Dir(path)
	info, err := os.Stat(folder)
	database, err2 := os.Stat(path)
	if err != nil || err2 != nil {
		return ""
	}
	user, known := Owner(info)
	ours, _ := Owner(database)
	mode := info.Mode().Perm()
	switch {
	case !known || info.Mode()&os.ModeSticky != 0: // Open refuses files of other users
		return ""
	case user != 0 && user != ours:
		return fmt.Sprintf("folder %s belongs to user %d and the store to user %d, so the former can replace the store: keep it in a folder of its owner", folder, user, ours)
	case mode&0o002 != 0:
		return fmt.Sprintf("every user can write to folder %s and create files beside the store: chmod o-w %s", folder, folder)
	case mode&0o020 != 0 && group(info) != group(database):
		return fmt.Sprintf("group %d can write to folder %s and create files beside the store: chmod g-w %s", group(info), folder, folder)
	}
	return ""
}

// HardLinkWarning describes the hard links of the store at path, or returns "".
func HardLinkWarning(path string) string {
	info, err := os.Stat(path)
	if err != nil || hardLinks(info) < 2 {
		return ""
	}
	return fmt.Sprintf("%s has %d names (hard links): open it only under this one, and copy it with relcheck backup", path, hardLinks(info))
}

// Adopt gives a new file to the owner and the group of like, a file or a folder, if this
// process runs as root: otherwise a service of another user could not write to it. Some
// systems do not permit that to root; the file then stays root's.
func Adopt(f *os.File, like string) {
	owner, err := os.Stat(like)
	if err != nil || os.Geteuid() != 0 {
		return
	}
	file, err := f.Stat()
	if err != nil || hardLinks(file) > 1 && file.Mode().IsRegular() { // not a new one
		return
	}
	have, _ := Owner(file)
	if user, known := Owner(owner); known && user != 0 && have == 0 {
		f.Chown(user, group(owner))
	}
}

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
