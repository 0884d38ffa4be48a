package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"relcheck/checker/catalog"
)

// Limits of the checksum files that one call of [Reader.Read] requests.
const (
	maxChecksumFile     = 1 << 20 // bytes
	maxChecksumReleases = 100
	maxChecksumFiles    = 50 // of a release
)

// checksumReader adds the checksums in the checksum files of releases to a list.
type checksumReader struct {
	*Reader
	Source
	api   string
	fetch *fetcher
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
			err := c.read(ctx, e.Upstream.Files)
			mu.Lock()
			defer mu.Unlock()
			if done++; err != nil { // do not delay other releases if the server fails
				stillPending = append(stillPending, e.Tag)
			}
			c.Progress(fmt.Sprintf("checksums of %d of %d releases", done, len(due)))
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

// read reads the checksum files of a release. It first reads the lists of several
// checksums, and then the checksum files of single files that still lack one.
func (c *checksumReader) read(ctx context.Context, files []catalog.File) error {
	var sums strings.Builder
	single := map[string]catalog.File{} // by the name of the file that it describes
	requests := 0
	for _, f := range files {
		switch about, ok := checksumFile(f, files); {
		case !ok:
		case about != "":
			if old, ok := single[about]; !ok || strings.Contains(old.Name, "512") {
				single[about] = f
			}
		case requests < maxChecksumFiles:
			requests++
			text, err := c.get(ctx, f)
			if err != nil {
				return err
			}
			sums.WriteString(text + "\n")
		}
	}
	fillChecksums(files, Checksums(sums.String(), ""))
	for i, f := range files {
		sum, ok := single[f.Name]
		if !ok || f.SHA256 != "" || requests >= maxChecksumFiles {
			continue
		}
		requests++
		text, err := c.get(ctx, sum)
		if err != nil {
			return err
		}
		fillChecksums(files[i:i+1], Checksums(text, f.Name))
	}
	return nil
}

// checksumFile reports whether a file of a release is a checksum file that can be read. If
// it describes a single file, checksumFile returns the name of that file. See
// [ChecksumFile].
func checksumFile(f catalog.File, files []catalog.File) (about string, ok bool) {
	about, ok = ChecksumFile(f.Name, func(name string) bool {
		return slices.ContainsFunc(files, func(f catalog.File) bool { return f.Name == name })
	})
	return about, ok && f.URL != ""
}

// fillChecksums sets the checksums of files that have none.
func fillChecksums(files []catalog.File, sums map[string]catalog.File) {
	for i := range files {
		f := &files[i]
		if sum := sums[f.Name]; f.SHA256 == "" {
			f.SHA256 = sum.SHA256
			if f.SHA512 == "" {
				f.SHA512 = sum.SHA512
			}
		}
	}
}

// get returns the text of a checksum file. The text is empty if the file must not be
// requested or will never be readable. get sends no token.
func (c *checksumReader) get(ctx context.Context, f catalog.File) (string, error) {
	u, err := url.Parse(f.URL)
	if err != nil || !c.mayRequest(ctx, u) {
		return "", nil
	}
	var text []byte
	err = attempts(ctx, c.pause, func() error {
		text, err = c.fetch.get(ctx, u, maxChecksumFile)
		return err
	})
	if passing := (transient{}); err == nil || ctx.Err() != nil || errors.As(err, &passing) {
		return string(text), err
	}
	return "", nil
}

// mayRequest reports whether a URL from an API's answer may be requested. The rules are the
// same as for redirects: no plain HTTP if the API has HTTPS, and no private address if the
// API has a public one.
func (c *checksumReader) mayRequest(ctx context.Context, u *url.URL) bool {
	api, err := url.Parse(c.api)
	if err != nil || u.Scheme != "https" && u.Scheme != api.Scheme {
		return false
	}
	return u.Hostname() == api.Hostname() || !private(ctx, u.Hostname()) || private(ctx, api.Hostname())
}
