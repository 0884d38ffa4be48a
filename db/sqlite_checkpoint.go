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
	// smallWAL is up to how many bytes SQLite's log is left alone: SQLite itself
	// begins it anew after some 4 MB, if nobody reads it just then.
	smallWAL = 16 << 20
	// MaxWAL is how large it never becomes, unless a backup or another program
	// reads the store for long: other reading ends within readTimeout, in which it
	// grows by 4 MB a second where a disk takes no time at all. To that SQLite
	// shortens one that has grown, see settings.
	MaxWAL = 64 << 20
	// hugeWAL is from where on it is an error if it grows: the backup of a large
	// store, which rests, lets it become half as large beside a busy server.
	hugeWAL = 256 << 20
	// trimWait is how long all who write wait for the log to be emptied.
	trimWait = 500 * time.Millisecond
	// shortWait is how long they do where it is likely to be in vain.
	shortWait = 20 * time.Millisecond
)

var errUnshredded = errors.New("what was removed can still be found in the file's bytes, for somebody reads the store; a server goes on trying")

// shred writes the log into the file, where secure_delete has overwritten what
// was deleted, and empties it. That cannot be done as long as somebody reads what
// was there before; it does not wait for that, since all who write would wait
// with it, and returns errUnshredded. What is still to be done stays noted.
func (f *sqliteFile) shred(ctx context.Context) error {
	todo, err := setting(ctx, f.main, "shred")
	if err != nil || todo == 0 {
		return err
	}
	emptied, err := f.checkpoint(ctx, shortWait)
	if err == nil && !emptied {
		return errUnshredded
	}
	if err == nil {
		_, err = f.main.ExecContext(ctx, "UPDATE setting SET value = 0 WHERE name = 'shred' AND value = $1", todo)
	}
	return err
}

// trim empties the log once it has become large. Readers who come and go may keep
// SQLite from beginning it anew without ever being there for long: those of this
// process make way.
func (f *sqliteFile) trim(ctx context.Context, reading sync.Locker) error {
	if dbfile.Size(f.path+"-wal") <= smallWAL {
		return nil
	}
	reading.Lock()
	defer reading.Unlock()
	emptied, err := f.checkpoint(ctx, trimWait)
	if size := dbfile.Size(f.path + "-wal"); err == nil && !emptied && size > hugeWAL {
		err = fmt.Errorf("%s-wal has grown to %d MB, for a backup, or another program, reads the store; if it does not get shorter, end that", f.path, size>>20)
	}
	return err
}

// checkpoint writes the log into the file and empties it, unless somebody reads it
// for longer than it may wait. Only for the second, and for what has come since the
// first, do all who write wait; not for long if the first has found somebody who
// reads what was there before, as a backup does for minutes.
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
