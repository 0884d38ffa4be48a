package db

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// Inspect looks through the pages of a file whose last server did not stop in good
// order. That may take minutes, in which w records as ever. If there is damage, w is
// not ready from then on, nor after the next start; it goes on to record what it
// can, and the file is left as it is. PostgreSQL does such things by itself.
func (s *Store) Inspect(ctx context.Context, w *Writer, log *slog.Logger) {
	file, ok := s.engine.(*sqliteFile)
	if !ok {
		return
	}
	held := file.lock.Load()
	if held == nil || !held.Unclean() {
		return
	}
	start := time.Now()
	err := checkPages(ctx, s.read, "quick_check")
	switch {
	case ctx.Err() != nil: // the next start does it
	case err == nil:
		held.SetUnclean(false)
		log.Info("the server before did not stop in good order; the file is sound", "db", s.name, "took", time.Since(start))
	case errors.Is(err, ErrDamaged):
		w.damage.Store(&err)
		log.Error("the file is damaged and was left as it is; stop the server, move the file away, and restore a backup", "db", s.name, "err", err)
	default:
		log.Error("cannot look whether the file is sound; the next start tries again", "db", s.name, "err", err)
	}
}
