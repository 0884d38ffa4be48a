package db

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

// partial is a file on its way to its place. It has a name of its own beside it,
// so that whoever finds something at the place finds all of it.
type partial struct {
	path, place string
	lock        *dbfile.Lock // shows that a process is writing it; nil if the file system has no locks
}

// partialMark stands in the names of such files, between the place and a number.
const partialMark = ".partial-"

var errTaken = errors.New("something is there already, and it was left as it is; name a file that is not there yet")

// newPartial makes an empty one that only its owner can read. Its discard is to
// be called. The place has to be free, with all that SQLite would look for beside it.
func newPartial(place string) (*partial, error) {
	for _, suffix := range []string{"", "-wal", "-journal"} {
		if _, err := os.Lstat(place + suffix); err == nil {
			return nil, fmt.Errorf("write %s: %w", place+suffix, errTaken)
		}
	}
	f, err := os.CreateTemp(filepath.Dir(place), filepath.Base(place)+partialMark+"*-lock")
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		err = dbfile.FolderError(place)
	}
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", place, err)
	}
	p := &partial{path: strings.TrimSuffix(f.Name(), "-lock"), place: place}
	p.lock, _ = dbfile.AcquireLock(p.path, nil)
	if err := errors.Join(dbfile.Sync(f), f.Close(), p.create()); err != nil {
		p.discard()
		return nil, fmt.Errorf("write %s: %w", place, err)
	}
	return p, nil
}

func (p *partial) create() error {
	f, err := os.OpenFile(p.path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// settle puts the file into its place, unless something has come there meanwhile.
// Once it returns, a power cut leaves it there.
func (p *partial) settle() error {
	err := syncPath(p.path)
	if err == nil {
		err = dbfile.Link(p.path, p.place)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		err = p.rename(err)
	}
	if errors.Is(err, fs.ErrExist) {
		err = errTaken
	}
	if err == nil {
		p.discard()
		err = syncFolder(filepath.Dir(p.place))
	}
	if err != nil {
		err = fmt.Errorf("write %s: %w", p.place, err)
	}
	return err
}

// rename is for file systems in which a file has one name only, and linking fails.
func (p *partial) rename(failed error) error {
	if !errors.As(failed, new(*os.LinkError)) {
		return failed
	}
	if _, err := os.Lstat(p.place); err == nil {
		return fs.ErrExist
	}
	return os.Rename(p.path, p.place)
}

// besidePartial are the names of what is beside a partial file, the last one its lock.
var besidePartial = []string{"", "-wal", "-shm", "-journal", "-lock"}

// discard removes what is left, also of what SQLite has put beside it.
func (p *partial) discard() {
	for _, suffix := range besidePartial[:len(besidePartial)-1] {
		os.Remove(p.path + suffix)
	}
	if p.lock != nil {
		p.lock.Release()
		p.lock = nil
	}
	os.Remove(p.path + "-lock")
}

// syncPath has a file's bytes on disk once it returns. Nobody may have it open
// through SQLite, whose locks would be lost.
func syncPath(name string) error {
	f, err := os.OpenFile(name, os.O_RDWR|dbfile.NoFollow, 0)
	if err != nil {
		return err
	}
	return errors.Join(dbfile.Sync(f), f.Close())
}

// syncFolder has a folder's names on disk once it returns. Windows does so by itself.
func syncFolder(name string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(dbfile.Sync(f), f.Close())
}
