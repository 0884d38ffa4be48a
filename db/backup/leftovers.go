package backup

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"relcheck/db"
	"relcheck/db/dbfile"
)

// abandonedAfter is how long a pending file without a usable lock must be unchanged
// before it counts as a leftover.
const abandonedAfter = time.Hour

var pendingName = regexp.MustCompile(`^((.+)` + regexp.QuoteMeta(pendingMark) + `\d+)(-wal|-shm|-journal|-lock)?$`)

// Leftovers returns the pending files that killed backups and restores have left in the
// folder of path, which is a database file or a backup. They may hold every report of a
// store. For a PostgreSQL database there are none.
func Leftovers(path string) (paths []string, err error) {
	if !db.IsFile(path) {
		return nil, nil
	}
	path = dbfile.Resolve(path)
	folder := filepath.Dir(path)
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	checked := map[string]bool{}
	for _, e := range entries {
		m := pendingName.FindStringSubmatch(e.Name())
		if m == nil || checked[m[1]] {
			continue
		}
		checked[m[1]] = true
		pending := filepath.Join(folder, m[1])
		ours := m[2] == filepath.Base(path) || fileName.MatchString(m[2])
		if isLeftover(pending, ours) {
			paths = append(paths, pending)
		}
	}
	return paths, err
}

// isLeftover reports whether relcheck has created a pending file and no process writes
// it any more. A lock file beside it shows that relcheck has created it. ours reports
// whether the name of the file also shows that.
func isLeftover(path string, ours bool) bool {
	lock, err := os.Lstat(path + "-lock")
	if err != nil && !ours {
		return false
	}
	if err == nil && lock.Size() > 0 {
		if holder, err := dbfile.LockHolder(path); err == nil {
			return holder == ""
		}
	}
	for _, suffix := range pendingSuffixes {
		info, err := os.Lstat(path + suffix)
		if err == nil && time.Since(info.ModTime()) < abandonedAfter {
			return false
		}
	}
	return true
}

// RemoveLeftovers removes the files that [Leftovers] lists and returns the names of those
// that were removed.
func RemoveLeftovers(path string) (removed []string, err error) {
	paths, err := Leftovers(path)
	for _, path := range paths {
		var failed error
		for _, suffix := range pendingSuffixes {
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

// CleanUp calls [RemoveLeftovers] and logs the result.
func CleanUp(path string, log *slog.Logger) {
	removed, err := RemoveLeftovers(path)
	for _, path := range removed {
		log.Info("removed the incomplete file of a killed backup or restore", "file", path)
	}
	if err != nil {
		log.Error("cannot remove incomplete files of killed backups or restores", "err", err)
	}
}
