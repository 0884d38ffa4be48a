package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"relcheck/checker/catalog"
	"relcheck/checker/fetch"
	"relcheck/checker/mirror"
	"relcheck/checker/stats"
	"relcheck/db"
)

func fileVerify(streams IO) *cobra.Command {
	var repair bool
	c := &cobra.Command{
		Use:   "verify",
		Short: "Read all files, and report damaged and missing ones.",
		Long: `Read all files and compare them with their SHA-256. The command reports files that are
damaged, missing or cannot be read. Damaged files are no longer linked or served, and their
content is moved to the subfolder damaged. The exit status is 1 if a file is not sound.

--repair fetches these files again from upstream. If upstream cannot be reached, apply their
bundle again.`,
		Example: `  relcheck file verify --files /srv/relcheck
  relcheck file verify --repair --files /srv/relcheck`,
	}
	c.Flags().BoolVar(&repair, "repair", false, "fetch damaged and missing files again")
	return filesCommand(c, func(ctx context.Context, s *db.Store, folder string, _ []string) error {
		return withFolder(ctx, s, folder, false, func(f *mirror.Folder) error {
			v := verification{store: s, folder: f, out: streams.Err, progress: byteProgress{progress: newProgress(streams.Err)}, hosted: map[string][]db.HostedFile{}}
			if repair {
				v.fetcher = &mirror.Fetcher{Folder: f, Client: fetch.NewClient()}
			}
			err := v.run(ctx)
			v.progress.clear()
			if err != nil && ctx.Err() != nil {
				return errors.New("interrupted: run the command again to verify all files")
			}
			if err != nil {
				return explainDisk(err)
			}
			return v.summary()
		})
	})
}

// verification reads the contents of a folder.
type verification struct {
	store    *db.Store
	folder   *mirror.Folder
	fetcher  *mirror.Fetcher // to repair, or nil
	out      io.Writer
	progress byteProgress

	hosted               map[string][]db.HostedFile // by SHA-256
	sound, bad, repaired int
	size                 int64
}

func (v *verification) run(ctx context.Context) error {
	sizes := map[string]int64{}
	for f, err := range v.store.HostedFiles(ctx) {
		if err != nil {
			return err
		}
		v.hosted[f.SHA256] = append(v.hosted[f.SHA256], f)
		sizes[f.SHA256] = f.Size
	}
	for c, err := range v.folder.All() {
		if err != nil {
			return err
		}
		sizes[c.SHA256] = c.Size
	}
	sums := make([]string, 0, len(sizes))
	for sum, size := range sizes {
		v.progress.total += size
		sums = append(sums, sum)
	}
	slices.Sort(sums)
	for _, sum := range sums {
		if err := v.content(ctx, sum, sizes[sum]); err != nil {
			return err
		}
		v.progress.add(sizes[sum])
	}
	return nil
}

// content verifies a content, and stores and prints the result.
func (v *verification) content(ctx context.Context, sum string, size int64) error {
	err := v.folder.Verify(ctx, sum)
	if ctx.Err() != nil {
		return err
	}
	v.size += size
	if err == nil {
		v.sound++
		return v.mark(ctx, sum, time.Time{}, "sound again")
	}
	v.bad++
	switch text := err.Error(); {
	case len(v.hosted[sum]) == 0:
		v.print("content "+sum+" of no release", text)
		return nil
	case errors.Is(err, mirror.ErrDamaged):
		err = v.mark(ctx, sum, time.Now(), text)
	default: // that this folder does not have it, or cannot be read, does not concern other servers
		if errors.Is(err, fs.ErrNotExist) {
			text = "missing in the folder"
		}
		for _, f := range v.hosted[sum] {
			v.print(fileText(f), text)
		}
		err = nil
	}
	if err != nil || v.fetcher == nil {
		return err
	}
	return v.repair(ctx, sum)
}

// mark records whether the files with a content are damaged. It prints each file that is
// damaged or whose state has changed.
func (v *verification) mark(ctx context.Context, sum string, damaged time.Time, text string) error {
	changed := false
	for _, f := range v.hosted[sum] {
		if differs := f.Damaged.IsZero() != damaged.IsZero(); differs || !damaged.IsZero() {
			changed = changed || differs
			v.print(fileText(f), text)
		}
	}
	if !changed {
		return nil
	}
	return v.store.MarkDamaged(ctx, sum, damaged)
}

func fileText(f db.HostedFile) string { return f.Product + " " + f.Tag + ": " + f.Name }

// repair fetches a content again.
func (v *verification) repair(ctx context.Context, sum string) error {
	err := errors.New("no link to it is known: add it again with relcheck file add, or apply its bundle again")
	for _, f := range v.hosted[sum] {
		link, findErr := v.link(ctx, f)
		if findErr != nil {
			return findErr
		}
		if link == "" {
			continue
		}
		_, err = v.fetcher.Fetch(ctx, catalog.File{URL: link, Size: f.Size, SHA256: sum}, nil)
		if err == nil {
			v.repaired++
			for i := range v.hosted[sum] {
				v.hosted[sum][i].Damaged = time.Now()
			}
			return v.mark(ctx, sum, time.Time{}, "fetched again")
		}
		if fatal(ctx, err) {
			return err
		}
	}
	v.print(fileText(v.hosted[sum][0]), "cannot be repaired: "+err.Error())
	return nil
}

// link returns the link to a file, or "".
func (v *verification) link(ctx context.Context, f db.HostedFile) (string, error) {
	p, err := v.store.Product(ctx, f.Product)
	if err != nil {
		return "", err
	}
	r, _, err := v.store.Release(ctx, f.Product, f.Tag)
	if err != nil {
		return "", err
	}
	if named := p.NamedFiles(&r).Named(f.Name); named != nil && named.Listed.URL != "" {
		return named.Listed.URL, nil
	}
	return f.URL, nil
}

func (v *verification) print(what, text string) {
	v.progress.clear()
	fmt.Fprintf(v.out, "%s: %s\n", masked(what), masked(text))
}

// summary prints the result. The error contains the number of damaged files.
func (v *verification) summary() error {
	text := fmt.Sprintf("read %s, %s: %d sound, %d damaged or missing", count(int64(v.sound+v.bad), "file"), stats.ShowBytes(float64(v.size)), v.sound, v.bad)
	if v.repaired > 0 {
		text += fmt.Sprintf(", %d of them fetched again", v.repaired)
	}
	fmt.Fprintln(v.out, text)
	switch left := v.bad - v.repaired; {
	case left > 0 && v.fetcher == nil:
		return fmt.Errorf("%s damaged or missing: fetch again with --repair", count(int64(left), "file"))
	case left > 0:
		return fmt.Errorf("%s damaged or missing", count(int64(left), "file"))
	}
	return nil
}
