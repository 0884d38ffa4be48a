package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
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

// fetchJob is the fetching of files of a release.
type fetchJob struct {
	release *catalog.Ranked
	files   []catalog.NamedFile
}

func newFileFetcher(s *db.Store, p *catalog.Product, f *mirror.Folder, o fetchOptions, out io.Writer) *fileFetcher {
	return &fileFetcher{store: s, product: p, folder: f, parallel: o.parallel, replace: o.replace, out: out, progress: byteProgress{progress: newProgress(out)},
		fetcher: mirror.Fetcher{Folder: f, Client: fetch.NewClient(), Speed: o.speed.limiter()}}
}

func (f *fileFetcher) close() { f.fetcher.Client.CloseIdleConnections() }

// all fetches the files of releases. It prints and counts files that cannot be fetched. It
// returns errors of the folder and of the store.
func (f *fileFetcher) all(ctx context.Context, jobs []fetchJob) error {
	defer f.progress.clear()
	for _, j := range jobs {
		for _, file := range j.files {
			f.progress.expect(file.Listed.Size)
		}
	}
	g, running := errgroup.WithContext(ctx)
	g.SetLimit(f.parallel)
	for _, j := range jobs {
		err := f.addChecksums(running, j)
		if running.Err() != nil {
			break
		}
		for _, file := range j.files {
			if err != nil && !file.Listed.HasChecksum() {
				f.fail(running, j.release.Tag, file.Name, err)
				continue
			}
			g.Go(func() error { return f.file(running, j.release.Tag, file) })
		}
	}
	err := g.Wait()
	if ctx.Err() != nil {
		return errors.New("interrupted: run the command again to continue")
	}
	return err
}

// addChecksums adds the checksums in upstream's checksum files to the files of a release,
// except to verified ones. The error is about files without a checksum.
func (f *fileFetcher) addChecksums(ctx context.Context, j fetchJob) error {
	files := make([]catalog.File, len(j.files))
	for i, file := range j.files {
		files[i] = file.Listed
		if h := file.Hosted; file.State == catalog.FileHosted && h.Verified {
			files[i].SHA256, files[i].SHA512 = h.SHA256, h.SHA512
		}
	}
	sums := upstream.ChecksumFiles{Client: f.fetcher.Client, Guess: true}
	err := sums.Complete(ctx, files, j.release.NamedFiles(f.product).Listed())
	for i := range files {
		j.files[i].Listed = files[i]
	}
	return err
}

// file fetches a file.
func (f *fileFetcher) file(ctx context.Context, tag string, file catalog.NamedFile) error {
	c, kept, err := f.content(ctx, &file)
	if err != nil {
		return f.fail(ctx, tag, file.Name, err)
	}
	return f.host(ctx, tag, &file, c, kept)
}

// content returns the content of a file, and reports whether the file had it before.
func (f *fileFetcher) content(ctx context.Context, file *catalog.NamedFile) (c mirror.Content, kept bool, err error) {
	listed := &file.Listed
	state := file.Hosted.State(listed)
	if file.Hosted != nil {
		c = mirror.ContentOf(file.Hosted)
	}
	has := state == catalog.FileHosted && f.folder.Has(c)
	switch {
	case state == catalog.FileChanged && !f.replace:
		return c, false, errors.New("upstream has changed it under the same name, so it is not served: find out why, then fetch it again with --replace")
	case has && (file.Hosted.Verified || listed.SHA256 != "" || !f.replace):
		return c, true, nil
	case state == catalog.FileDamaged && f.folder.Has(c):
		if err := f.folder.Verify(ctx, c.SHA256); err != nil && f.folder.Has(c) { // Verify could not move it
			return c, false, err
		}
	}
	stored, last := c.SHA256, int64(0)
	c, err = f.fetcher.Fetch(ctx, *listed, func(size int64) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.progress.add(size - last)
		last = size
	})
	return c, has && c.SHA256 == stored, err
}

// host stores that a file is hosted, and prints it.
func (f *fileFetcher) host(ctx context.Context, tag string, file *catalog.NamedFile, c mirror.Content, kept bool) error {
	listed := &file.Listed
	h := catalog.HostedFile{Name: file.Name, URL: listed.URL, SHA256: c.SHA256, SHA512: listed.SHA512, Size: c.Size, Verified: listed.HasChecksum(), Fetched: time.Now()}
	if kept { // upstream may have had no checksum when it was fetched
		h = *file.Hosted
		h.Verified = h.Verified || listed.SHA256 == c.SHA256
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
		text += fmt.Sprintf("; already there: %d", f.kept)
	}
	if f.unverified > 0 {
		text += fmt.Sprintf("; unverified: %d", f.unverified)
	}
	fmt.Fprintln(f.out, text)
	if f.failed > 0 {
		return fmt.Errorf("%s could not be fetched", count(int64(f.failed), "file"))
	}
	return nil
}
