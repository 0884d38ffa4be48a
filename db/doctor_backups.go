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
	all, err := listBackups(ctx, x.Folder, x.id)
	if err != nil {
		x.tell(Problem, "backups", "cannot be listed: %v; name with --backup-dir the folder that the server has them in", err)
		return
	}
	if x.id < 0 {
		x.anyBackups(all)
		return
	}
	own := backupsOf(all, x.id, x.Now)
	own = slices.DeleteFunc(own, func(s Saved) bool {
		err := s.check(ctx, x.Folder)
		if err != nil {
			x.tell(Problem, "backups", "%s has the name of a backup of this store, and is none: %v; look where it comes from, and move it away", s.Name, err)
		}
		return err != nil
	})
	others := othersOf(all, x.id)
	own = slices.DeleteFunc(own, func(s Saved) bool { return s.ahead(x.Now) })
	switch {
	case len(own) == 0:
		x.tell(Warning, "backups", "there is none of this store in %s: start relcheck serve with the same --backup-dir", x.Folder)
	case x.Now.Sub(own[len(own)-1].At) > 2*x.Every:
		s := own[len(own)-1]
		x.tell(Problem, "backups", "the newest, %s, is %s old: see the log of the server", s.Name, x.Now.Sub(s.At).Round(time.Minute))
	default:
		s := own[len(own)-1]
		x.tell(OK, "backups", "the newest, %s, is %s old; relcheck doctor --db looks into it", s.Name, x.Now.Sub(s.At).Round(time.Minute))
	}
	if len(others) > 0 {
		x.tell(Warning, "backups", "%d in %s are of other stores or of an older relcheck, the newest %s: if this store is new because the last one was lost, stop the server and restore one of them; "+
			"if not, remove them once nobody needs them, since no server of this store does", len(others), x.Folder, newestOf(others).Name)
	}
}

// anyBackups is for a store that is missing or cannot be read.
func (x *examining) anyBackups(all []Saved) {
	if len(all) == 0 {
		x.tell(Warning, "backups", "there is none in %s", x.Folder)
		return
	}
	x.tell(OK, "backups", "%d in %s, the newest is %s; relcheck restore makes a store of one", len(all), x.Folder, newestOf(all).Name)
}

// leftovers looks for what killed backups and restores have left, in the folder of the
// store and in that of the backups.
func (x *examining) leftovers(name string) {
	all, err := Leftovers(name)
	if x.Folder != "" {
		more, err2 := Leftovers(filepath.Join(x.Folder, "relcheck.db"))
		all, err = append(all, more...), errors.Join(err, err2)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	switch {
	case err != nil:
		x.tell(Warning, "leftovers", "cannot look for what killed backups have left: %v", err)
	case len(all) > 0:
		x.tell(Warning, "leftovers", "%s: a killed backup or restore has left that, with reports in it; the next one into that folder removes it, and so does a server at its start", strings.Join(all, ", "))
	default:
		x.tell(OK, "leftovers", "no killed backup or restore has left anything")
	}
}
