package db

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// Saved is a backup that a server has made by itself. Its name has the ID of its store.
type Saved struct {
	Name  string // of its file
	At    time.Time
	Size  int64 // in bytes
	Store int64 // 0 if that is not known
}

const (
	backupTime = "20060102T150405Z"
	// savedAhead is by how much the clocks of servers may differ. A backup of a later time
	// was made before a clock was corrected.
	savedAhead = time.Minute
)

var backupName = regexp.MustCompile(`^relcheck-(?:([0-9a-f]{16})-)?(\d{8}T\d{6}Z)\.db$`)

// backupNameOf returns the name of a backup. It has the whole ID of the store, since two
// stores may have the same shortened ID.
func backupNameOf(store int64, at time.Time) string {
	return fmt.Sprintf("relcheck-%016x-%s.db", store, at.UTC().Format(backupTime))
}

// listBackups lists what is named like a backup in a folder, of all stores. A name
// without an ID, as relcheck gave them first, is of the given store if the file is.
func listBackups(ctx context.Context, folder string, of int64) (all []Saved, err error) {
	entries, err := os.ReadDir(folder)
	for _, e := range entries {
		m := backupName.FindStringSubmatch(e.Name())
		if m == nil {
			continue
		}
		store, err := strconv.ParseInt("0"+m[1], 16, 64)
		at, err2 := time.Parse(backupTime, m[2])
		info, err3 := e.Info()
		if errors.Join(err, err2, err3) != nil || !info.Mode().IsRegular() {
			continue
		}
		s := Saved{Name: e.Name(), At: at, Size: info.Size(), Store: store}
		if own := (Saved{Name: s.Name, Store: of}); store == 0 && own.check(ctx, folder) == nil {
			s.Store = of
		}
		all = append(all, s)
	}
	return all, err
}

// backupsOf returns those of a store, by their names, in the order in which they were
// made: first those that a clock that was ahead has made.
func backupsOf(all []Saved, store int64, now time.Time) []Saved {
	own := slices.DeleteFunc(slices.Clone(all), func(s Saved) bool { return s.Store != store })
	slices.SortFunc(own, func(a, b Saved) int {
		if a.ahead(now) != b.ahead(now) {
			if a.ahead(now) {
				return -1
			}
			return 1
		}
		return a.At.Compare(b.At)
	})
	return own
}

func (s Saved) ahead(now time.Time) bool { return s.At.After(now.Add(savedAhead)) }

// newestBackup returns the newest backup of a store that was not made in the future, or
// the zero Saved.
func newestBackup(ctx context.Context, folder string, store int64, now time.Time) (Saved, error) {
	all, err := listBackups(ctx, folder, store)
	for _, s := range slices.Backward(backupsOf(all, store, now)) {
		if !s.ahead(now) && s.check(ctx, folder) == nil {
			return s, err
		}
	}
	return Saved{}, err
}

// othersOf returns the backups that are not those of a store.
func othersOf(all []Saved, store int64) []Saved {
	return slices.DeleteFunc(slices.Clone(all), func(s Saved) bool { return s.Store == store })
}

func newestOf(all []Saved) Saved {
	return slices.MaxFunc(all, func(a, b Saved) int { return a.At.Compare(b.At) })
}

// Check returns an error if the file is not a backup of the store in its name: it may
// have been renamed, or be in use as a store. It reads a few pages.
func (s Saved) check(ctx context.Context, folder string) error {
	path := filepath.Join(folder, s.Name)
	for _, suffix := range []string{"-wal", "-journal", "-lock"} {
		if _, err := os.Lstat(path + suffix); err == nil {
			return fmt.Errorf("%s is beside it, so the file is in use as a store", s.Name+suffix)
		}
	}
	file := connect(path, untouched)
	defer file.Close()
	application, err := setting(ctx, file, "application")
	if err != nil {
		return err
	}
	store, err := storeID(ctx, file)
	if err == nil && (application != applicationID || store != s.Store) {
		err = fmt.Errorf("the file is of another store, %016x", store)
	}
	return err
}
