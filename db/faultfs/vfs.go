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

// Name is the name of the VFS. A DSN selects it with vfs=Name.
const Name = "fault"

var (
	baseVFS   *sqlite3.Tsqlite3_vfs // SQLite's own VFS
	openFiles sync.Map              // *openFile by the address of its sqlite3_file
)

// openFile is a file that SQLite has open.
type openFile struct {
	disk        *Disk
	inode       int
	syncDir     bool // the next sync also syncs the directory
	baseMethods *sqlite3.Tsqlite3_io_methods
}

var register = sync.OnceValue(func() error {
	tls := libc.NewTLS()
	defer tls.Close()
	unix, err := libc.CString("unix")
	if err != nil {
		return err
	}
	defer libc.Xfree(tls, unix)
	base := sqlite3.Xsqlite3_vfs_find(tls, unix)
	if base == 0 {
		return errors.New("SQLite has no VFS called unix on this system")
	}
	baseVFS = deref[sqlite3.Tsqlite3_vfs](base)
	vfs := copyToC(tls, baseVFS)
	if vfs.FzName, err = libc.CString(Name); err != nil {
		return err
	}
	vfs.FxOpen = funcPointer(open)
	vfs.FxDelete = funcPointer(remove)
	if rc := sqlite3.Xsqlite3_vfs_register(tls, address(vfs), 0); rc != sqlite3.SQLITE_OK {
		return fmt.Errorf("register VFS %s: SQLite error %d", Name, rc)
	}
	return nil
})

// deref converts a C pointer to a Go pointer.
func deref[T any](p uintptr) *T { return *(**T)(unsafe.Pointer(&p)) }

// address converts a Go pointer to a C pointer.
func address[T any](p *T) uintptr { return uintptr(unsafe.Pointer(p)) }

// funcPointer converts a Go function to a C function pointer.
func funcPointer[F any](f F) uintptr { return *(*uintptr)(unsafe.Pointer(&f)) }

// function converts a C function pointer to a Go function.
func function[F any](p uintptr) F { return *(*F)(unsafe.Pointer(&p)) }

// copyToC returns a copy in C memory, which is never freed.
func copyToC[T any](tls *libc.TLS, from *T) *T {
	to := deref[T](libc.Xmalloc(tls, libc.Tsize_t(unsafe.Sizeof(*from))))
	*to = *from
	return to
}

var (
	wrapMu  sync.Mutex
	wrapped = map[uintptr]uintptr{} // our methods by the base methods
)

// wrapMethods returns our methods for the base methods of a file.
func wrapMethods(tls *libc.TLS, base uintptr) uintptr {
	wrapMu.Lock()
	defer wrapMu.Unlock()
	if methods, ok := wrapped[base]; ok {
		return methods
	}
	m := copyToC(tls, deref[sqlite3.Tsqlite3_io_methods](base))
	m.FxClose = funcPointer(closeFile)
	m.FxRead = funcPointer(read)
	m.FxWrite = funcPointer(write)
	m.FxTruncate = funcPointer(truncate)
	m.FxSync = funcPointer(syncFile)
	wrapped[base] = address(m)
	return wrapped[base]
}

// diskOf returns the disk that watches the directory of a file, or else a new disk that
// nothing uses.
func diskOf(path string) *Disk {
	d, ok := disks.Load(filepath.Dir(path))
	if !ok {
		return newDisk("")
	}
	return d.(*Disk)
}

