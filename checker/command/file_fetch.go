package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/time/rate"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/mirror"
	"relcheck/db"
)

// fetchOptions are the flags of relcheck file fetch.
type fetchOptions struct {
	latest    int
	platforms []string
	speed     speedFlag
	parallel  int
	replace   bool
}

func fileFetch(streams IO) *cobra.Command {
	o := fetchOptions{parallel: 4}
	c := &cobra.Command{
		Use:   "fetch PRODUCT [TAG…]",
		Short: "Fetch the files of releases, so that the service offers them for download.",
		Long: `Fetch the files of releases that answers link to into the folder of relcheck serve --files.
The server then links to its own copies. Files that are for no platform, such as checksums,
signatures and documentation, are fetched too. Without TAG, the command fetches the releases
that answers name now, in all channels. --latest adds older ones.

Each file is compared with upstream's checksum. A file without a checksum is stored, and is
shown as unverified. Stored files are not fetched again. Interrupted downloads continue.`,
		Example: `  relcheck file fetch myapp --files /srv/relcheck
  relcheck file fetch opa --latest 3 --platform linux/amd64,darwin/arm64 \
    --files /srv/relcheck
  relcheck file fetch myapp v1.2.3 v1.2.4 --files /srv/relcheck --speed 5MB`,
		Args: func(cmd *cobra.Command, args []string) error { return checkArgs(cmd, args[:min(1, len(args))]) },
	}
	c.Flags().IntVar(&o.latest, "latest", 0, "`number` of the newest releases to fetch, in each channel (default: 1)")
	c.Flags().StringSliceVar(&o.platforms, "platform", nil, "`OS/ARCH` of the files that are for a platform, separated by commas (default: all of the release)")
	c.Flags().Var(&o.speed, "speed", "maximum `bytes` a second, such as 500KB or 10MB (default: unlimited)")
	c.Flags().IntVar(&o.parallel, "parallel", o.parallel, "`number` of files to fetch at the same time")
	c.Flags().BoolVar(&o.replace, "replace", false, "replace files that upstream has changed under the same name, and fetch unverified files again to compare them")
	return filesCommand(c, func(ctx context.Context, s *db.Store, folder string, args []string) error {
		platforms, err := parsePlatforms(o.platforms)
		switch {
		case err != nil:
			return usageError("--platform: %w", err)
		case o.latest < 0:
			return usageError("--latest %d: enter a positive number", o.latest)
		case o.latest > 0 && len(args) > 1:
			return usageError("give tags or --latest, not both")
		case o.parallel < 1 || o.parallel > maxParallel:
			return usageError("--parallel %d: enter a number from 1 to %d", o.parallel, maxParallel)
		}
		p, releases, err := releasesToFetch(ctx, s, args[0], args[1:], max(o.latest, 1))
		if err != nil {
			return err
		}
		jobs, err := fetchPlan(p, releases, platforms, func(format string, args ...any) { fmt.Fprintf(streams.Err, format+"\n", args...) })
		if err != nil {
			return err
		}
		return withFolder(ctx, s, folder, true, func(f *mirror.Folder) error {
			fetch := newFileFetcher(s, p, f, o, streams.Err)
			defer fetch.close()
			if err := fetch.all(ctx, jobs); err != nil {
				return explainDisk(err)
			}
			err := fetch.summary()
			printServing(streams.Err, f, folder)
			return err
		})
	})
}

// maxParallel is the maximum of --parallel: servers limit the connections of a client.
const maxParallel = 32

// parsePlatforms parses the values of the flag --platform.
func parsePlatforms(texts []string) (platforms []checker.Platform, err error) {
	for _, text := range texts {
		p, err := checker.ParsePlatform(strings.TrimSpace(text))
		if err != nil {
			return nil, err
		}
		if !slices.Contains(platforms, p) {
			platforms = append(platforms, p)
		}
	}
	return platforms, nil
}

