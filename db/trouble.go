package db

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// Ready returns nil while reports can be recorded, and otherwise why not.
func (w *Writer) Ready() error {
	if err := w.checkFile(); err != nil {
		return err
	}
	if p := w.trouble.Load(); p != nil {
		return *p
	}
	return nil
}

// note remembers whether writing works, and logs when that changes.
func (w *Writer) note(err error) {
	before := w.trouble.Load()
	switch {
	case err == nil && before != nil:
		w.trouble.Store(nil)
		w.log.Info("recording again", "db", w.path)
	case err != nil:
		w.trouble.Store(&err)
	}
	if err != nil && (before == nil || !alike(*before, err)) {
		w.log.Error("cannot record reports", "db", w.path, "err", err)
	}
}

// alike keeps one trouble from being logged over and over.
func alike(a, b error) bool {
	return a.Error() == b.Error() || errors.As(a, new(full)) && errors.As(b, new(full))
}

// watchLog remembers which write-ahead log is open. It changes with the
// connection, and is there as long as that.
func (w *Writer) watchLog(reports *reportLog) {
	if reports.conn == nil {
		w.wal.Store(nil)
		return
	}
	if w.wal.Load() == nil {
		if info, err := os.Stat(w.path + "-wal"); err == nil {
			w.wal.Store(&info)
		}
	}
}

// checkFile makes sure that the files are still those that were opened: writing
// to one that was removed or replaced goes on to succeed, and all is lost.
func (w *Writer) checkFile() error {
	err := unchanged(w.path, w.file)
	if wal := w.wal.Load(); err == nil && wal != nil {
		err = unchanged(w.path+"-wal", *wal)
	}
	return err
}

func unchanged(name string, opened os.FileInfo) error {
	now, err := os.Stat(name)
	if err == nil && !os.SameFile(opened, now) {
		err = errors.New("another file has taken its place")
	}
	if err != nil {
		return fmt.Errorf("%s is no longer the file that was opened: %w; stop the server with SIGTERM, which saves what it can, and start it again", name, err)
	}
	return nil
}

// checkRoom makes sure that there is space for more than the page or two that
// a trial writes: on a full disk they may fit where no report does.
func checkRoom(path string) error {
	name := path + "-trial"
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, 64<<10))
	err = errors.Join(err, f.Sync(), f.Close(), os.Remove(name))
	if errors.Is(err, syscall.ENOSPC) {
		err = full{err}
	}
	return err
}
