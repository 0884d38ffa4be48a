package backup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"relcheck/db/dbfile"
)

// PendingFile is a file that is written under a temporary name next to its target, so that
// a file with the target's name is always complete.
type PendingFile struct {
	Path, target string
	lock         *dbfile.Lock // shows that a process is writing it; nil if the file system has no locks
}

// pendingMark separates the target's name from a random number in temporary names.
const pendingMark = ".partial-"

// ErrExists is wrapped by the error about a target that already exists.
var ErrExists = errors.New("file already exists and was not changed: choose another name")

// NewPendingFile creates an empty file that only its owner can read: the user of this
// process, or the owner of like if that is root. The caller must call
// [PendingFile.Discard]. Neither the target nor files that SQLite would read with it may
// exist; the error then wraps [ErrExists].
func NewPendingFile(target, like string) (*PendingFile, error) {
	for _, suffix := range []string{"", "-wal", "-journal"} {
		if _, err := os.Lstat(target + suffix); err == nil {
			return nil, fmt.Errorf("write %s: %w", target+suffix, ErrExists)
		}
	}
	f, err := os.CreateTemp(filepath.Dir(target), filepath.Base(target)+pendingMark+"*-lock")
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		err = dbfile.FolderError(target)
	}
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", target, err)
	}
	dbfile.Adopt(f, like)
	p := &PendingFile{Path: strings.TrimSuffix(f.Name(), "-lock"), target: target}
	p.lock, _ = dbfile.AcquireLock(p.Path, nil)
	err = errors.Join(dbfile.Sync(f), f.Close())
	if err == nil {
		f, err = os.OpenFile(p.Path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	}
	if err == nil {
		dbfile.Adopt(f, like)
		err = f.Close()
	}
	if err != nil {
		p.Discard()
		return nil, fmt.Errorf("write %s: %w", target, err)
	}
	return p, nil
}

// Commit gives the file the target's name, unless a file of that name has appeared
// meanwhile. When it returns, the file and its name survive a power cut.
func (p *PendingFile) Commit() error {
	// This process must not have the file open through SQLite, which would lose its locks.
	err := syncPath(p.Path, os.O_RDWR|dbfile.NoFollow)
	if err == nil {
		err = dbfile.Link(p.Path, p.target)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		err = p.rename(err)
	}
	if errors.Is(err, fs.ErrExist) {
		err = ErrExists
	}
	if err == nil {
		p.Discard()
		err = syncFolder(filepath.Dir(p.target))
	}
	if err != nil {
		err = fmt.Errorf("write %s: %w", p.target, err)
	}
	return err
}

// rename is used on file systems without hard links, on which linking has failed.
func (p *PendingFile) rename(linkErr error) error {
	if !errors.As(linkErr, new(*os.LinkError)) {
		return linkErr
	}
	if _, err := os.Lstat(p.target); err == nil {
		return fs.ErrExist
	}
	return os.Rename(p.Path, p.target)
}

// pendingSuffixes are appended to the name of a pending file for the files that belong to
// it. The last one is its lock.
var pendingSuffixes = []string{"", "-wal", "-shm", "-journal", "-lock"}

// unlock makes the lock of the file available to its writer.
func (p *PendingFile) unlock() {
	if p.lock != nil {
		p.lock.Release()
		p.lock = nil
	}
}

// Discard removes the temporary files that still exist, including SQLite's.
func (p *PendingFile) Discard() {
	for _, suffix := range pendingSuffixes[:len(pendingSuffixes)-1] {
		os.Remove(p.Path + suffix)
	}
	p.unlock()
	os.Remove(p.Path + "-lock")
}

// syncFolder syncs the names in a folder to disk. Windows needs no call for that.
func syncFolder(name string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	return syncPath(name, os.O_RDONLY)
}

func syncPath(name string, flag int) error {
	f, err := os.OpenFile(name, flag, 0)
	if err != nil {
		return err
	}
	return errors.Join(dbfile.Sync(f), f.Close())
}
