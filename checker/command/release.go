package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"relcheck/checker/catalog"
	"relcheck/checker/server"
	"relcheck/checker/upstream"
	"relcheck/db"
)

func releaseCommand(streams IO) *cobra.Command {
	return group("release", "Manage the releases of a product.", `
  relcheck release add opa v1.22.2 --date 2026-11-05
  relcheck release import opa releases.json
  relcheck release sync opa
  relcheck release list opa`,
		releaseAdd(streams), releaseList(streams), releaseShow(streams),
		withdrawal(streams, "withdraw", "withdrew", "Stop offering a release.", true),
		withdrawal(streams, "restore", "restored", "Offer a withdrawn or retracted release again.", false), releaseReset(streams),
		releaseImport(streams), releaseSync(streams), releaseExport(streams))
}

// releaseFlags are the flags of relcheck release add.
type releaseFlags struct {
	title, date, notes, body, checksums string
	assets, files                       []string
}

func releaseAdd(streams IO) *cobra.Command {
	var path string
	var flags releaseFlags
	var prerelease bool
	c := &cobra.Command{
		Use:   "add PRODUCT TAG",
		Short: "Add or change a release.",
		Long: `Add or change a release. Fields whose flag is not given stay unchanged. What is set
here takes precedence over imports and syncs. URLs that are not set come from the
product's templates.`,
		Example: `  relcheck release add opa v1.22.2
  relcheck release add myapp 1.3.0 --date 2026-10-01 \
    --notes https://example.com/notes/1.3.0 \
    --asset linux/amd64=https://example.com/1.3.0/myapp-linux-amd64.tar.gz`,
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := flags.patch(args[1], streams.In)
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("prerelease") {
				e.SetPrerelease(prerelease)
			}
			return withStore(cmd.Context(), path, streams, func(s *db.Store) error {
				r, done, err := s.EditRelease(cmd.Context(), args[0], args[1], e)
				if err != nil {
					return explainNotFound(cmd, s, args, flagError(err))
				}
				verb := map[catalog.Outcome]string{catalog.Added: "added", catalog.Changed: "changed", catalog.Unchanged: "nothing to change in"}
				fmt.Fprintf(streams.Err, "%s release %s of %s\n", verb[done], r.Tag, args[0])
				p, err := s.Product(cmd.Context(), args[0])
				if err == nil {
					printLines(streams.Err, p.EditHints(&e, p.Rank([]catalog.Release{r})[0], time.Now()))
				}
				return err
			})
		},
	}
	dbFlag(c, &path)
	c.Flags().StringVar(&flags.title, "title", "", "display `title`")
	c.Flags().StringVar(&flags.notes, "notes", "", "`URL` of the release notes")
	c.Flags().StringVar(&flags.body, "notes-file", "", "`file` with the release notes in Markdown; - for standard input")
	c.Flags().StringVar(&flags.date, "date", "", "`time` of publication: a date or an RFC 3339 time")
	c.Flags().StringArrayVar(&flags.assets, "asset", nil, "`OS/ARCH=URL` of the file for a platform; can be repeated")
	c.Flags().StringArrayVar(&flags.files, "file", nil, "`URL` of a file, whose name determines its platform; can be repeated")
	c.Flags().StringVar(&flags.checksums, "checksums", "", "`file` with the checksums of the files, such as SHA256SUMS")
	c.Flags().BoolVar(&prerelease, "prerelease", false, "offer the release only to clients that run a pre-release (default: depends on upstream and the tag)")
	return c
}

