package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"relcheck/checker/catalog"
	"relcheck/checker/fetch"
	"relcheck/checker/mirror"
	"relcheck/checker/stats"
	"relcheck/checker/upstream"
	"relcheck/db"
)

// fileFetcher fetches files of releases of a product and stores that they are hosted.
type fileFetcher struct {
	store    *db.Store
	product  *catalog.Product
	folder   *mirror.Folder
	fetcher  mirror.Fetcher
	parallel int
	replace  bool

	mu                                sync.Mutex // for the fields below
	out                               io.Writer
	progress                          byteProgress
	fetched, kept, unverified, failed int
	size                              int64 // of the fetched files
}

// fetchJob is the fetching of the files of a release.
type fetchJob struct {
	release *catalog.Ranked
	selection
	texts map[string]string // contents of its checksum files, by their names
}

func newFileFetcher(s *db.Store, p *catalog.Product, f *mirror.Folder, o fetchOptions, out io.Writer) *fileFetcher {
	return &fileFetcher{store: s, product: p, folder: f, parallel: o.parallel, replace: o.replace, out: out, progress: byteProgress{progress: newProgress(out)},
		fetcher: mirror.Fetcher{Folder: f, Client: fetch.NewClient(), Speed: o.speed.limiter()}}
}

func (f *fileFetcher) close() { f.fetcher.Client.CloseIdleConnections() }

// all fetches the checksum files of releases, and then their other files. It prints and
// counts files that cannot be fetched. It returns errors of the folder and of the store.
func (f *fileFetcher) all(ctx context.Context, jobs []fetchJob) error {
	defer f.progress.clear()
	for _, j := range jobs {
		for _, file := range j.files {
			f.progress.expect(file.Listed.Size)
		}
	}
	sums, files := f.group(ctx), f.group(ctx)
	for i := range jobs {
		jobs[i].texts = map[string]string{}
		for _, sum := range jobs[i].sums {
			sums.Go(func(ctx context.Context) error { return f.sumFile(ctx, &jobs[i], sum) })
		}
	}
	err := sums.Wait()
	for i := range jobs {
		for _, file := range jobs[i].files {
			if err == nil {
				files.Go(func(ctx context.Context) error { return f.file(ctx, &jobs[i], file) })
			}
		}
	}
	if err = cmp.Or(err, files.Wait()); err != nil && ctx.Err() != nil {
		return errors.New("interrupted: run the command again to continue")
	}
	return err
}

// fetchGroup runs functions at the same time. Its context ends with the first error.
type fetchGroup struct {
	*errgroup.Group
	ctx context.Context
}

func (f *fileFetcher) group(ctx context.Context) fetchGroup {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(f.parallel)
	return fetchGroup{g, ctx}
}

func (g fetchGroup) Go(run func(ctx context.Context) error) {
	g.Group.Go(func() error { return run(g.ctx) })
}

// sumFile fetches a checksum file.
func (f *fileFetcher) sumFile(ctx context.Context, j *fetchJob, sum catalog.NamedFile) error {
	digests := mirror.Digests{SHA256: sum.Listed.SHA256, SHA512: sum.Listed.SHA512}
	c, kept, err := f.content(ctx, &sum, digests)
	if sum.Listed.MediaType == guessed && err != nil && !fatal(ctx, err) {
		return nil // upstream probably has none
	}
	text := ""
	if err == nil {
		text, err = f.text(c)
	}
	if err != nil {
		return f.fail(ctx, j.release.Tag, sum.Name, err)
	}
	if sum.Listed.MediaType == guessed && len(upstream.Checksums(text, "any")) == 0 { // for example a page that reports a missing file
		return nil
	}
	f.mu.Lock()
	j.texts[sum.Name] = text
	f.mu.Unlock()
	return f.host(ctx, j.release.Tag, &sum, c, digests, kept)
}

// text returns the content of a checksum file.
func (f *fileFetcher) text(c mirror.Content) (string, error) {
	const limit = 1 << 20
	if c.Size > limit {
		return "", fmt.Errorf("it has %d bytes, which is too large for a checksum file", c.Size)
	}
	file, err := f.folder.Get(c.SHA256)
	if err != nil {
		return "", err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, limit))
	return string(text), err
}

// file fetches another file.
func (f *fileFetcher) file(ctx context.Context, j *fetchJob, file catalog.NamedFile) error {
	digests, err := j.digests(file)
	var c mirror.Content
	var kept bool
	if err == nil {
		c, kept, err = f.content(ctx, &file, digests)
	}
	if err != nil {
		return f.fail(ctx, j.release.Tag, file.Name, err)
	}
	return f.host(ctx, j.release.Tag, &file, c, digests, kept)
}

