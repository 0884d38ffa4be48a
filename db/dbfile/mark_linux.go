package dbfile

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// markName is an extended attribute that a database file has while it is open for writing,
// and after a process that had it open was killed and may have left a WAL. Its value is
// the tag of the name, and the path.
const markName = "user.relcheck.open"

// walMarkName is an extended attribute of a WAL. Its value is the inode of the WAL itself,
// which tells a copy, and the inode of its database file.
const walMarkName = "user.relcheck.database"

// checkWALMark returns an error if the WAL belongs to another database file, which the
// file has replaced. SQLite would write the WAL's pages into the file and damage it. In a
// copy, inodes differ; but a database that was copied with its own WAL has a mark, too.
func (f *sharedFile) checkWALMark() error {
	wal, err := os.Lstat(f.path + "-wal")
	if err != nil || !DetectNames {
		return nil
	}
	value := make([]byte, 64)
	n, err := unix.Lgetxattr(f.path+"-wal", walMarkName, value)
	if err != nil {
		return nil
	}
	var own, database uint64
	if _, err := fmt.Sscan(string(value[:n]), &own, &database); err != nil {
		return nil
	}
	replaced := database != f.id.inode
	if own != idOf(wal).inode {
		tag, _ := f.mark()
		replaced = tag == ""
	}
	if replaced {
		return errWALOfOther
	}
	return nil
}

// markWAL marks the open WAL. A file system without extended attributes is reported by
// setMark.
func (f *sharedFile) markWAL() {
	if wal, err := os.Lstat(f.path + "-wal"); err == nil {
		unix.Lsetxattr(f.path+"-wal", walMarkName, fmt.Append(nil, idOf(wal).inode, " ", f.id.inode), 0)
	}
}

// checkMark returns an error if the WAL of the file is missing or was left under another
// name.
func (f *sharedFile) checkMark() error {
	name, path := f.mark()
	if name == "" || !f.locked || f.writers > 0 || f.hasOtherWriter() {
		return nil
	}
	_, err := os.Lstat(f.path + "-wal")
	other, err2 := os.Stat(path)
	switch {
	case name == f.tagText() && err != nil:
		return ErrWALLost
	case name == f.tagText():
		return nil
	case err2 == nil && idOf(other) == f.id:
		return fmt.Errorf("%w, and had opened it as %s, where its write-ahead log may be: open it once under that name", errWALLeft, path)
	case err != nil:
		return fmt.Errorf("%w, and had opened it as %s: move the write-ahead log from there to %s-wal, or if it is lost, create an empty file with that name", errWALLeft, path, f.path)
	}
	return nil // the folder was moved, and the WAL with it
}

func (f *sharedFile) tagText() string { return fmt.Sprintf("%015x", f.name) }

// mark returns the tag and the path under which the file was opened for writing and not
// closed, or "".
func (f *sharedFile) mark() (tag, path string) {
	value := make([]byte, 1024)
	n, err := unix.Fgetxattr(int(f.files[0].Fd()), markName, value)
	if err == nil {
		tag, path, _ = strings.Cut(string(value[:n]), " ")
	}
	return tag, path
}

func (f *sharedFile) setMark() {
	const most = 200 // a longer path may have no room in the inode
	if tag, _ := f.mark(); tag != f.tagText() {
		f.lockErr = unix.Fsetxattr(int(f.files[0].Fd()), markName, []byte(f.tagText()+" "+f.path[:min(most, len(f.path))]), 0)
	}
}

// removeMark removes the mark if no WAL is left. A process that opens the file meanwhile
// locks its bytes before it sets the mark.
func (f *sharedFile) removeMark() {
	tag, _ := f.mark()
	if _, err := os.Lstat(f.path + "-wal"); err == nil || f.keepMark || f.hasOtherWriter() || tag != f.tagText() {
		return
	}
	unix.Fremovexattr(int(f.files[0].Fd()), markName)
	if f.hasOtherWriter() {
		f.setMark()
	}
}
