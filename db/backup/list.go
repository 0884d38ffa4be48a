package backup

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

	"relcheck/db"
)

// File is a backup that a server has made on schedule. Its name contains the ID of its
// store.
type File struct {
	Name string
	At   time.Time
	Size int64 // in bytes
	Err  error // why it is not a backup of its store: it was renamed, or is in use as a store

	store int64 // ID, 0 if unknown
}

// Listing describes the backups in a folder as seen by one store.
type Listing struct {
	Own     []File // backups of the store, oldest first
	Future  []File // its backups with a time in the future, made before a clock was corrected
	Invalid []File // files with the name of a backup of the store that are not one
	Others  []File // backups of other stores, or without an ID and unreadable
}

const (
	timeFormat = "20060102T150405Z"
	// clockTolerance is by how much the clocks of servers may differ.
	clockTolerance = time.Minute
)

var fileName = regexp.MustCompile(`^relcheck-(?:([0-9a-f]{16})-)?(\d{8}T\d{6}Z)\.db$`)

// FileName returns the name of a backup. It contains the complete ID of the store,
// because two stores may share an abbreviated one.
func FileName(store int64, at time.Time) string {
	return fmt.Sprintf("relcheck-%016x-%s.db", store, at.UTC().Format(timeFormat))
}

// List returns the backups in a folder as of now. store is the ID of the store. Backups
// with this ID in their name count as the store's only if their content is: List opens
// each of them. An ID of -1 means an unknown store, which owns no backups.
func List(ctx context.Context, folder string, store int64, now time.Time) (l Listing, err error) {
	entries, err := os.ReadDir(folder)
	for _, e := range entries {
		f, ok := parseFile(e)
		if !ok {
			continue
		}
		if f.store != store && f.store != 0 {
			l.Others = append(l.Others, f)
			continue
		}
		f.Err = checkFile(ctx, filepath.Join(folder, f.Name), store)
		switch {
		case f.Err != nil && f.store == 0: // the first versions of relcheck wrote names without an ID
			l.Others = append(l.Others, f)
		case f.Err != nil:
			l.Invalid = append(l.Invalid, f)
		case f.At.After(now.Add(clockTolerance)):
			l.Future = append(l.Future, f)
		default:
			l.Own = append(l.Own, f)
		}
	}
	slices.SortFunc(l.Own, compareTime)
	slices.SortFunc(l.Future, compareTime)
	slices.SortFunc(l.Others, compareTime)
	return l, err
}

func compareTime(a, b File) int { return a.At.Compare(b.At) }

// Newest returns the newest backup of a list, or the zero File.
func Newest(all []File) File {
	if len(all) == 0 {
		return File{}
	}
	return all[len(all)-1]
}

func parseFile(e os.DirEntry) (f File, ok bool) {
	m := fileName.FindStringSubmatch(e.Name())
	if m == nil {
		return f, false
	}
	store, err := strconv.ParseInt("0"+m[1], 16, 64)
	at, err2 := time.Parse(timeFormat, m[2])
	info, err3 := e.Info()
	if errors.Join(err, err2, err3) != nil || !info.Mode().IsRegular() {
		return f, false
	}
	return File{Name: e.Name(), At: at, Size: info.Size(), store: store}, true
}

// checkFile returns an error if the file is not a backup of the store. It reads a few
// pages.
func checkFile(ctx context.Context, path string, store int64) error {
	for _, suffix := range []string{"-wal", "-journal", "-lock"} {
		if _, err := os.Lstat(path + suffix); err == nil {
			return fmt.Errorf("%s exists, so the file is in use as a store", filepath.Base(path)+suffix)
		}
	}
	s, err := db.OpenUnchanged(ctx, path)
	if err != nil {
		return err
	}
	defer s.Close()
	id, err := s.ID(ctx)
	if err == nil && id != store {
		err = fmt.Errorf("the file belongs to another store, %016x", id)
	}
	return err
}
