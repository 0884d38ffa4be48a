package command

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"

	"relcheck/checker/bundle"
	"relcheck/checker/catalog"
	"relcheck/checker/stats"
	"relcheck/db"
)

func bundleInspect(streams IO) *cobra.Command {
	var path, key string
	c := &cobra.Command{
		Use:   "inspect FILE",
		Short: "Verify a bundle, and show what it contains.",
		Long: `Verify the signature of a bundle and each file in it, and show what it contains. The bundle must be signed by a key that the store trusts, or by the key of --key. With --key,
no store is needed.`,
		Example: `  relcheck bundle inspect 2026-11.bundle
  relcheck bundle inspect 2026-11.bundle --key release.key.pub`,
		RunE: func(cmd *cobra.Command, args []string) error {
			show := func(t trustedKeys) error { return inspectBundle(cmd.Context(), args[0], t, streams) }
			if key != "" {
				_, v, err := readPublicKey(key)
				if err != nil {
					return err
				}
				return show(trustedKeys{verifiers: []note.Verifier{v}})
			}
			return withExisting(cmd.Context(), path, func(s *db.Store) error {
				t, err := readTrustedKeys(cmd.Context(), s)
				if err != nil {
					return err
				}
				return show(t)
			})
		},
	}
	dbFlag(c, &path)
	c.Flags().StringVar(&key, "key", "", "`file` of the public key that must have signed the bundle (default: any key that the store trusts)")
	return c
}

// inspectBundle verifies a bundle and prints what it contains.
func inspectBundle(ctx context.Context, name string, t trustedKeys, streams IO) error {
	b, err := openBundle(ctx, name, t, newProgress(streams.Err))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	defer b.Close()
	if err := b.eachContent(nil, nil); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	b.progress.clear()
	expires := "never"
	if !b.Expires.IsZero() {
		expires = b.Expires.Format(time.RFC3339)
		if b.Expired(time.Now()) {
			expires += ", expired"
		}
	}
	fields := [][]string{{"bundle", b.ID}, {"signed by", strings.Join(b.Keys, ", ")}, {"store", b.Store}, {"created", b.Created.Format(time.RFC3339)}, {"expires", expires}}
	if b.Site == nil {
		fields = append(fields, []string{"base", b.Base}, []string{"contents", showSize(b.Size)})
	} else {
		fields = append(fields, []string{"contents", "counts"}, []string{"site", b.Site.Name}, []string{"threshold", stats.ShowNumber(b.Site.Threshold)}, []string{"through", b.Site.Through.String()})
	}
	if err = printList(streams.Out, []string{"field", "value"}, fields); err != nil {
		return err
	}
	fmt.Fprintln(streams.Out)
	if b.Site != nil {
		return printSite(b.Reader, streams.Out)
	}
	return printBundleProducts(b.Reader, streams.Out)
}

func printBundleProducts(b *bundle.Reader, w io.Writer) error {
	var rows [][]string
	for _, p := range b.Products {
		settings, err := p.Fields.Apply(catalog.Product{Name: p.Name})
		if err != nil {
			return err
		}
		var releases []catalog.Release
		files, size, scheme := 0, int64(0), settings.Scheme()
		for r, err := range b.Releases(p) {
			if err != nil {
				return err
			}
			r.Layer.Text = nil
			releases = append(releases, catalog.NewRelease(scheme.Parse(r.Tag), &r.Layer, nil))
			files += len(r.Files)
			for _, f := range r.Files {
				size += f.Size
			}
		}
		latest := ""
		if r := settings.Offer(settings.Rank(releases), nil, time.Now()).Latest; r != nil {
			latest = r.Tag
		}
		rows = append(rows, []string{p.Name, fmt.Sprint(p.Sequence), stats.ShowNumber(int64(len(releases))), latest, stats.ShowNumber(int64(files)), stats.ShowBytes(float64(size))})
	}
	return printList(w, []string{"product", "sequence", "releases", "latest", "files", "size"}, rows)
}
