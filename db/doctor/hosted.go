package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"relcheck/checker/catalog"
	"relcheck/checker/mirror"
	"relcheck/checker/printable"
)

// fileList is a number of files and the first of them.
type fileList struct {
	n     int
	first string
}

func (l *fileList) add(product, tag, name string) {
	if l.n++; l.n == 1 {
		l.first = fmt.Sprintf("%s %s %s", product, tag, name)
	}
}

func (l *fileList) String() string {
	if l.n == 1 {
		return l.first
	}
	return fmt.Sprintf("%d files, for example %s", l.n, l.first)
}

// ServedWithin is the time within which a server records that it has verified files which it
// serves. It does so once a day.
const ServedWithin = 48 * time.Hour

// checkHosted reports hosted files that cannot be served: damaged files, files that upstream
// has changed, and, if the folder is known, missing ones.
func (x *examination) checkHosted(ctx context.Context) {
	var hosted, damaged, changed, missing fileList
	oldest := x.Now // when the first of them was stored
	var folder *mirror.Folder
	var folderErr error
	if x.Files != "" {
		if folder, folderErr = mirror.Open(x.Files, fmt.Sprintf("%016x", x.id)); folderErr == nil {
			defer folder.Close()
		}
	}
	products, err := x.Products(ctx)
	for _, p := range products {
		var releases []catalog.Release
		if err == nil {
			releases, err = x.Releases(ctx, p.Name)
		}
		slices.SortFunc(releases, func(a, b catalog.Release) int { return strings.Compare(a.Tag, b.Tag) })
		for _, r := range releases {
			if len(r.Hosted) == 0 {
				continue
			}
			for _, f := range p.NamedFiles(&r) {
				h := f.Hosted
				if h == nil {
					continue
				}
				hosted.add(p.Name, r.Tag, f.Name)
				if h.Fetched.Before(oldest) {
					oldest = h.Fetched
				}
				switch {
				case f.State == catalog.FileDamaged:
					damaged.add(p.Name, r.Tag, f.Name)
				case f.State == catalog.FileChanged:
					changed.add(p.Name, r.Tag, f.Name)
				case folder != nil && !folder.Has(mirror.Content{SHA256: h.SHA256, Size: h.Size}):
					missing.add(p.Name, r.Tag, f.Name)
				}
			}
		}
	}
	if err != nil {
		x.report(Problem, "hosted", "cannot be read: %v", err)
		return
	}
	if damaged.n > 0 {
		x.report(Problem, "hosted", "damaged and not served: %v: fetch again with relcheck file verify --repair", &damaged)
	}
	if changed.n > 0 {
		x.report(Warning, "hosted", "changed upstream under the same name and not served: %v: find out why, then run relcheck file fetch --replace", &changed)
	}
	if missing.n > 0 {
		x.report(Problem, "hosted", "missing in %s: %v: fetch again with relcheck file verify --repair", x.Files, &missing)
	}
	switch {
	case hosted.n == 0:
		x.report(OK, "hosted", "no files")
	case folderErr != nil:
		x.report(Problem, "hosted", "%v", folderErr)
	case damaged.n+changed.n+missing.n > 0:
	case folder != nil:
		x.report(OK, "hosted", "%s: all in %s; relcheck file verify reads them", printable.Count(int64(hosted.n), "file"), x.Files)
	default:
		x.report(OK, "hosted", "%s: none known to be damaged; only servers that run with --files offer them; --files checks their folder", printable.Count(int64(hosted.n), "file"))
	}
	if folder != nil && hosted.n > 0 && x.Now.Sub(oldest) > ServedWithin && x.Now.Sub(folder.LastServed()) > ServedWithin {
		x.report(Warning, "hosted", "no server has verified a file in %s for %s, so none seems to offer them: start relcheck serve --files %s, or ignore this if servers cannot write to the folder",
			x.Files, catalog.FormatAge(ServedWithin), printable.QuoteShell(x.Files))
	}
}
