package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"relcheck/checker/catalog"
	"relcheck/checker/mirror"
	"relcheck/checker/stats"
	"relcheck/db"
)

func fileAdd(streams IO) *cobra.Command {
	var name string
	c := &cobra.Command{
		Use:   "add PRODUCT TAG PATH",
		Short: "Add a file to a release, so that the service offers it for download.",
		Long: `Add a file to a release by hand, for example one that was built here or brought on a
medium. If upstream has a checksum for this name, the file must match it.`,
		Example: `  relcheck file add myapp v1.2.3 ./myapp_linux_amd64.tar.gz \
    --files /srv/relcheck
  relcheck file add myapp v1.2.3 ./build/out --name myapp_linux_amd64 \
    --files /srv/relcheck`,
	}
	c.Flags().StringVar(&name, "name", "", "`name` of the file in the release (default: that of PATH)")
	return filesCommand(c, func(ctx context.Context, s *db.Store, folder string, args []string) error {
		if name == "" {
			name = filepath.Base(args[2])
		}
		if args[2] == "-" && name == "-" {
			return usageError("missing --name: standard input has no name")
		}
		r, _, err := s.Release(ctx, args[0], args[1])
		if err != nil {
			return err
		}
		file, err := openToAdd(args[2], streams.In)
		if err != nil {
			return err
		}
		defer file.Close()
		p, err := s.Product(ctx, args[0])
		if err != nil {
			return err
		}
		want, err := listedFile(p.NamedFiles(&r), name)
		if err != nil {
			return err
		}
		h := catalog.HostedFile{Name: name, SHA256: strings.Repeat("0", 64), SHA512: want.SHA512, Verified: want.HasChecksum(), Fetched: time.Now()}
		if m, ok := errors.AsType[*catalog.FieldError](h.Check()); ok { // of the name, before a large file is read
			return usageError("--name: %s", m.Text)
		}
		return withFolder(ctx, s, folder, true, func(f *mirror.Folder) error {
			content, err := f.Add(ctx, file, want)
			switch {
			case errors.Is(err, mirror.ErrMismatch):
				return fmt.Errorf("add %s: it differs from upstream's file of this name: %w: add the right file, or give another --name", name, err)
			case err != nil:
				return explainDisk(err)
			}
			h.SHA256, h.Size = content.SHA256, content.Size
			release, err := f.Hold(ctx, content)
			if err != nil {
				return err
			}
			defer release()
			if err := s.HostFile(ctx, args[0], r.Tag, h); err != nil {
				return err
			}
			fmt.Fprintf(streams.Err, "%s %s: added %s: %s, %s\n", args[0], r.Tag, name, stats.ShowBytes(float64(h.Size)), verifiedText(h.Verified))
			if r, _, err = s.Release(ctx, args[0], r.Tag); err != nil {
				return err
			}
			printLines(streams.Err, p.HostedHints(&r, name))
			printServing(streams.Err, f, folder)
			return nil
		})
	})
}

// listedFile returns the file of a release with a name, which is empty if it is not listed. It
// returns an error if the name stands for several files.
func listedFile(files catalog.NamedFiles, name string) (listed catalog.File, err error) {
	var others []string
	for _, f := range files {
		if f.Name == name {
			return f.Listed, nil
		}
		if path.Base(f.Name) == name {
			others = append(others, f.Name)
		}
	}
	if others != nil {
		return listed, usageError("the release has several files of the name %s: give --name, one of %s", name, strings.Join(others, ", "))
	}
	return listed, nil
}

// openToAdd opens a file, or standard input if its name is "-".
func openToAdd(name string, in io.Reader) (io.ReadCloser, error) {
	if info, err := os.Stat(name); name != "-" && err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file: give the path of one file", name)
	}
	return open(name, in)
}

func verifiedText(verified bool) string {
	if verified {
		return "verified"
	}
	return "unverified"
}

// hostedFile is a hosted file in JSON.
type hostedFile struct {
	Product string  `json:"product"`
	Version string  `json:"version"` // tag of the release
	Name    string  `json:"name"`
	Size    int64   `json:"size"`    // in bytes
	Hosted  string  `json:"hosted"`  // its state
	Damaged *string `json:"damaged"` // since when, or null
	SHA256  string  `json:"sha256"`
}

