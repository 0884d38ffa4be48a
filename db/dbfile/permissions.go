package dbfile

import (
	"fmt"
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
