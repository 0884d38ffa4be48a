package dialect

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

const (
	extension = ".dialect"
	maxFiles  = 200 // of a folder
)

//go:embed *.dialect
var embedded embed.FS

var builtIn = sync.OnceValue(func() map[string]*Dialect {
	all, errs := readAll(embedded, nil)
	if len(errs) > 0 {
		panic(errors.Join(errs...)) // a test loads them
	}
	return all
})

// BuiltIn returns the embedded dialects by name.
func BuiltIn() map[string]*Dialect { return maps.Clone(builtIn()) }

// ReadFolder returns the built-in dialects, replaced and extended by the files
// DIR/*.dialect. A file that does not load keeps its dialect in last. The errors name
// these files. A file that has not changed keeps its *Dialect.
func ReadFolder(dir string, last map[string]*Dialect) (map[string]*Dialect, []error) {
	own, errs := readAll(os.DirFS(dir), last)
	all := BuiltIn()
	maps.Copy(all, own)
	return all, errs
}

// Own returns the sorted names of the dialects that are not built in.
func Own(all map[string]*Dialect) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if all[name] != builtIn()[name] {
			names = append(names, name)
		}
	}
	return names
}

func readAll(folder fs.FS, last map[string]*Dialect) (map[string]*Dialect, []error) {
	all := map[string]*Dialect{}
	paths, err := fs.Glob(folder, "*"+extension)
	if err == nil {
		_, err = fs.Stat(folder, ".") // Glob ignores errors
	}
	if err != nil {
		return last, []error{err}
	}
	var errs []error
	if len(paths) > maxFiles {
		errs = append(errs, fmt.Errorf("the folder has %d dialects; the first %d are used", len(paths), maxFiles))
		paths = paths[:maxFiles]
	}
	for _, path := range paths {
		name := strings.TrimSuffix(path, extension)
		d, err := readFile(folder, path, last[name])
		if err != nil {
			errs = append(errs, err)
			d = last[name]
		}
		if d != nil {
			all[name] = d
		}
	}
	return all, errs
}

// ReadFile reads the file of a dialect. Its name without the extension is the dialect's.
func ReadFile(path string) (*Dialect, error) {
	folder, name := filepath.Split(path)
	if !strings.HasSuffix(name, extension) {
		return nil, fmt.Errorf("%s: name the file NAME%s", path, extension)
	}
	if folder == "" {
		folder = "."
	}
	return readFile(os.DirFS(folder), name, nil)
}

// readFile reads one file. If its text is that of last, it returns last.
func readFile(folder fs.FS, path string, last *Dialect) (*Dialect, error) {
	f, err := folder.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if last != nil && bytes.Equal(last.text, text) {
		return last, nil
	}
	d, err := Parse(strings.TrimSuffix(path, extension), text)
	if err != nil {
		line, message, _ := strings.Cut(strings.TrimPrefix(err.Error(), "line "), ": ")
		return nil, fmt.Errorf("%s:%s: %s", path, line, message)
	}
	return d, nil
}
