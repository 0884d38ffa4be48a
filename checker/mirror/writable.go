package mirror

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// CheckNew returns an error if [Create] would fail for a new store. It leaves nothing behind.
func CheckNew(folder string) error {
	name := filepath.Join(folder, Owner)
	id, err := os.ReadFile(name)
	switch {
	case err == nil && len(id) > 0:
		return fmt.Errorf("%s belongs to store %.100s, and there is no store yet: name that store with --db, or give another folder; if that store is no longer used, remove %s", folder, strings.TrimSpace(string(id)), name)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("read the ID of the store that the folder belongs to: %w", err)
	}
	for {
		_, err := os.Stat(folder)
		if parent := filepath.Dir(folder); errors.Is(err, fs.ErrNotExist) && parent != folder {
			folder = parent
			continue
		}
		name, err := os.MkdirTemp(folder, ".relcheck-")
		if err != nil {
			return fmt.Errorf("create the folder of files: %w", err)
		}
		return os.Remove(name)
	}
}

// CheckWritable returns an error if files cannot be added to the folder.
func (f *Folder) CheckWritable() error {
	name := path.Join(partials, fmt.Sprintf("check-%016x", rand.Uint64()))
	file, err := f.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	return errors.Join(file.Close(), f.root.Remove(name))
}
