package db

import (
	"cmp"
	"context"
	"io/fs"
	"os"
	"time"

	"relcheck/db/dbfile"
)

const (
	// idleRatio is how many times the duration of its last step a backup waits if reports
	// were recorded meanwhile: it then uses a tenth of the disk and of one processor. Ten
	// million reports take about 15 seconds, in which the WAL grows by 60 MB at a thousand
	// reports a second, and by 120 MB at five thousand.
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