// patch returns the change that the flags describe.
func (f *releaseFlags) patch(tag string, in io.Reader) (e catalog.ReleasePatch, err error) {
	if err := catalog.CheckTag(tag); err != nil {
		return e, flagError(err)
	}
	body, err := readText(f.body, in)
	if err != nil {
		return e, err
	}
	for _, field := range []struct {
		value string
		set   func(string) error
	}{{f.title, e.SetTitle}, {f.notes, e.SetNotes}, {body, e.SetText}, {f.date, e.SetDate}} {
		if field.value != "" {
			if err := field.set(field.value); err != nil {
				return e, flagError(err)
			}
		}
	}
	for _, a := range f.assets {
		platform, url, found := strings.Cut(a, "=")
		if !found {
			return e, usageError("--asset %s: it has no =: use the form OS/ARCH=URL", a)
		}
		if m, ok := errors.AsType[*catalog.FieldError](e.SetAsset(platform, url)); ok {
			return e, usageError("--asset %s: %s", a, m.Text)
		}
	}
	for _, url := range f.files {
		if m, ok := errors.AsType[*catalog.FieldError](e.SetFile(catalog.File{Name: catalog.FileName(url), URL: url})); ok {
			return e, usageError("--file: %s", m.Text)
		}
	}
	sums, err := readText(f.checksums, in)
	if err != nil {
		return e, err
	}
	if f.checksums != "" {
		err = upstream.SetChecksums(&e, sums)
	}
	return e, flagError(err)
}

// readText reads a file, or standard input if its name is "-". Without a name, the text is
// empty.
func readText(name string, in io.Reader) (string, error) {
	if name == "" {
		return "", nil
	}
	file, err := open(name, in)
	if err != nil {
		return "", err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, 1<<20))
	return string(text), err
}

func open(name string, in io.Reader) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(in), nil
	}
	return os.Open(name)
}

func releaseList(streams IO) *cobra.Command {
	return showCommand(streams, &cobra.Command{
		Use:     "list PRODUCT",
		Short:   "List the releases of a product, newest first.",
		Example: `  relcheck release list opa`,
	}, func(ctx context.Context, s *db.Store, args []string, o *output) error {
		p, ranked, err := rankedReleases(ctx, s, args[0])
		if err != nil {
			return err
		}
		if o.asJSON {
			o.value = server.ReleaseList(*p, unranked(ranked), time.Now())
			return nil
		}
		l := &list{heads: []string{"tag", "date", "files", "state"}, none: fmt.Sprintf("product %s has no releases: add them with %s", p.Name, p.AddCommands())}
		allowed, now := p.Range(), time.Now()
		offer := p.Offer(ranked, nil, now)
		for _, r := range ranked {
			date := ""
			if !r.Date.IsZero() {
				date = r.Date.UTC().Format(time.DateOnly)
			}
			state := p.NotOffered(r, allowed, now)
			if r == offer.Latest {
				state = "latest"
			}
			l.row(r.Tag, date, strconv.Itoa(len(r.Files)), state)
		}
		o.add(l)
		o.notes = append(o.notes, p.Hints(ranked, &offer)...)
		return nil
	})
}

func printLines(w io.Writer, lines []string) {
	for _, line := range lines {
		fmt.Fprintln(w, line)
	}
}

func withdrawal(streams IO, verb, done, short string, withdrawn bool) *cobra.Command {
	return existingStoreCommand(&cobra.Command{
		Use:     verb + " PRODUCT TAG",
		Short:   short,
		Example: "  relcheck release " + verb + " opa v1.22.2",
	}, func(ctx context.Context, s *db.Store, args []string) error {
		r, outcome, err := s.Withdraw(ctx, args[0], args[1], withdrawn)
		if outcome == catalog.Unchanged {
			state := map[bool]string{true: "already withdrawn", false: "not withdrawn"}[withdrawn]
			return streams.done(err, "nothing to %s: release %s of %s is %s", verb, r.Tag, args[0], state)
		}
		return streams.done(err, "%s release %s of %s", done, r.Tag, args[0])
	})
}

func releaseReset(streams IO) *cobra.Command {
	return existingStoreCommand(&cobra.Command{
		Use:     "reset PRODUCT TAG",
		Short:   "Remove your changes to a release, so that all values are upstream's.",
		Example: "  relcheck release reset opa v1.22.2",
	}, func(ctx context.Context, s *db.Store, args []string) error {
		r, removed, err := s.ResetRelease(ctx, args[0], args[1])
		if removed {
			return streams.done(err, "removed release %s of %s, which upstream does not list", r.Tag, args[0])
		}
		return streams.done(err, "release %s of %s is as upstream lists it", r.Tag, args[0])
	})
}
