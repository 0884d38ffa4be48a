package upstream

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"relcheck/checker/catalog"
	"relcheck/checker/fetch"
)

// Limits of the checksum files that one call of [Reader.Read] requests.
const (
	maxChecksumFile     = 1 << 20 // bytes
	maxChecksumReleases = 100
	maxChecksumFiles    = 50 // of a release
)

// checksumReader adds the checksums in the checksum files of releases to a list.
type checksumReader struct {
	Source
	files ChecksumFiles
}

// addTo sets the missing checksums of the list's files. It first uses known checksums. For
// new, changed and pending releases, it then reads the checksum files. It returns the tags
// of the releases whose checksum files were not read; pass them as pending next time. It
// skips files that will never be readable.
func (c *checksumReader) addTo(ctx context.Context, list *catalog.List, pending []string) (stillPending []string, err error) {
	known := map[string][]catalog.File{}
	if c.Files != nil && slices.ContainsFunc(list.Entries, func(e catalog.Entry) bool { return lacksChecksums(e.Upstream.Files) }) {
		if known, err = c.Files(); err != nil {
			return nil, err
		}
	}
	var due []*catalog.Entry
	for i := range list.Entries {
		e := &list.Entries[i]
		if changed := fillKnown(e.Upstream.Files, known[e.Tag]); !changed && !slices.Contains(pending, e.Tag) {
			continue
		}
		isSum := func(f catalog.File) bool { _, ok := checksumFile(f, e.Upstream.Files); return ok }
		if lacksChecksums(e.Upstream.Files) && slices.ContainsFunc(e.Upstream.Files, isSum) {
			due = append(due, e)
		}
	}
	for _, e := range due[min(maxChecksumReleases, len(due)):] {
		stillPending = append(stillPending, e.Tag)
	}
	due = due[:min(maxChecksumReleases, len(due))]
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(maxConcurrent)
	done := 0
	for _, e := range due {
		g.Go(func() error {
			err := c.files.Complete(ctx, e.Upstream.Files, e.Upstream.Files)
			mu.Lock()
			defer mu.Unlock()
			if done++; err != nil { // do not delay other releases if the server fails
				stillPending = append(stillPending, e.Tag)
			}
			c.Progress(fmt.Sprintf("checksums of releases: %d of %d", done, len(due)))
			return context.Cause(ctx)
		})
	}
	err = g.Wait()
	slices.Sort(stillPending)
	return stillPending, err
}

// lacksChecksums reports whether a file that is not a checksum file has no checksum.
func lacksChecksums(files []catalog.File) bool {
	return slices.ContainsFunc(files, func(f catalog.File) bool {
		_, isSum := checksumFile(f, files)
		return f.SHA256 == "" && !isSum
	})
}

// fillKnown sets the known checksums of files, and reports whether the files have changed.
func fillKnown(files, known []catalog.File) (changed bool) {
	byName := map[string]catalog.File{}
	for _, f := range known {
		byName[f.Name] = f
	}
	changed = len(files) != len(known)
	for i := range files {
		f := &files[i]
		old := byName[f.Name]
		if old.URL != f.URL || old.Size != f.Size {
			changed = true
		} else if f.SHA256 == "" {
			f.SHA256 = old.SHA256
			if f.SHA512 == "" {
				f.SHA512 = old.SHA512
			}
		}
	}
	return changed
}

// checksumFile reports whether a file of a release is a checksum file that can be read. If
// it describes a single file, checksumFile returns the name of that file. See
// [ChecksumFile].
func checksumFile(f catalog.File, files []catalog.File) (about string, ok bool) {
	about, ok = ChecksumFile(baseName(f), func(name string) bool {
		return slices.ContainsFunc(files, func(f catalog.File) bool { return baseName(f) == name })
	})
	return about, ok && f.URL != ""
}

// ChecksumFiles reads the checksum files of releases.
type ChecksumFiles struct {
	// Client makes the requests, without a token. Default: that of [fetch.NewClient].
	Client *http.Client
	// Follow, if not nil, returns a context for the request of a URL, or an error if the
	// URL must not be requested.
	Follow func(ctx context.Context, u *url.URL) (context.Context, error)
	// Guess requests the URL of a file with the suffix .sha256 if no checksum file
	// describes the file.
	Guess bool

	max   int           // of requests for a release; 0 means any number
	pause time.Duration // before a second attempt; 0 means a second
}

