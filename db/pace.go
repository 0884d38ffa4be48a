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
	// restFor is how many times as long as a step has taken a backup waits after it,
	// if anybody has recorded meanwhile: it takes a tenth of the disk and of one
	// processor. Ten million reports take some 15 seconds so, in which the log grows by
	// 60 MB at a thousand reports a second, and by 120 MB at five thousand.
	restFor = 9
	// longestRest bounds that where a step was slow for reasons of its own.
	longestRest = time.Second
)

// pace keeps a backup out of the way of those who record, in this process or
// another. What it writes is on the disk before it goes on: if the system had much of it
// to write at once, whoever syncs the log would wait for that. Where nobody
// records, it does not wait.
type pace struct {
	file  *os.File // that is written
	log   string   // the log of the store, which shows who records
	seen  fs.FileInfo
	began time.Time
}

// newPace opens what is written for its own use. It is closed only when SQLite has
// closed it, whose locks would be lost.
func newPace(file, log string) (*pace, error) {
	f, err := os.OpenFile(file, os.O_RDWR|dbfile.NoFollow, 0)
	p := &pace{file: f, log: log, began: time.Now()}
	p.recorded()
	return p, err
}

func (p *pace) close() error { return p.file.Close() }

// step ends one step, and with the rest after it begins the next. Once the log has
// half of a size that it should not reach, there is no rest.
func (p *pace) step(ctx context.Context, bound int64) error {
	err := dbfile.Sync(p.file)
	if took := time.Since(p.began); err == nil && p.recorded() && dbfile.Size(p.log) <= bound/2 {
		err = rest(ctx, min(restFor*took, longestRest))
	}
	p.began = time.Now()
	return cmp.Or(err, ctx.Err())
}

// recorded tells whether the log was written since it was asked last.
func (p *pace) recorded() bool {
	before := p.seen
	p.seen, _ = os.Stat(p.log)
	if p.seen == nil || before == nil {
		return p.seen != before
	}
	return p.seen.Size() != before.Size() || !p.seen.ModTime().Equal(before.ModTime())
}
