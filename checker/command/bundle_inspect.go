package command

import (
	"context"
	"fmt"
	"io"
	"os"
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
		Long: `Read a bundle to its end, verify its signature and each file, and show what it contains.
The bundle must be signed by a key that the store trusts, or by the key of --key. With --key,
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
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	progress := byteProgress{progress: newProgress(streams.Err)}
	if info, err := file.Stat(); err == nil {
		progress.total = info.Size()
	}
	b, err := openBundle(countedReader{file, &progress}, t)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	defer b.Close()
	size, err := sizeOfBundle(b)
	if err == nil {
		err = verifyContents(ctx, b)
	}
	if progress.clear(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	expires := "never"
	if !b.Expires.IsZero() {
		expires = b.Expires.Format(time.RFC3339)
		if b.Expired(time.Now()) {
			expires += ", expired"
		}
	}
	err = printList(streams.Out, []string{"field", "value"}, [][]string{
		{"bundle", b.ID}, {"signed by", strings.Join(b.Keys, ", ")}, {"store", b.Store}, {"created", b.Created.Format(time.RFC3339)}, {"expires", expires},
		{"base", b.Base}, {"contents", size.String()},
	})
	if err != nil {
		return err
	}
	fmt.Fprintln(streams.Out)
	return printBundleProducts(b, streams.Out)
}

func printBundleProducts(b *bundle.Reader, w io.Writer) error {
	var rows [][]string
	for p, err := range b.Products() {
		if err != nil {
			return err
		}
		stored, err := storedProduct(b, p, time.Time{})
		if err != nil {
			return err
		}
		var releases []catalog.Release
		files, size, scheme := 0, int64(0), stored.Product.Scheme()
		for _, r := range p.Releases {
			releases = append(releases, catalog.NewRelease(scheme.Parse(r.Tag), &r.Layer, nil))
			files += len(r.Files)
			for _, f := range r.Files {
				size += f.Size
			}
		}
		latest := ""
		if r := stored.Product.Offer(stored.Product.Rank(releases), nil, time.Now()).Latest; r != nil {
			latest = r.Tag
		}
		rows = append(rows, []string{p.Name, fmt.Sprint(p.Sequence), stats.ShowNumber(int64(len(releases))), latest, stats.ShowNumber(int64(files)), stats.ShowBytes(float64(size))})
	}
	return printList(w, []string{"product", "sequence", "releases", "latest", "files", "size"}, rows)
}
