package db

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"relcheck/db/dbfile"
)

// abandoned is how long a partial file without a usable lock has to be unchanged before
// it counts as a leftover.
const abandoned = time.Hour

var partialName = regexp.MustCompile(`^((.+)` + regexp.QuoteMeta(partialMark) + `\d+)(-wal|-shm|-journal|-lock)?$`)

// Leftovers returns the partial files in the folder of place that a backup or restore
// has left there because it was killed. They may hold every report of a store. Place is
// a database file or a backup; for a PostgreSQL database there are none.
func Leftovers(place string) (paths []string, err error) {
	if isPostgres(place) || notAFile.MatchString(place) {
		return nil, nil
	}
	place = dbfile.Resolve(place)
	folder := filepath.Dir(place)
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	seen := map[string]bool{}
	for _, e := range entries {
		m := partialName.FindStringSubmatch(e.Name())
		if m == nil || seen[m[1]] {
			continue
		}
		seen[m[1]] = true
		path := filepath.Join(folder, m[1])
		ours := m[2] == filepath.Base(place) || backupName.MatchString(m[2])
		if left(path, ours) {
			paths = append(paths, path)
		}
	}
	return paths, err
}

// left reports whether no process writes a partial file any more. Its lock shows that
// relcheck has made it. If there is no lock, ours says whether its name shows that.
func left(path string, ours bool) bool {
	lock, err := os.Lstat(path + "-lock")
	if err != nil && !ours {
		return false
	}
	if err == nil && lock.Size() > 0 {
		if who, err := dbfile.LockHolder(path); err == nil {
			return who == ""
		}
	}
	for _, suffix := range besidePartial {
		info, err := os.Lstat(path + suffix)
		if err == nil && time.Since(info.ModTime()) < abandoned {
			return false
		}
	}
	return true
}

// TidyUp removes what [Leftovers] returns, and logs it.
func TidyUp(place string, log *slog.Logger) {
	removed, err := RemoveLeftovers(place)
	for _, path := range removed {
		log.Info("removed what a killed backup or restore has left", "file", path)
	}
	if err != nil {
		log.Error("cannot remove what a killed backup or restore has left", "err", err)
	}
}

// RemoveLeftovers removes what [Leftovers] returns, and returns the names of those that
// are gone.
func RemoveLeftovers(place string) (removed []string, err error) {
	paths, err := Leftovers(place)
	for _, path := range paths {
		var failed error
		for _, suffix := range besidePartial {
			if err := os.Remove(path + suffix); !errors.Is(err, fs.ErrNotExist) {
				failed = errors.Join(failed, err)
			}
		}
		if failed == nil {
			removed = append(removed, path)
		}
		err = errors.Join(err, failed)
	}
	return removed, err
}
