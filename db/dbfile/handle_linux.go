package dbfile

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"relcheck/checker/catalog"
)

// Each process that has a database file open holds shared OFD locks on bytes far beyond
// its end and beyond SQLite's own lock bytes, which are at 1 GB. The positions of the bytes
// depend on the name of the file and on its WAL: if a process finds another byte locked,
// another process uses another name or WAL. The locks are shared, so that any number of
// processes can have the store open.
const (
	numTags       = int64(1) << 59        // number of different names and WALs
	nameBytes     = int64(1) << 62        // two bytes for each name: open, and open for writing
	walBytes      = nameBytes + 2*numTags // one byte for each WAL
	recordingByte = nameBytes - 1         // locked exclusively by the process that records
)

type fileID struct{ device, inode uint64 }

func idOf(info fs.FileInfo) fileID {
	s := info.Sys().(*syscall.Stat_t)
	return fileID{uint64(s.Dev), s.Ino}
}

// Handle is a database file that SQLite may open. See [Open].
type Handle struct {
	*sharedFile
	write   bool
	walLost bool // the WAL of a killed process was missing
	closed  bool
}

// sharedFile is a database file that this process has open. All handles of a file share
// one, because closing any descriptor of the file drops the locks that SQLite has on it in
// this process: the descriptors are closed with the last handle.
type sharedFile struct {
	id       fileID
	path     string
	name     int64      // tag
	wal      int64      // tag, or -1
	files    []*os.File // the first one has the locks
	mount    bool       // the file is a mount point
	users    int
	writers  int
	locked   bool  // the file system supports the locks
	keepMark bool  // a lost WAL was found and not reported yet
	lockErr  error // why locks or marks are not supported
}

// openFiles has the database files that this process has open.
var openFiles = struct {
	sync.Mutex
	held map[fileID]*sharedFile
}{held: map[fileID]*sharedFile{}}

// tryOpen is one attempt of [Open]. The last one accepts that the WAL is lost.
func tryOpen(path string, use Mode, last bool) (*Handle, error) {
	openFiles.Lock()
	defer openFiles.Unlock()
	f, err := openShared(path, use)
	if f == nil {
		return nil, err
	}
	h := &Handle{sharedFile: f, write: use != Read}
	if err == nil {
		err = cmp.Or(f.checkWALMark(), f.checkMark())
	}
	if errors.Is(err, ErrWALLost) && last {
		h.walLost, f.keepMark, err = true, true, nil
	}
	f.users++
	if h.write {
		f.writers++
	}
	if err != nil {
		h.closeLocked()
		return nil, err
	}
	return h, nil
}

// openShared opens a file, for writing if possible, and adds the descriptor to the
// sharedFile of the file.
func openShared(path string, use Mode) (*sharedFile, error) {
	const safe = unix.O_NOFOLLOW | unix.O_NONBLOCK // a pipe does not block
	flag := os.O_RDWR | safe
	switch use {
	case Read:
		flag = os.O_RDONLY | safe
	case Create:
		flag |= os.O_CREATE
	}
	name, err := nameTag(path)
	if err != nil {
		return nil, FolderError(path)
	}
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return nil, ErrForeign
	}
	file, err := os.OpenFile(path, flag, 0o600)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.EROFS) { // SQLite reports it when it writes
		file, err = os.OpenFile(path, os.O_RDONLY|safe, 0)
	}
	if errors.Is(err, fs.ErrNotExist) && use != Create {
		return nil, err
	}
	if err != nil {
		return nil, FolderError(path)
	}
	info, err := file.Stat()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	if use == Create && info.Size() == 0 {
		Adopt(file, filepath.Dir(path))
	}
	id := idOf(info)
	f := openFiles.held[id]
	if f == nil {
		f = &sharedFile{id: id, path: path, name: name, wal: -1, mount: isMountPoint(file, path)}
		openFiles.held[id] = f
	}
	f.files = append(f.files, file)
	return f, f.lockName(name, use != Read)
}

// lockName locks the bytes of the name. It is an error if another process has locked the
// bytes of another name.
func (f *sharedFile) lockName(name int64, write bool) error {
	switch {
	case f.mount && write:
		return ErrMountPoint
	case name != f.name:
		return errOtherName
	}
	if f.users == 0 && f.hasOtherName() {
		return errOtherName
	}
	if err := f.lock(f.nameByte(), unix.F_RDLCK); err != nil {
		f.lockErr = err // names are not detected, as on other systems
		return nil
	}
	f.locked = true
	if write {
		f.lock(f.nameByte()+1, unix.F_RDLCK)
	}
	if f.hasOtherName() {
		return errOtherName
	}
	return f.checkWAL()
}

func (f *sharedFile) nameByte() int64 { return nameBytes + 2*f.name }

func (f *sharedFile) hasOtherName() bool {
	return f.isLocked(nameBytes, f.nameByte()) || f.isLocked(f.nameByte()+2, walBytes)
}

