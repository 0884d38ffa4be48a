package db

import (
	"fmt"
	"slices"

	"relcheck/db/dbfile"
)

// Hazards describes what endangers the file of a store or prevents relcheck from
// detecting a danger, in one sentence each that names what to do.
func (s *Store) Hazards() []string {
	f, ok := s.engine.(*sqliteFile)
	if !ok {
		return nil
	}
	all := []string{dbfile.FolderWarning(f.path), dbfile.HardLinkWarning(f.path), f.handle.Undetectable()}
	return slices.DeleteFunc(all, func(text string) bool { return text == "" })
}

// Undetectable describes which other uses of the store's file cannot be detected on this
// system, or is empty.
func (s *Store) Undetectable() string {
	if f, ok := s.engine.(*sqliteFile); ok {
		return f.handle.Undetectable()
	}
	return ""
}

// LogLost returns an error if the WAL of a killed process was missing when the store was
// opened. The error goes away when a server records into the store.
func (s *Store) LogLost() error {
	if f, ok := s.engine.(*sqliteFile); ok && f.handle.WALLost() {
		return fmt.Errorf("%s: %w", f.path, dbfile.ErrWALLost)
	}
	return nil
}
