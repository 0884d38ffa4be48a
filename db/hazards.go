package db

import (
	"fmt"

	"relcheck/db/dbfile"
)

// Hazards describes what endangers a store in a file although nothing is wrong with
// it yet, or keeps relcheck from seeing a danger. Each is one sentence that names what
// to do.
func (s *Store) Hazards() (all []string) {
	f, ok := s.engine.(*sqliteFile)
	if !ok {
		return nil
	}
	for _, text := range []string{dbfile.FolderWarning(f.path), dbfile.HardLinkWarning(f.path), f.held.Undetectable()} {
		if text != "" {
			all = append(all, text)
		}
	}
	return all
}

// LogLost returns an error if the write-ahead log of a process that was killed was
// missing when the store was opened. A server that records ends that.
func (s *Store) LogLost() error {
	if f, ok := s.engine.(*sqliteFile); ok && f.held.WALLost() {
		return fmt.Errorf("%s: %w", f.path, dbfile.ErrWALLost)
	}
	return nil
}
