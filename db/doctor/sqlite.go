package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"relcheck/checker/stats"
	"relcheck/db"
	"relcheck/db/dbfile"
)

// checkFileOnce checks a file from its folder to its contents. It stops at a problem that
// makes further checks pointless.
func (x *examination) checkFileOnce(ctx context.Context, name string) {
	x.Store = nil
	path := dbfile.Resolve(name)
	x.checkPermissions(path)
	s, err := db.OpenUnchanged(ctx, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		x.report(Problem, "store", "%s does not exist: create it with relcheck serve, or name another store with --db", path)
		return
	case err != nil:
		x.report(Problem, "store", "%v", dbfile.Advise(err, dbfile.NameStore))
		return
	}
	defer s.Close()
	x.Store = s
	if !x.checkSchema(ctx, path) {
		return
	}
	x.checkServer(path)
	x.checkNames(path)
	x.checkJournal(ctx)
	x.checkSpace(path)
	if err := s.CheckPages(ctx); err != nil {
		x.report(Problem, "pages", "%v; stop the server, move the file away, and restore a backup", err)
		return // its contents cannot be trusted
	}
	x.report(OK, "pages", "SQLite finds no damage")
	x.checkContents(ctx)
}

// checkPermissions reports which users could read or change the store, and whether a
// server can.
func (x *examination) checkPermissions(path string) {
	info, err := os.Stat(path)
	if err != nil {
		return // opening it reports more
	}
	folder, err := os.Stat(filepath.Dir(path))
	mode, foreign := info.Mode().Perm(), foreignFile(path, info)
	switch {
	case err != nil:
		x.report(Problem, "files", "cannot read the folder: %v", err)
	case mode&0o002 != 0:
		x.report(Problem, "files", "every user of this machine can write to the store: chmod 600 %s", path)
	case folder.Mode().Perm()&0o002 != 0 && folder.Mode()&os.ModeSticky == 0:
		x.report(Problem, "files", "every user of this machine can replace the store: chmod o-w %s", filepath.Dir(path))
	case mode&0o004 != 0:
		x.report(Warning, "files", "every user of this machine can read the store, including the secrets in it: chmod 600 %s", path)
	case foreign != "":
		x.report(Problem, "files", "%s belongs to another user than the store, so the server cannot write to it: chown it", foreign)
	case dbfile.FolderWarning(path) != "":
		x.report(Warning, "files", "%s", dbfile.FolderWarning(path))
	default:
		x.report(OK, "files", "permissions %04o, in a folder with %04o", mode, folder.Mode().Perm())
	}
}

// foreignFile returns the name of a file beside the store that belongs to another user.
func foreignFile(path string, info os.FileInfo) string {
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

func (x *examination) checkServer(path string) {
	holder, err := dbfile.LockHolder(path)
	lock, noLock := os.Stat(path + "-lock")
	x.serving = holder != ""
	x.isCopy = noLock != nil
	switch {
	case err != nil:
		x.report(Warning, "server", "cannot find out whether one is running: %v", err)
	case x.serving:
		x.report(OK, "server", "%s records into it", holder)
	case noLock == nil && lock.Size() > 0:
		x.report(Warning, "server", "none is running, and the last one did not shut down cleanly: the next one checks the file")
	default:
		x.report(OK, "server", "none is running")
	}
}

// checkNames reports whether the store could be open under another name.
func (x *examination) checkNames(path string) {
	switch text, undetectable := dbfile.HardLinkWarning(path), x.Undetectable(); {
	case text != "":
		x.report(Warning, "name", "%s", text)
	case undetectable != "":
		x.report(OK, "name", "%s", undetectable)
	default:
		x.report(OK, "name", "no process has it open under another name")
	}
}

func (x *examination) checkJournal(ctx context.Context) {
	mode, err := x.JournalMode(ctx)
	if err != nil {
		x.report(Problem, "log", "cannot be read: %v", err)
		return
	}
	wal, err := os.Stat(x.Name() + "-wal")
	switch {
	case x.serving && mode != "wal":
		x.report(Problem, "log", "SQLite is in journal mode %s, and the running server needs wal: stop the program that changes it, and restart the server", mode)
	case err != nil && x.LogLost() != nil:
		x.report(Problem, "log", "%v", dbfile.ErrWALLost)
	case err != nil:
		x.report(OK, "log", "none: the store is a single file")
	case wal.Size() > db.MaxWAL:
		x.report(Warning, "log", "%s-wal has %s, because a backup or another program has been reading the store for long; if it does not shrink, stop that program", x.Name(), stats.ShowBytes(float64(wal.Size())))
	default:
		x.report(OK, "log", "%s of write-ahead log; servers sync every commit (synchronous FULL)", stats.ShowBytes(float64(wal.Size())))
	}
}

// checkSpace reports whether the disk has room for the store to grow and to be copied.
func (x *examination) checkSpace(path string) {
	info, err := os.Stat(path)
	left, _, known := dbfile.Space(filepath.Dir(path))
	if err != nil || !known {
		return
	}
	text := fmt.Sprintf("the store has %s, its disk %s left", stats.ShowBytes(float64(info.Size())), stats.ShowBytes(float64(left)))
	switch {
	case x.isCopy && !x.serving:
		x.report(OK, "disk", "%s", text)
	case left < db.ReservedSpace:
		x.report(Problem, "disk", "%s: free some space, or reports are soon refused", text)
	case left < info.Size()+db.ReservedSpace:
		x.report(Warning, "disk", "%s: there is no room for a backup on this disk", text)
	default:
		x.report(OK, "disk", "%s", text)
	}
}