// Complete sets the missing checksums of some files of a release. listed are all files of
// the release. Complete first reads the lists of several checksums, and then the checksum
// files of single files that still lack one. It skips checksum files that will never be
// readable, and returns an error if another attempt may succeed.
func (c ChecksumFiles) Complete(ctx context.Context, files, listed []catalog.File) error {
	lacks := func(f catalog.File) bool {
		_, isSum := checksumFile(f, listed)
		return f.SHA256 == "" && !isSum
	}
	if !slices.ContainsFunc(files, lacks) {
		return nil
	}
	r := checksumRequests{ChecksumFiles: c, fetch: newFetcher(c.Client)}
	defer r.fetch.close()
	var lists strings.Builder
	for _, f := range listed {
		about, ok := checksumFile(f, listed)
		if about != "" {
			r.single = append(r.single, f)
		} else if ok {
			text, err := r.get(ctx, f.URL)
			if err != nil {
				return err
			}
			lists.WriteString(text + "\n")
		}
	}
	sums := Checksums(lists.String(), "")
	for i := range files {
		f := &files[i]
		if !isAmbiguous(*f, listed) {
			fillChecksum(f, sums[baseName(*f)])
		}
		link := ""
		if lacks(*f) {
			link = r.singleFor(*f, listed)
		}
		if link == "" {
			continue
		}
		text, err := r.get(ctx, link)
		if err != nil {
			return err
		}
		fillChecksum(f, Checksums(text, baseName(*f))[baseName(*f)])
	}
	return nil
}

// checksumRequests are the requests for the checksum files of a release.
type checksumRequests struct {
	ChecksumFiles
	fetch  *fetcher
	single []catalog.File // checksum files of one file each
	n      int            // number of requests
}

// singleFor returns the URL of the checksum file of a file, or "".
func (r *checksumRequests) singleFor(f catalog.File, listed []catalog.File) (link string) {
	for _, sum := range r.single {
		about, _ := checksumFile(sum, listed)
		if about != baseName(f) || isAmbiguous(f, listed) && path.Dir(sum.URL) != path.Dir(f.URL) {
			continue
		}
		if link == "" || strings.Contains(link, "512") {
			link = sum.URL
		}
	}
	if link == "" && r.Guess && f.SHA512 == "" && f.URL != "" && !strings.Contains(f.URL, "?") {
		link = f.URL + ".sha256"
	}
	return link
}

// baseName returns the name of a file in checksum files.
func baseName(f catalog.File) string { return path.Base(f.FileName()) }

// isAmbiguous reports whether another file of the release has the same name.
func isAmbiguous(f catalog.File, listed []catalog.File) bool {
	return slices.ContainsFunc(listed, func(g catalog.File) bool { return g.URL != f.URL && baseName(g) == baseName(f) })
}

// fillChecksum sets the checksums of a file, unless it has a SHA-256.
func fillChecksum(f *catalog.File, sum catalog.File) {
	if f.SHA256 == "" {
		f.SHA256, f.SHA512 = sum.SHA256, cmp.Or(f.SHA512, sum.SHA512)
	}
}

// get returns the text of a checksum file. The text is empty if the file must not be
// requested or will never be readable.
func (r *checksumRequests) get(ctx context.Context, link string) (string, error) {
	u, err := url.Parse(link)
	if err == nil && r.Follow != nil {
		ctx, err = r.Follow(ctx, u)
	}
	if r.n++; err != nil || r.max > 0 && r.n > r.max {
		return "", nil
	}
	var text []byte
	err = attempts(ctx, r.pause, func() error {
		text, err = r.fetch.get(ctx, u, maxChecksumFile)
		return err
	})
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	if fetch.IsTemporary(err) {
		return "", fmt.Errorf("read the checksum file %s: %w", path.Base(u.Path), err)
	}
	return string(text), nil
}
