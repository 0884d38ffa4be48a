package db

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"relcheck/db/dbfile"
)

const (
	// smallWAL is the size up to which relcheck does not truncate the WAL. SQLite itself
	// restarts it after about 4 MB, unless a reader prevents that.
	smallWAL = 16 << 20
	// MaxWAL is a size that the WAL does not reach unless a backup or another program reads
	// the store for long: other reads end within readTimeout, and the WAL grows by 4 MB a
	// second on the fastest disk. SQLite truncates a larger one to this size, see settings.
	MaxWAL = 64 << 20
	// hugeWAL is the size above which growth is an error. A throttled backup of a large store
	// lets the WAL reach half of it beside a busy server.
	hugeWAL = 256 << 20
	// truncateWait is how long writers wait for the WAL to be emptied.
	truncateWait = 500 * time.Millisecond
	// shortWait is how long they wait if it will probably fail.
	shortWait = 20 * time.Millisecond
)

var errNotErased = errors.New("removed data is still in the file's bytes because another process is reading it; a server keeps trying to erase it")

// eraseDeleted checkpoints the WAL into the file, where secure_delete has overwritten
// deleted data, and empties it. That fails while a reader uses the previous state; instead
// of waiting, which would delay all writers, it returns errNotErased. Setting "shred"
// keeps count of what is left to do.
func (f *sqliteFile) eraseDeleted(ctx context.Context) error {
	todo, err := setting(ctx, f.main, "shred")
	if err != nil || todo == 0 {
		return err
	}
	emptied, err := f.checkpoint(ctx, shortWait)
	if err == nil && !emptied {
		return errNotErased
	}
	if err == nil {
		_, err = f.main.ExecContext(ctx, "UPDATE setting SET value = 0 WHERE name = 'shred' AND value = $1", todo)
	}
	return err
}

// truncateWAL empties the WAL once it is large. Short reads that overlap can keep SQLite
// from restarting the WAL although none of them is long, so the reads of this process wait.
func (f *sqliteFile) truncateWAL(ctx context.Context, readers sync.Locker) error {
	if dbfile.Size(f.path+"-wal") <= smallWAL {
		return nil
	}
	readers.Lock()
	defer readers.Unlock()
	emptied, err := f.checkpoint(ctx, truncateWait)
	if size := dbfile.Size(f.path + "-wal"); err == nil && !emptied && size > hugeWAL {
		err = fmt.Errorf("%s-wal has grown to %d MB because a backup or another program is reading the store; if it does not shrink, stop that program", f.path, size>>20)
	}
	return err
}

// checkpoint copies the WAL into the file and empties it, unless a reader prevents that
// for longer than wait. Writers wait only for the second checkpoint, which has little left
// to copy; and only briefly if the first one has found a reader of the previous state,
// such as a backup, which takes minutes.
func (f *sqliteFile) checkpoint(ctx context.Context, wait time.Duration) (emptied bool, err error) {
	file := connect(f.path, readWrite)
	defer file.Close()
	file.SetMaxOpenConns(1)
	var busy, pages, done int64
	err = file.QueryRowContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)").Scan(&busy, &pages, &done)
	if err != nil && code(err) != codeBusy {
		return false, err
	}
	if done < pages {
		wait = min(wait, shortWait)
	}
	if _, err := file.ExecContext(ctx, fmt.Sprintf("PRAGMA busy_timeout = %d", wait.Milliseconds())); err != nil {
		return false, err
	}
	err = file.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &pages, &done)
	if code(err) == codeBusy {
		return false, nil
	}
	return busy == 0, err
}
