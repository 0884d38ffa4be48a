package db

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// backups looks for the backups of the store, and whether they are as new as they
// should be.
func (x *examining) backups(ctx context.Context) {
	all, err := listBackups(ctx, x.BackupDir, x.id)
	if err != nil {
		x.tell(Problem, "backups", "cannot be listed: %v; give --backup-dir the folder of the server's backups", err)
		return
	}
	if x.id < 0 {
		x.anyBackups(all)
		return
	}
	own := backupsOf(all, x.id, x.Now)
	own = slices.DeleteFunc(own, func(s Saved) bool {
		err := s.check(ctx, x.BackupDir)
		if err != nil {
			x.tell(Problem, "backups", "%s has the name of a backup of this store, but is not one: %v; find out where it comes from, and move it away", s.Name, err)
		}
		return err != nil
	})
	others := othersOf(all, x.id)
	own = slices.DeleteFunc(own, func(s Saved) bool { return s.ahead(x.Now) })
	switch {
	case len(own) == 0:
		x.tell(Warning, "backups", "there is none of this store in %s: start relcheck serve with the same --backup-dir", x.BackupDir)
	case x.Now.Sub(own[len(own)-1].At) > 2*x.BackupEvery:
		s := own[len(own)-1]
		x.tell(Problem, "backups", "the newest, %s, is %s old: see the log of the server", s.Name, x.Now.Sub(s.At).Round(time.Minute))
	default:
		s := own[len(own)-1]
		x.tell(OK, "backups", "the newest, %s, is %s old; relcheck doctor --db looks into it", s.Name, x.Now.Sub(s.At).Round(time.Minute))
	}
	if len(others) > 0 {
		x.tell(Warning, "backups", "%d in %s are of other stores or of an older relcheck, the newest %s: if this store is new because the last one was lost, stop the server and restore one of them; "+
			"if not, delete them when they are no longer needed: the servers of this store never do", len(others), x.BackupDir, newestOf(others).Name)
	}
}

// anyBackups is for a store that is missing or cannot be read.
func (x *examining) anyBackups(all []Saved) {
	if len(all) == 0 {
		x.tell(Warning, "backups", "there is none in %s", x.BackupDir)
		return
	}
	x.tell(OK, "backups", "%d in %s, the newest is %s; relcheck restore makes a store of one", len(all), x.BackupDir, newestOf(all).Name)
}

// leftovers looks for what killed backups and restores have left, in the folder of the
// store and in that of the backups.
func (x *examining) leftovers(name string) {
	all, err := Leftovers(name)
	if x.BackupDir != "" {
		more, err2 := Leftovers(filepath.Join(x.BackupDir, "relcheck.db"))
		all, err = append(all, more...), errors.Join(err, err2)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	switch {
	case err != nil:
		x.tell(Warning, "leftovers", "cannot look for what killed backups have left: %v", err)
	case len(all) > 0:
		x.tell(Warning, "leftovers", "%s: left by a killed backup or restore, with reports in it; the next backup or restore into that folder removes it, and so does a server when it starts", strings.Join(all, ", "))
	default:
		x.tell(OK, "leftovers", "no killed backup or restore has left anything")
	}
}
