package db

import (
	"fmt"
	"os"
	"path/filepath"
)

// Hazards describes what endangers a store in a file although nothing is wrong with
// it yet, or keeps relcheck from seeing a danger. Each is one sentence that names what
// to do.
func (s *Store) Hazards() (all []string) {
	f, ok := s.engine.(*sqliteFile)
	if !ok {
		return nil
	}
	for _, text := range []string{othersWrite(f.path), namesOf(f.path), f.held.blind()} {
		if text != "" {
			all = append(all, text)
		}
	}
	return all
}

// LogLost returns an error if the write-ahead log of a process that was killed was
// missing when the store was opened. A server that records ends that.
func (s *Store) LogLost() error {
	if f, ok := s.engine.(*sqliteFile); ok && f.held.lost {
		return fmt.Errorf("%s: %w", f.path, errLogLost)
	}
	return nil
}

// othersWrite describes who else can put files into the folder of the store at path.
func othersWrite(path string) string {
	folder := filepath.Dir(path)
	info, err := os.Stat(folder)
	database, err2 := os.Stat(path)
	if err != nil || err2 != nil {
		return ""
	}
	user, known := owner(info)
	ours, _ := owner(database)
	mode := info.Mode().Perm()
	switch {
	case !known || info.Mode()&os.ModeSticky != 0: // what others put there is refused
		return ""
	case user != 0 && user != ours:
		return fmt.Sprintf("folder %s belongs to user %d, who can replace the store of user %d: keep the store in a folder of its own user", folder, user, ours)
	case mode&0o002 != 0:
		return fmt.Sprintf("every user can write to folder %s, and put files beside the store: chmod o-w %s", folder, folder)
	case mode&0o020 != 0 && group(info) != group(database):
		return fmt.Sprintf("group %d can write to folder %s, and put files beside the store: chmod g-w %s", group(info), folder, folder)
	}
	return ""
}

// namesOf describes that the store at path has hard links.
func namesOf(path string) string {
	info, err := os.Stat(path)
	if err != nil || links(info) < 2 {
		return ""
	}
	return fmt.Sprintf("%s has %d names (hard links): open it by this one only, and copy it with relcheck backup", path, links(info))
}
