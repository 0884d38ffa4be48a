package db

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"modernc.org/sqlite"

	"relcheck/db/dbfile"
)

// CopyToFile copies everything that the store holds at the start into the empty SQLite
// file at path, neither verified nor synced. schema is the text of schema.sql. progress is
// called repeatedly, with done == total at the end.
func (s *Store) CopyToFile(ctx context.Context, path, schema string, progress func(done, total int64)) error {
	if f, ok := s.engine.(*sqliteFile); ok {
		return s.explain(f.backUp(ctx, path, progress))
	}
	_, err := s.Copy(ctx, path, schema, progress)
	return s.explain(err)
}

var (
	// backupStep is the number of pages that are copied between two pauses.
	backupStep int32 = 512
	// maxGrowth is how large the WAL of a store may become while the store is copied, or
	// the size of the store if that is more: the WAL cannot be reset meanwhile.
	maxGrowth int64 = 1 << 30
)

// pageSize is the page size of every store, in bytes.
const pageSize = 4096

// unsynced opens the file of a backup for writing: nothing reads it before it is synced.
const unsynced = "mode=rw&_error_rc=1&_pragma=journal_mode(off)&_pragma=synchronous(off)"

// backuper is what modernc's driver offers beyond database/sql.
type backuper interface {
	NewBackup(uri string) (*sqlite.Backup, error)
}

// backUp copies page by page with SQLite's online backup. A read transaction is open
// from start to end: without it, each step would begin its own, and SQLite starts over
// when another connection has written since the last step.
func (f *sqliteFile) backUp(ctx context.Context, path string, progress func(done, total int64)) error {
	conn, err := f.read.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "BEGIN"); err != nil {
		return err
	}
	defer conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
	if err := checkSchema(ctx, conn); err != nil { // reads, which begins the transaction
		return err
	}
	if err := checkSpace(ctx, conn, path); err != nil {
		return err
	}
	t, err := newThrottle(path, f.path+"-wal")
	if err != nil {
		return err
	}
	err = conn.Raw(func(driver any) error {
		b, err := driver.(backuper).NewBackup(fileURL(path, unsynced))
		if err != nil {
			return err
		}
		return errors.Join(f.copyPages(ctx, b, t, progress), b.Finish())
	})
	err = errors.Join(err, t.file.Close())
	if err == nil {
		err = disableWAL(ctx, path)
	}
	return err
}

func (f *sqliteFile) copyPages(ctx context.Context, b *sqlite.Backup, t *throttle, progress func(done, total int64)) error {
	for more := true; more; {
		var err error
		if more, err = b.Step(backupStep); err != nil {
			return err
		}
		limit := max(maxGrowth, int64(b.PageCount())*pageSize)
		if err := errors.Join(t.pause(ctx, min(limit, hugeWAL)), f.checkGrowth(limit)); err != nil {
			return err
		}
		progress(int64(b.PageCount()-b.Remaining()), int64(b.PageCount()))
	}
	return nil
}

// ReservedSpace is how many bytes a backup leaves free on a disk: a full disk would stop
// the recording server.
const ReservedSpace = 64 << 20

func checkSpace(ctx context.Context, q querier, path string) error {
	size, err := queryValue[int64](ctx, q, sqliteDialect.size)
	if err != nil {
		return err
	}
	left, _, known := dbfile.Space(filepath.Dir(path))
	if known && left < size+ReservedSpace {
		return fmt.Errorf("%s has %d MB left, and the store has %d MB: free some space, or back up to another disk", filepath.Dir(path), left>>20, size>>20)
	}
	return nil
}

// checkGrowth returns an error if the WAL has grown too large because reports are recorded
// faster than pages are copied.
func (f *sqliteFile) checkGrowth(limit int64) error {
	wal := dbfile.Size(f.path + "-wal")
	if wal <= limit {
		return nil
	}
	return fmt.Errorf("%s-wal has grown to %d MB during the backup, which is slower than the recording of reports: back up to a faster disk", f.path, wal>>20)
}

// disableWAL removes the journal mode that a copy has from its store, so that the copy can
// be read from a read-only folder.
func disableWAL(ctx context.Context, path string) error {
	file := connect(path, "mode=rw&_error_rc=1&_synchronous=OFF")
	defer file.Close()
	journal, err := queryValue[string](ctx, file, "PRAGMA journal_mode = DELETE")
	if err == nil && journal != "delete" {
		err = fmt.Errorf("%s stays in journal mode %s", path, journal)
	}
	return err
}

const (
	// idleRatio is how many times the duration of its last step a backup waits if reports
	// were recorded meanwhile: it then uses a tenth of the disk and of one processor. Ten
	// million reports take about 15 seconds. In this time, the WAL grows by 60 MB at a
	// thousand reports a second, and by 120 MB at five thousand.
	idleRatio = 9
	// maxPause limits the wait after a step that was slow for another reason.
	maxPause = time.Second
)

// idlePause returns how long to wait after work that took some time.
func idlePause(took time.Duration) time.Duration { return min(idleRatio*took, maxPause) }

// throttle slows down a backup while reports are recorded, in this process or another.
// It also syncs after each step: if the system had many pages to write at once, syncs of
// the WAL would wait for them. While nothing is recorded, it does not wait.
type throttle struct {
	file  *os.File // the backup
	wal   string   // the WAL of the store, which shows that reports are recorded
	last  fs.FileInfo
	began time.Time
}

// newThrottle opens the file of the backup. It must stay open until SQLite has closed the
// file, because closing it drops SQLite's locks.
func newThrottle(file, wal string) (*throttle, error) {
	f, err := os.OpenFile(file, os.O_RDWR|dbfile.NoFollow, 0)
	t := &throttle{file: f, wal: wal, began: time.Now()}
	t.walChanged()
	return t, err
}

// pause is called after each step. It does not wait if the WAL is larger than half of a
// size that it should not reach.
func (t *throttle) pause(ctx context.Context, maxWAL int64) error {
	err := dbfile.Sync(t.file)
	if took := time.Since(t.began); err == nil && t.walChanged() && dbfile.Size(t.wal) <= maxWAL/2 {
		err = sleep(ctx, idlePause(took))
	}
	t.began = time.Now()
	return cmp.Or(err, ctx.Err())
}

// walChanged reports whether the WAL was written since the last call.
func (t *throttle) walChanged() bool {
	before := t.last
	t.last, _ = os.Stat(t.wal)
	if t.last == nil || before == nil {
		return t.last != before
	}
	return t.last.Size() != before.Size() || !t.last.ModTime().Equal(before.ModTime())
}