func open(tls *libc.TLS, vfs, path, id uintptr, flags int32, out uintptr) int32 {
	type method = func(tls *libc.TLS, vfs, path, id uintptr, flags int32, out uintptr) int32
	baseOpen := function[method](baseVFS.FxOpen)
	const watched = sqlite3.SQLITE_OPEN_MAIN_DB | sqlite3.SQLITE_OPEN_MAIN_JOURNAL | sqlite3.SQLITE_OPEN_WAL
	if path == 0 || flags&watched == 0 {
		return baseOpen(tls, vfs, path, id, flags, out)
	}
	name := libc.GoString(path)
	d := diskOf(name)
	d.mu.Lock()
	defer d.mu.Unlock()
	if code, _ := d.count(Open); code != 0 {
		deref[sqlite3.Tsqlite3_file](id).FpMethods = 0
		return code
	}
	if rc := baseOpen(tls, vfs, path, id, flags, out); rc != sqlite3.SQLITE_OK {
		return rc
	}
	f := deref[sqlite3.Tsqlite3_file](id)
	openFiles.Store(id, &openFile{
		disk:        d,
		inode:       d.opened(filepath.Base(name)),
		syncDir:     flags&sqlite3.SQLITE_OPEN_CREATE != 0 && flags&sqlite3.SQLITE_OPEN_MAIN_DB == 0,
		baseMethods: deref[sqlite3.Tsqlite3_io_methods](f.FpMethods),
	})
	f.FpMethods = wrapMethods(tls, f.FpMethods)
	return sqlite3.SQLITE_OK
}

func remove(tls *libc.TLS, vfs, path uintptr, syncDir int32) int32 {
	name := libc.GoString(path)
	d := diskOf(name)
	d.mu.Lock()
	defer d.mu.Unlock()
	code, part := d.count(Delete)
	if part != All {
		return code
	}
	rc := function[func(*libc.TLS, uintptr, uintptr, int32) int32](baseVFS.FxDelete)(tls, vfs, path, 0)
	if rc == sqlite3.SQLITE_OK {
		d.deleted(filepath.Base(name), syncDir != 0 && code == 0)
	}
	if code != 0 {
		return code
	}
	return rc
}

func fileOf(id uintptr) *openFile {
	f, _ := openFiles.Load(id)
	return f.(*openFile)
}

func closeFile(tls *libc.TLS, id uintptr) int32 {
	f := fileOf(id)
	openFiles.Delete(id)
	return function[func(*libc.TLS, uintptr) int32](f.baseMethods.FxClose)(tls, id)
}

func read(tls *libc.TLS, id, to uintptr, n int32, offset int64) int32 {
	f := fileOf(id)
	f.disk.mu.Lock()
	code, _ := f.disk.count(Read)
	f.disk.mu.Unlock()
	if code != 0 {
		return code
	}
	return function[func(*libc.TLS, uintptr, uintptr, int32, int64) int32](f.baseMethods.FxRead)(tls, id, to, n, offset)
}

func write(tls *libc.TLS, id, from uintptr, n int32, offset int64) int32 {
	f := fileOf(id)
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	code, part := f.disk.count(Write)
	switch part {
	case Nothing:
		return code
	case Half:
		n /= 2
	}
	rc := function[func(*libc.TLS, uintptr, uintptr, int32, int64) int32](f.baseMethods.FxWrite)(tls, id, from, n, offset)
	if rc != sqlite3.SQLITE_OK {
		return rc
	}
	data := make([]byte, n)
	copy(data, unsafe.Slice(deref[byte](from), n))
	f.disk.operations = append(f.disk.operations, operation{kind: Write, inode: f.inode, offset: offset, data: data})
	return code
}

func truncate(tls *libc.TLS, id uintptr, size int64) int32 {
	f := fileOf(id)
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	code, part := f.disk.count(Truncate)
	if part != All {
		return code
	}
	rc := function[func(*libc.TLS, uintptr, int64) int32](f.baseMethods.FxTruncate)(tls, id, size)
	if rc != sqlite3.SQLITE_OK {
		return rc
	}
	f.disk.operations = append(f.disk.operations, operation{kind: Truncate, inode: f.inode, offset: size})
	return code
}

// syncFile records the sync of a file. If the sync fails, the system may have written a
// part of the data, and takes the rest for written.
func syncFile(_ *libc.TLS, id uintptr, _ int32) int32 {
	f := fileOf(id)
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	code, part := f.disk.count(Sync)
	f.disk.operations = append(f.disk.operations, operation{kind: Sync, inode: f.inode, dirSynced: f.syncDir && code == 0, syncFailed: code != 0 && part != All})
	if code == 0 {
		f.syncDir = false
	}
	return code
}
