package doctor

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"relcheck/db/backup"
)

// checkBackups reports whether the newest backup is as recent as it should be.
func (x *examination) checkBackups(ctx context.Context) {
	l, err := backup.List(ctx, x.BackupDir, x.id, x.Now)
	if err != nil {
		x.report(Problem, "backups", "cannot be listed: %v; set --backup-dir to the folder of the server's backups", err)
		return
	}
	if x.id < 0 { // the store is missing or cannot be read
		if len(l.Others) == 0 {
			x.report(Warning, "backups", "none in %s", x.BackupDir)
		} else {
			x.report(OK, "backups", "%d in %s, the newest is %s; restore one with relcheck restore", len(l.Others), x.BackupDir, backup.Newest(l.Others).Name)
		}
		return
	}
	for _, f := range l.Invalid {
		x.report(Problem, "backups", "%s has the name of a backup of this store, but is not one: %v; find out where it comes from, and move it away", f.Name, f.Err)
	}
	newest := backup.Newest(l.Own)
	age := x.Now.Sub(newest.At)
	switch {
	case len(l.Own) == 0:
		x.report(Warning, "backups", "no backup of this store in %s: start relcheck serve with the same --backup-dir", x.BackupDir)
	case age > 2*x.BackupEvery:
		x.report(Problem, "backups", "the newest, %s, is %s old: see the log of the server", newest.Name, age.Round(time.Minute))
	default:
		x.report(OK, "backups", "the newest, %s, is %s old; check it with relcheck doctor --db", newest.Name, age.Round(time.Minute))
	}
	if len(l.Others) > 0 {
		x.report(Warning, "backups", "%d in %s belong to other stores or an older relcheck, the newest is %s: if this store is new because the previous one was lost, stop the server and restore one of them; "+
			"otherwise delete them when they are no longer needed, because no server of this store does", len(l.Others), x.BackupDir, backup.Newest(l.Others).Name)
	}
}

// checkLeftovers looks for incomplete files beside the store and in the backup folder.
func (x *examination) checkLeftovers(name string) {
	all, err := backup.Leftovers(name)
	if x.BackupDir != "" {
		more, err2 := backup.Leftovers(filepath.Join(x.BackupDir, "relcheck.db"))
		all, err = append(all, more...), errors.Join(err, err2)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	switch {
	case err != nil:
		x.report(Warning, "leftovers", "cannot look for incomplete files of killed backups: %v", err)
	case len(all) > 0:
		x.report(Warning, "leftovers", "%s: incomplete file of a killed backup or restore, with reports in it; the next backup or restore into that folder removes it, and so does a server at start", strings.Join(all, ", "))
	default:
		x.report(OK, "leftovers", "no incomplete files of killed backups or restores")
	}
}