// checkWAL returns an error if a process that has the store open uses another WAL than the
// existing one.
func (f *sharedFile) checkWAL() error {
	tag, exists := walTag(f.path)
	if f.wal >= 0 && (!exists || tag != f.wal) {
		return errWALReplaced
	}
	if !exists {
		tag = 0
		if f.isLocked(walBytes, walBytes+1) {
			return errWALReplaced
		}
	}
	if f.isLocked(walBytes, walBytes+tag) || f.isLocked(walBytes+tag+1, walBytes+numTags) {
		return errWALReplaced
	}
	return nil
}

// WALOpened must be called when SQLite has opened the WAL, before anything is written.
func (h *Handle) WALOpened() error {
	openFiles.Lock()
	defer openFiles.Unlock()
	if now, err := os.Lstat(h.path); err != nil || idOf(now) != h.id {
		return errors.Join(ErrReplaced, err)
	}
	if !h.locked {
		return nil
	}
	tag, exists := walTag(h.path)
	if !exists {
		return errWALReplaced
	}
	if tag == h.wal {
		return nil
	}
	before := h.wal
	h.wal = -1
	err := h.lock(walBytes+tag, unix.F_RDLCK)
	if err == nil {
		err = h.checkWAL()
	}
	if err != nil {
		h.lock(walBytes+tag, unix.F_UNLCK)
		return err
	}
	if before >= 0 { // all connections were closed meanwhile
		h.lock(walBytes+before, unix.F_UNLCK)
	}
	h.wal = tag
	h.setMark()
	h.markWAL()
	return nil
}

// Clone returns another handle of the same file.
func (h *Handle) Clone() *Handle {
	openFiles.Lock()
	defer openFiles.Unlock()
	h.users++
	if h.write {
		h.writers++
	}
	return &Handle{sharedFile: h.sharedFile, write: h.write}
}

// Release closes the handle. SQLite must have closed the file. h may be nil.
func (h *Handle) Release() {
	if h == nil {
		return
	}
	openFiles.Lock()
	defer openFiles.Unlock()
	h.closeLocked()
}

func (h *Handle) closeLocked() {
	if h.closed {
		return
	}
	h.closed = true
	h.users--
	if h.write {
		h.writers--
	}
	if h.write && h.writers == 0 && h.locked {
		h.lock(h.nameByte()+1, unix.F_UNLCK)
		if h.wal >= 0 {
			h.lock(walBytes+h.wal, unix.F_UNLCK)
			h.wal = -1
			h.removeMark()
		}
	}
	if h.users == 0 {
		for _, file := range h.files {
			file.Close()
		}
		delete(openFiles.held, h.id)
	}
}

// LockRecording prevents other processes from recording, even if the lock file was removed.
func (h *Handle) LockRecording() error {
	openFiles.Lock()
	defer openFiles.Unlock()
	if !h.locked {
		return nil
	}
	err := h.lock(recordingByte, unix.F_WRLCK)
	h.keepMark = false
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		return fmt.Errorf("%w by another process, and %s-lock was removed or replaced", catalog.ErrInUse, h.path)
	}
	return nil // a file that is open for reading only cannot be locked
}

// UnlockRecording undoes LockRecording.
func (h *Handle) UnlockRecording() {
	openFiles.Lock()
	defer openFiles.Unlock()
	if h.locked {
		h.lock(recordingByte, unix.F_UNLCK)
	}
}

// WALLost reports whether the WAL of a killed process was missing.
func (h *Handle) WALLost() bool { return h.walLost }

// IsMountPoint reports whether the file itself is a mount point.
func (h *Handle) IsMountPoint() bool { return h.mount }

func (f *sharedFile) lock(at int64, kind int16) error {
	if !DetectNames {
		return errors.ErrUnsupported
	}
	l := unix.Flock_t{Type: kind, Whence: 0, Start: at, Len: 1}
	return unix.FcntlFlock(f.files[0].Fd(), unix.F_OFD_SETLK, &l)
}

// isLocked reports whether another process has locked a byte in [from, to).
func (f *sharedFile) isLocked(from, to int64) bool {
	if from >= to {
		return false
	}
	l := unix.Flock_t{Type: unix.F_WRLCK, Whence: 0, Start: from, Len: to - from}
	err := unix.FcntlFlock(f.files[0].Fd(), unix.F_OFD_GETLK, &l)
	return err == nil && l.Type != unix.F_UNLCK
}

// nameTag identifies a name of a file, by its folder, wherever that is mounted, and the
// name in it.
func nameTag(path string) (int64, error) {
	folder, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return 0, err
	}
	return tagOf(idOf(folder), filepath.Base(path)), nil
}

func walTag(path string) (tag int64, exists bool) {
	wal, err := os.Lstat(path + "-wal")
	shm, err2 := os.Lstat(path + "-shm")
	if err != nil || err2 != nil {
		return 0, false
	}
	return tagOf(idOf(wal), idOf(shm)), true
}

func tagOf(parts ...any) int64 {
	sum := sha256.Sum256(fmt.Append(nil, parts...))
	return int64(binary.BigEndian.Uint64(sum[:]) % uint64(numTags))
}

func (f *sharedFile) hasOtherWriter() bool { return f.isLocked(f.nameByte()+1, f.nameByte()+2) }
