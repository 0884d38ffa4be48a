package faultfs

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// Name is that of the VFS, for vfs= in a DSN.
const Name = "fault"

// below is SQLite's own VFS, and files are those that are open, as *file by the
// address of their sqlite3_file.
var (
	below *sqlite3.Tsqlite3_vfs
	files sync.Map
)

// file is one that SQLite has open.
type file struct {
	disk       *Disk
	inode      int
	folder     bool // the next sync syncs the folder, too
	underneath *sqlite3.Tsqlite3_io_methods
}

var register = sync.OnceValue(func() error {
	tls := libc.NewTLS()
	defer tls.Close()
	unix, err := libc.CString("unix")
	if err != nil {
		return err
	}
	defer libc.Xfree(tls, unix)
	own := sqlite3.Xsqlite3_vfs_find(tls, unix)
	if own == 0 {
		return errors.New("SQLite reaches files in another way here")
	}
	below = at[sqlite3.Tsqlite3_vfs](own)
	above := copied(tls, below)
	if above.FzName, err = libc.CString(Name); err != nil {
		return err
	}
	above.FxOpen = pointer(open)
	above.FxDelete = pointer(remove)
	if rc := sqlite3.Xsqlite3_vfs_register(tls, address(above), 0); rc != sqlite3.SQLITE_OK {
		return fmt.Errorf("register the VFS %s: code %d", Name, rc)
	}
	return nil
})

// at is what is at an address of C's.
func at[T any](p uintptr) *T { return *(**T)(unsafe.Pointer(&p)) }

func address[T any](p *T) uintptr { return uintptr(unsafe.Pointer(p)) }

// pointer is a function as C points to it, and function is the other way round.
func pointer[F any](f F) uintptr { return *(*uintptr)(unsafe.Pointer(&f)) }

func function[F any](p uintptr) F { return *(*F)(unsafe.Pointer(&p)) }

// copied returns a copy where C may point to it. It is never freed.
func copied[T any](tls *libc.TLS, from *T) *T {
	to := at[T](libc.Xmalloc(tls, libc.Tsize_t(unsafe.Sizeof(*from))))
	*to = *from
	return to
}

var (
	wrapping sync.Mutex
	methods  = map[uintptr]uintptr{} // those that stand above others
)

// wrapped returns the methods that stand above those of SQLite's own.
func wrapped(tls *libc.TLS, own uintptr) uintptr {
	wrapping.Lock()
	defer wrapping.Unlock()
	if above, ok := methods[own]; ok {
		return above
	}
	m := copied(tls, at[sqlite3.Tsqlite3_io_methods](own))
	m.FxClose = pointer(closeFile)
	m.FxRead = pointer(read)
	m.FxWrite = pointer(write)
	m.FxTruncate = pointer(truncate)
	m.FxSync = pointer(harden)
	methods[own] = address(m)
	return methods[own]
}

func diskOf(path string) *Disk {
	d, ok := disks.Load(filepath.Dir(path))
	if !ok {
		return newDisk("") // that nobody watches
	}
	return d.(*Disk)
}

func open(tls *libc.TLS, vfs, path, id uintptr, flags int32, out uintptr) int32 {
	type method = func(tls *libc.TLS, vfs, path, id uintptr, flags int32, out uintptr) int32
	own := function[method](below.FxOpen)
	const durable = sqlite3.SQLITE_OPEN_MAIN_DB | sqlite3.SQLITE_OPEN_MAIN_JOURNAL | sqlite3.SQLITE_OPEN_WAL
	if path == 0 || flags&durable == 0 {
		return own(tls, vfs, path, id, flags, out)
	}
	name := libc.GoString(path)
	d := diskOf(name)
	d.mu.Lock()
	defer d.mu.Unlock()
	if code, _ := d.befalls(Open); code != 0 {
		at[sqlite3.Tsqlite3_file](id).FpMethods = 0
		return code
	}
	if rc := own(tls, vfs, path, id, flags, out); rc != sqlite3.SQLITE_OK {
		return rc
	}
	opened := at[sqlite3.Tsqlite3_file](id)
	files.Store(id, &file{
		disk:       d,
		inode:      d.opened(filepath.Base(name)),
		folder:     flags&sqlite3.SQLITE_OPEN_CREATE != 0 && flags&sqlite3.SQLITE_OPEN_MAIN_DB == 0,
		underneath: at[sqlite3.Tsqlite3_io_methods](opened.FpMethods),
	})
	opened.FpMethods = wrapped(tls, opened.FpMethods)
	return sqlite3.SQLITE_OK
}

func remove(tls *libc.TLS, vfs, path uintptr, folder int32) int32 {
	name := libc.GoString(path)
	d := diskOf(name)
	d.mu.Lock()
	defer d.mu.Unlock()
	code, part := d.befalls(Delete)
	if part != All {
		return code
	}
	rc := function[func(*libc.TLS, uintptr, uintptr, int32) int32](below.FxDelete)(tls, vfs, path, 0)
	if rc == sqlite3.SQLITE_OK {
		d.deleted(filepath.Base(name), folder != 0 && code == 0)
	}
	if code != 0 {
		return code
	}
	return rc
}

func opened(id uintptr) *file {
	f, _ := files.Load(id)
	return f.(*file)
}

func closeFile(tls *libc.TLS, id uintptr) int32 {
	f := opened(id)
	files.Delete(id)
	return function[func(*libc.TLS, uintptr) int32](f.underneath.FxClose)(tls, id)
}

func read(tls *libc.TLS, id, to uintptr, n int32, offset int64) int32 {
	f := opened(id)
	f.disk.mu.Lock()
	code, _ := f.disk.befalls(Read)
	f.disk.mu.Unlock()
	if code != 0 {
		return code
	}
	return function[func(*libc.TLS, uintptr, uintptr, int32, int64) int32](f.underneath.FxRead)(tls, id, to, n, offset)
}

func write(tls *libc.TLS, id, from uintptr, n int32, offset int64) int32 {
	f := opened(id)
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	code, part := f.disk.befalls(Write)
	switch part {
	case Nothing:
		return code
	case Half:
		n /= 2
	}
	rc := function[func(*libc.TLS, uintptr, uintptr, int32, int64) int32](f.underneath.FxWrite)(tls, id, from, n, offset)
	if rc != sqlite3.SQLITE_OK {
		return rc
	}
	data := make([]byte, n)
	copy(data, unsafe.Slice(at[byte](from), n))
	f.disk.done = append(f.disk.done, operation{kind: Write, inode: f.inode, offset: offset, data: data})
	return code
}

func truncate(tls *libc.TLS, id uintptr, size int64) int32 {
	f := opened(id)
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	code, part := f.disk.befalls(Truncate)
	if part != All {
		return code
	}
	rc := function[func(*libc.TLS, uintptr, int64) int32](f.underneath.FxTruncate)(tls, id, size)
	if rc != sqlite3.SQLITE_OK {
		return rc
	}
	f.disk.done = append(f.disk.done, operation{kind: Truncate, inode: f.inode, offset: size})
	return code
}

// harden notes that a file would be synced. If that fails, the system may have
// written a part of it, and takes the rest for written, too.
func harden(_ *libc.TLS, id uintptr, _ int32) int32 {
	f := opened(id)
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	code, part := f.disk.befalls(Sync)
	f.disk.done = append(f.disk.done, operation{kind: Sync, inode: f.inode, folder: f.folder && code == 0, failed: code != 0 && part != All})
	if code == 0 {
		f.folder = false
	}
	return code
}