// releasesToFetch returns the releases with the given tags, or the newest releases if there
// are no tags.
func releasesToFetch(ctx context.Context, s *db.Store, product string, tags []string, latest int) (*catalog.Product, []*catalog.Ranked, error) {
	p, ranked, err := rankedReleases(ctx, s, product)
	if err != nil {
		return nil, nil, err
	}
	if len(tags) == 0 {
		newest := p.Newest(ranked, latest, time.Now())
		if len(newest) == 0 {
			return nil, nil, fmt.Errorf("product %s has no release that answers can name: add some with %s, or name a tag", product, p.AddCommands())
		}
		return p, newest, nil
	}
	var releases []*catalog.Ranked
	for _, tag := range tags {
		found, _, err := s.Release(ctx, product, tag) // also without the v of the tag
		if err != nil {
			return nil, nil, err
		}
		i := slices.IndexFunc(ranked, func(r *catalog.Ranked) bool { return r.Tag == found.Tag })
		if i >= 0 && !slices.Contains(releases, ranked[i]) {
			releases = append(releases, ranked[i])
		}
	}
	return p, releases, nil
}

// fetchPlan returns what to fetch, and prints the releases and platforms without a link. It
// returns an error if no release has a link.
func fetchPlan(p *catalog.Product, releases []*catalog.Ranked, platforms []checker.Platform, print func(format string, args ...any)) (jobs []fetchJob, err error) {
	missing, known := map[checker.Platform]int{}, p.Download != ""
	for _, r := range releases {
		s := selectFiles(p, r, platforms)
		for _, platform := range s.missing {
			missing[platform]++
		}
		known = known || len(s.files)+len(r.Downloads(p).ByPlatform()) > 0
		switch {
		case len(s.files) > 0:
			jobs = append(jobs, fetchJob{release: r, files: s.files})
		case len(platforms) == 0 && p.Download == "":
			print("%s %s: no link to a file is known", p.Name, r.Tag)
		}
		if len(s.missing) > 0 {
			print("%s %s: no link to a file is known for %s", p.Name, r.Tag, joinPlatforms(s.missing))
		}
	}
	if !known {
		return nil, fmt.Errorf("no link to a file of %s is known: sync it from an upstream that lists files, add releases with files, or set a template with relcheck product set %[1]s --download", p.Name)
	}
	for _, platform := range platforms {
		if missing[platform] == len(releases) {
			return nil, fmt.Errorf("no release of %s has a file for %s: list the platforms with relcheck release show %[1]s %[3]s", p.Name, platform, releases[0].Tag)
		}
	}
	if len(jobs) == 0 {
		return nil, usageError("the links of %s are made from a template, which does not list files: give the platforms with --platform linux/amd64,…", p.Name)
	}
	return jobs, nil
}

func joinPlatforms(platforms []checker.Platform) string {
	texts := make([]string, len(platforms))
	for i, p := range platforms {
		texts[i] = p.String()
	}
	return strings.Join(texts, ", ")
}

// speedFlag is the value of a flag: a number of bytes a second, or 0 for no limit.
type speedFlag int64

func (f *speedFlag) Type() string { return "bytes" }

func (f *speedFlag) String() string {
	if *f == 0 {
		return ""
	}
	return strconv.FormatInt(int64(*f), 10)
}

func (f *speedFlag) Set(s string) error {
	text, unit := strings.TrimSuffix(strings.ToUpper(strings.TrimSpace(s)), "/S"), int64(1)
	for _, u := range []struct {
		suffix string
		bytes  int64
	}{{"KB", 1000}, {"MB", 1e6}, {"GB", 1e9}, {"K", 1000}, {"M", 1e6}, {"G", 1e9}, {"B", 1}} {
		if rest, ok := strings.CutSuffix(text, u.suffix); ok {
			text, unit = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || !(n*float64(unit) >= 1) || n > 1e12 {
		return errors.New("enter bytes a second, such as 500KB or 10MB")
	}
	*f = speedFlag(n * float64(unit))
	return nil
}

// limiter returns a limit for all downloads together, or nil. One read of a download
// returns at most the bytes of a tenth of a second.
func (f speedFlag) limiter() *rate.Limiter {
	if f == 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(f), int(min(max(f/10, 4<<10), 256<<10)))
}
