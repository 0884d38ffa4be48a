package server

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"relcheck/checker/server/dialect"
)

// dialectFolder is the folder of the operator's dialects.
type dialectFolder struct {
	path  string
	state string // names, sizes and times of the files that were read
	files map[string]*dialect.Dialect
}

// read reads the folder if its files have changed, and reports whether they have. A file that
// does not load is in errs, and keeps the dialect that it had.
func (f *dialectFolder) read() (changed bool, errs []error) {
	state := f.stat()
	if state == f.state {
		return false, nil
	}
	f.state = state
	f.files, errs = dialect.ReadFolder(f.path, f.files)
	return true, errs
}

func (f *dialectFolder) stat() string {
	files, err := os.ReadDir(f.path)
	if err != nil {
		return err.Error()
	}
	var b strings.Builder
	for _, file := range files {
		if info, err := os.Stat(filepath.Join(f.path, file.Name())); err == nil { // of the target of a link
			fmt.Fprintf(&b, "%q %d %d\n", file.Name(), info.Size(), info.ModTime().UnixNano())
		}
	}
	return b.String()
}

// loadDialects returns the snapshot with the dialects of the folder, if they have changed.
func (s *Server) loadDialects(known *snapshot) *snapshot {
	if s.dialects.path == "" {
		return known
	}
	changed, errs := s.dialects.read()
	for _, err := range errs {
		s.log.Error("cannot load a dialect; the last one of this name that could be loaded is kept, if there is one", "err", err)
	}
	if !changed {
		return known
	}
	s.log.Info("loaded the folder of dialects", "folder", s.dialects.path, "files", dialect.Own(s.dialects.files))
	return known.withEntries(newEntries(s.dialects.files).countIn(s.metrics))
}

// withEntries returns the snapshot with other dialects.
func (s *snapshot) withEntries(es *entries) *snapshot {
	next := s.copy()
	next.entries = es
	for _, p := range s.products.values() {
		changed := *p
		changed.entries, changed.unanswered = es.of(&p.Product)
		next.remove(p)
		next.add(&changed)
	}
	next.directory = newDirectory(next.products.values())
	return next
}
