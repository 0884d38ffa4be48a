package upstream

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"relcheck/checker/catalog"
)

// readPath reads a file of releases, or all *.json files of a folder in the order of their
// names, as one list.
func readPath(path string) (catalog.List, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return catalog.List{}, fmt.Errorf("%w: check the path, and that the folder is mounted", err)
	}
	if err != nil {
		return catalog.List{}, err
	}
	if !info.IsDir() {
		return readListFile(path)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return catalog.List{}, err
	}
	all := catalog.List{}
	from := map[string]string{} // names of files, by tag
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".json") || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		list, err := readListFile(filepath.Join(path, e.Name()))
		if err != nil {
			return all, err
		}
		for _, skipped := range list.Skipped {
			all.Skipped = append(all.Skipped, fmt.Sprintf("%s: %s", quote(e.Name()), skipped))
		}
		all.Unread = append(all.Unread, list.Unread...)
		for _, entry := range list.Entries {
			if first := from[entry.Tag]; first != "" {
				all.Skipped = append(all.Skipped, fmt.Sprintf("%s: tag %s: is also in %s", quote(e.Name()), quote(entry.Tag), quote(first)))
				continue
			}
			from[entry.Tag] = e.Name()
			all.Entries = append(all.Entries, entry)
		}
	}
	if len(all.Entries)+len(all.Unread) > maxReleases {
		return all, fmt.Errorf("more than %d releases in the files of %s", maxReleases, path)
	}
	if len(from)+len(all.Unread) == 0 {
		return all, fmt.Errorf("no releases in the files *.json of %s: %s", path, expected)
	}
	return all, nil
}

func readListFile(name string) (catalog.List, error) {
	file, err := os.Open(name)
	if err != nil {
		return catalog.List{}, err
	}
	defer file.Close()
	list, err := ReadReleases(file)
	if err != nil {
		err = fmt.Errorf("read %s: %w", name, err)
	}
	return list, err
}