func fileList(streams IO) *cobra.Command {
	return showCommand(streams, &cobra.Command{
		Use:   "list [PRODUCT]",
		Short: "List the files that the service offers for download.",
		Long: `List the files that the service offers for download, newest releases first. A verified
file matched upstream's checksum. A file is neither linked nor served if it is damaged, or if
upstream has changed it under the same name.`,
		Example: `  relcheck file list
  relcheck file list opa`,
	}, func(ctx context.Context, s *db.Store, args []string, o *output) error {
		names, err := productsOrAll(ctx, s, args)
		if err != nil {
			return err
		}
		l := &list{name: "files", heads: []string{"product", "release", "file", "size", "state", "SHA-256"}, omitted: []string{"SHA-256"},
			none: "there are no files: add some with relcheck file fetch, relcheck file add or relcheck bundle apply"}
		for _, name := range names {
			p, ranked, err := rankedReleases(ctx, s, name)
			if err != nil {
				return err
			}
			for _, r := range ranked {
				if len(r.Hosted) == 0 {
					continue
				}
				for _, f := range r.NamedFiles(p) {
					h, state := f.Hosted, f.Status()
					if h == nil {
						continue
					}
					l.item(hostedFile{name, r.Tag, f.Name, h.Size, state, jsonTime(h.Damaged), h.SHA256})
					if f.State == catalog.FileDamaged {
						state += " since " + h.Damaged.Format(time.DateOnly)
					}
					l.row(name, r.Tag, f.Name, stats.ShowBytes(float64(h.Size)), state, h.SHA256)
				}
			}
		}
		o.add(l)
		return nil
	})
}

// productsOrAll returns the given product names, or the names of all products if none is
// given.
func productsOrAll(ctx context.Context, s *db.Store, names []string) ([]string, error) {
	if len(names) > 0 {
		return slices.Compact(slices.Sorted(slices.Values(names))), nil
	}
	products, err := s.Products(ctx)
	for _, p := range products {
		names = append(names, p.Name)
	}
	return names, err
}

func filePrune(streams IO) *cobra.Command {
	var keep int
	var dryRun bool
	c := &cobra.Command{
		Use:   "prune [PRODUCT] --keep N",
		Short: "Remove the files of old releases.",
		Long: `Remove the files of all releases except the newest N of the product and of each of its
channels. Files of releases that answers name are never removed. Content that no release
needs any more is removed from the folder, unless it was stored within the last hour.`,
		Example: `  relcheck file prune --keep 3 --dry-run --files /srv/relcheck
  relcheck file prune opa --keep 3 --files /srv/relcheck`,
	}
	c.Flags().IntVar(&keep, "keep", 0, "`number` of the newest releases whose files stay")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "show what would be removed, and remove nothing")
	return filesCommand(c, func(ctx context.Context, s *db.Store, folder string, args []string) error {
		if keep < 1 {
			return usageError("--keep: give the number of the newest releases whose files stay, at least 1")
		}
		names, err := productsOrAll(ctx, s, args)
		if err != nil {
			return err
		}
		return withFolder(ctx, s, folder, false, func(f *mirror.Folder) error {
			for _, name := range names {
				if err := unhostOld(ctx, s, name, keep, dryRun, streams.Err); err != nil {
					return err
				}
			}
			if dryRun {
				fmt.Fprintln(streams.Err, "nothing was removed, because of --dry-run")
				return nil
			}
			n, size, err := f.Prune(ctx, func() (map[string]bool, error) { return s.HostedContents(ctx) })
			if errors.Is(err, mirror.ErrInUse) {
				return fmt.Errorf("%w: run the command again when it has finished", err)
			}
			fmt.Fprintf(streams.Err, "removed %s from the folder, %s\n", count(int64(n), "content"), stats.ShowBytes(float64(size)))
			return err
		})
	})
}

// unhostOld removes the files of a product's releases that are not among the newest.
func unhostOld(ctx context.Context, s *db.Store, name string, keep int, dryRun bool, w io.Writer) error {
	p, ranked, err := rankedReleases(ctx, s, name)
	if err != nil {
		return err
	}
	kept := p.Newest(ranked, keep, time.Now())
	for _, r := range ranked {
		if len(r.Hosted) == 0 || slices.Contains(kept, r) {
			continue
		}
		size := int64(0)
		for _, f := range r.Hosted {
			if size += f.Size; dryRun {
				continue
			}
			if err := s.UnhostFile(ctx, name, r.Tag, f.Name); err != nil && !errors.Is(err, db.ErrNotFound) {
				return err
			}
		}
		verb := "removed"
		if dryRun {
			verb = "would remove"
		}
		fmt.Fprintf(w, "%s %s: %s %s, %s\n", name, r.Tag, verb, count(int64(len(r.Hosted)), "file"), stats.ShowBytes(float64(size)))
	}
	return nil
}
