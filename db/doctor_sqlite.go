package db

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"relcheck/db/dbfile"
)

// fileOnce goes from the file in its folder to what is in it. It ends where going
// on makes no sense.
func (x *examining) fileOnce(ctx context.Context, name string) {
	x.Store = nil
	path := dbfile.Resolve(name)
	x.permissions(path)
	if errors.Is(probe(ctx, name), errMissing) {
		x.tell(Problem, "store", "there is none in %s yet: relcheck serve makes it; or name another with --db", path)
		return
	}
	s, err := OpenUnchanged(ctx, name)
	if err != nil {
		x.tell(Problem, "store", "%v", err)
		return
	}
	defer s.Close()
	x.Store = s
	if !x.schema(ctx, path) {
		return
	}
	x.server(path)
	x.name(path)
	x.journal(ctx)
	x.space(path)
	if err := checkPages(ctx, s.read, "quick_check"); err != nil {
		x.tell(Problem, "pages", "%v; stop the server, move the file away, and restore a backup", err)
		return // what is read of it may be anything
	}
	x.tell(OK, "pages", "SQLite finds no damage")
	x.contents(ctx)
}

// permissions looks who could read or change the store, and whether a server can.
func (x *examining) permissions(path string) {
	info, err := os.Stat(path)
	if err != nil {
		return // opening it tells more
	}
	folder, err := os.Stat(filepath.Dir(path))
	mode := info.Mode().Perm()
	switch {
	case err != nil:
		x.tell(Problem, "files", "the folder cannot be looked at: %v", err)
	case mode&0o002 != 0:
		x.tell(Problem, "files", "everyone on this machine can write to the store: chmod 600 %s", path)
	case folder.Mode().Perm()&0o002 != 0 && folder.Mode()&os.ModeSticky == 0:
		x.tell(Problem, "files", "everyone on this machine can replace the store: chmod o-w %s", filepath.Dir(path))
	case mode&0o004 != 0:
		x.tell(Warning, "files", "everyone on this machine can read the store, and what signs people in with it: chmod 600 %s", path)
	case x.strangers(path, info) != "":
		name := x.strangers(path, info)
		x.tell(Problem, "files", "%s belongs to another user than the store, and keeps the server from writing: chown it", name)
	case dbfile.FolderWarning(path) != "":
		x.tell(Warning, "files", "%s", dbfile.FolderWarning(path))
	default:
		x.tell(OK, "files", "permissions %04o, in a folder with %04o", mode, folder.Mode().Perm())
	}
}

// strangers names a file beside the store that another user has left there.
func (x *examining) strangers(path string, info os.FileInfo) string {
	want, known := dbfile.Owner(info)
	for _, suffix := range dbfile.Companions {
		beside, err := os.Stat(path + suffix)
		if err != nil || !known {
			continue
		}
		if got, _ := dbfile.Owner(beside); got != want {
			return path + suffix
		}
	}
	return ""
}

// server looks whether one records into the store.
func (x *examining) server(path string) {
	who, err := dbfile.LockHolder(path)
	info, missing := os.Stat(path + "-lock")
	x.serving = who != ""
	x.copied = missing != nil
	switch {
	case err != nil:
		x.tell(Warning, "server", "cannot see whether one runs: %v", err)
	case x.serving:
		x.tell(OK, "server", "%s records into it", who)
	case missing == nil && info.Size() > 0:
		x.tell(Warning, "server", "none runs, and the last one did not stop in good order: the next one looks through the file")
	default:
		x.tell(OK, "server", "none runs")
	}
}

// name looks whether the store could be open under another name.
func (x *examining) name(path string) {
	blind := x.engine.(*sqliteFile).held.Undetectable()
	switch {
	case dbfile.HardLinkWarning(path) != "":
		x.tell(Warning, "name", "%s", dbfile.HardLinkWarning(path))
	case blind != "":
		x.tell(OK, "name", "%s", blind)
	default:
		x.tell(OK, "name", "no process has it open under another name")
	}
}

// journal looks how SQLite logs, and how long its log is.
func (x *examining) journal(ctx context.Context) {
	var mode string
	if err := x.read.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&mode); err != nil {
		x.tell(Problem, "log", "cannot be read: %v", err)
		return
	}
	wal, err := os.Stat(x.Store.name + "-wal")
	switch {
	case x.serving && mode != "wal":
		x.tell(Problem, "log", "SQLite is in journal mode %s, under a server that needs wal: stop whatever changes that, and start the server again", mode)
	case err != nil && x.LogLost() != nil:
		x.tell(Problem, "log", "%v", dbfile.ErrWALLost)
	case err != nil:
		x.tell(OK, "log", "all is in the one file")
	case wal.Size() > maxLog:
		x.tell(Warning, "log", "%s-wal has %s: a backup or another program has read the store for long; if it does not get shorter, end that", x.Store.name, size(wal.Size()))
	default:
		x.tell(OK, "log", "%s of write-ahead log; servers sync every commit (synchronous FULL)", size(wal.Size()))
	}
}

// size writes a number of bytes for people.
func size(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%d KB", (n+1023)>>10)
}

// space looks whether the disk has room for the store to grow, and to be copied.
func (x *examining) space(path string) {
	info, err := os.Stat(path)
	left, known := dbfile.FreeSpace(filepath.Dir(path))
	if err != nil || !known {
		return
	}
	text := fmt.Sprintf("the store has %s, its disk %s left", size(info.Size()), size(left))
	switch {
	case x.copied && !x.serving:
		x.tell(OK, "disk", "%s", text)
	case left < reserve:
		x.tell(Problem, "disk", "%s: make room, or reports are refused soon", text)
	case left < info.Size()+reserve:
		x.tell(Warning, "disk", "%s: there is no room for a backup beside it", text)
	default:
		x.tell(OK, "disk", "%s", text)
	}
}