// digests returns the checksums of a file from upstream's list and checksum files.
func (j *fetchJob) digests(file catalog.NamedFile) (mirror.Digests, error) {
	known := mirror.Digests{SHA256: file.Listed.SHA256, SHA512: file.Listed.SHA512}
	for sumFile, text := range j.texts {
		found := sumsIn(text, sumFile, file.Name)
		if known.SHA256 != "" && found.SHA256 != "" && known.SHA256 != found.SHA256 || known.SHA512 != "" && found.SHA512 != "" && known.SHA512 != found.SHA512 {
			return known, fmt.Errorf("upstream has two different checksums for it, one of them in %s: it was not fetched", sumFile)
		}
		known = mirror.Digests{SHA256: cmp.Or(known.SHA256, found.SHA256), SHA512: cmp.Or(known.SHA512, found.SHA512)}
	}
	return known, nil
}

// sumsIn returns the checksums of a file in the text of a checksum file.
func sumsIn(text, sumFile, name string) mirror.Digests {
	alone, _ := upstream.ChecksumFile(sumFile, func(other string) bool { return other == name })
	if alone == "" && strings.Contains(sumFile+name, "/") { // a list does not tell apart files of the same name
		return mirror.Digests{}
	}
	f := upstream.Checksums(text, alone)[path.Base(name)]
	return mirror.Digests{SHA256: f.SHA256, SHA512: f.SHA512}
}

// content returns the content of a file, and reports whether it was hosted before.
func (f *fileFetcher) content(ctx context.Context, file *catalog.NamedFile, want mirror.Digests) (c mirror.Content, kept bool, err error) {
	listed := file.Listed
	listed.SHA256, listed.SHA512 = want.SHA256, want.SHA512
	state := file.Hosted.State(&listed)
	if file.Hosted != nil {
		c = mirror.Content{SHA256: file.Hosted.SHA256, Size: file.Hosted.Size}
	}
	switch {
	case state == catalog.FileChanged && !f.replace:
		return c, false, errors.New("upstream has changed it under the same name, so it is not served: find out why, then fetch it again with --replace")
	case state == catalog.FileHosted && f.folder.Has(c):
		return c, true, nil
	case state == catalog.FileDamaged && f.folder.Has(c):
		if err := f.folder.Verify(ctx, c.SHA256); err != nil && f.folder.Has(c) { // Verify could not move it
			return c, false, err
		}
	}
	last := int64(0)
	c, err = f.fetcher.Fetch(ctx, mirror.Source{URL: listed.URL, Size: listed.Size, Digests: want}, func(size int64) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.progress.add(size - last)
		last = size
	})
	return c, false, err
}

// host stores that a file is hosted, and prints it.
func (f *fileFetcher) host(ctx context.Context, tag string, file *catalog.NamedFile, c mirror.Content, want mirror.Digests, kept bool) error {
	h := catalog.HostedFile{Name: file.Name, URL: file.Listed.URL, SHA256: c.SHA256, SHA512: want.SHA512, Size: c.Size, Verified: want.Known(), Fetched: time.Now()}
	if kept { // upstream may have had no checksum when it was fetched
		h = *file.Hosted
		h.Verified = h.Verified || want.SHA256 == c.SHA256
	}
	if !kept || h.Verified != file.Hosted.Verified {
		release, err := f.folder.Hold(ctx, c)
		if err != nil {
			return err
		}
		defer release()
		if err := f.store.HostFile(ctx, f.product.Name, tag, h); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !h.Verified {
		f.unverified++
	}
	if kept {
		f.kept++
		return nil
	}
	f.fetched++
	f.size += c.Size
	f.print(tag, file.Name, stats.ShowBytes(float64(c.Size))+", "+verifiedText(h.Verified))
	return nil
}

// print prints a line about a file. f.mu must be locked.
func (f *fileFetcher) print(tag, name, text string) {
	f.progress.clear()
	fmt.Fprintf(f.out, "%s %s: %s: %s\n", f.product.Name, tag, masked(name), masked(text))
}

// fatal reports whether an error affects all files.
func fatal(ctx context.Context, err error) bool {
	return ctx.Err() != nil || errors.Is(err, syscall.ENOSPC) || errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)
}

// fail prints and counts a file that cannot be fetched. It returns errors that affect all
// files.
func (f *fileFetcher) fail(ctx context.Context, tag, name string, err error) error {
	if fatal(ctx, err) {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failed++
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: upstream does not have it", err)
	}
	f.print(tag, name, err.Error())
	return nil
}

// summary prints the result. The error contains the number of files that could not be
// fetched.
func (f *fileFetcher) summary() error {
	text := fmt.Sprintf("%s: fetched %s", f.product.Name, count(int64(f.fetched), "file"))
	if f.fetched > 0 {
		text += ", " + stats.ShowBytes(float64(f.size))
	}
	if f.kept > 0 {
		text += fmt.Sprintf("; %d were there already", f.kept)
	}
	if f.unverified > 0 {
		text += fmt.Sprintf("; %d are unverified", f.unverified)
	}
	fmt.Fprintln(f.out, text)
	if f.failed > 0 {
		return fmt.Errorf("%s could not be fetched", count(int64(f.failed), "file"))
	}
	return nil
}
