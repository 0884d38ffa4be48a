package command

import (
	"context"
	"fmt"
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
	var asJSON bool
	c := &cobra.Command{
		Use:   "inspect FILE",
		Short: "Verify a bundle, and show what it contains.",
		Long: `Verify the signature of a bundle and each file in it, and show what it contains. The bundle must be signed by a key that the store trusts, or by the key of --key. With --key,
no store is needed.`,
		Example: `  relcheck bundle inspect 2026-11.bundle
  relcheck bundle inspect 2026-11.bundle --key release.key.pub`,
		RunE: func(cmd *cobra.Command, args []string) error {
			show := func(t trustedKeys) error { return inspectBundle(cmd.Context(), args[0], t, asJSON, streams) }
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
	jsonFlag(c, &asJSON)
	c.Flags().StringVar(&key, "key", "", "`file` of the public key that must have signed the bundle (default: any key that the store trusts)")
	return c
}

// inspectedBundle describes a bundle, in JSON.
type inspectedBundle struct {
	Bundle   string         `json:"bundle"` // its ID
	Keys     []string       `json:"keys"`   // that have signed it
	Store    string         `json:"store"`
	Created  *string        `json:"created"`
	Expires  *string        `json:"expires"` // or null
	Base     *string        `json:"base"`    // ID of the bundle that has the omitted files, or null
	Files    int64          `json:"files"`
	Omitted  int64          `json:"omitted"` // files of the base
	Bytes    int64          `json:"bytes"`   // of the files in the bundle
	Site     *inspectedSite `json:"site"`    // null if the bundle contains releases
	Products []any          `json:"products"`
}

type inspectedSite struct {
	Name      string `json:"name"`
	Threshold int64  `json:"threshold"`
	Through   string `json:"through"`
}

// inspectedProduct is a product with its releases in a bundle, in JSON.
type inspectedProduct struct {
	Product  string  `json:"product"`
	Sequence int64   `json:"sequence"`
	Releases int     `json:"releases"`
	Latest   *string `json:"latest"`
	Files    int     `json:"files"`
	Bytes    int64   `json:"bytes"`
}

// inspectBundle verifies a bundle and prints what it contains.
func inspectBundle(ctx context.Context, name string, t trustedKeys, asJSON bool, streams IO) error {
	b, err := openBundle(ctx, name, t, newProgress(streams.Err))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	defer b.Close()
	if err := b.eachContent(nil, nil); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	b.progress.clear()
	in := productsIn
	if b.Site != nil {
		in = countsIn
	}
	products, err := in(b.Reader)
	if err != nil {
		return err
	}
	o := newOutput(streams, asJSON)
	o.add(bundleFields(b), products)
	d := inspectedBundle{Bundle: b.ID, Keys: b.Keys, Store: b.Store, Created: jsonTime(b.Created), Expires: jsonTime(b.Expires), Files: b.Size.Files, Omitted: b.Size.Omitted, Bytes: b.Size.Bytes, Products: products.items}
	if b.Base != "" {
		d.Base = &b.Base
	}
	if b.Site != nil {
		d.Site = &inspectedSite{b.Site.Name, b.Site.Threshold, b.Site.Through.String()}
	}
	o.value = d
	return o.write()
}

func bundleFields(b *bundleFile) *list {
	expires := "never"
	if !b.Expires.IsZero() {
		expires = b.Expires.Format(time.RFC3339)
		if b.Expired(time.Now()) {
			expires += ", expired"
		}
	}
	l := &list{heads: []string{"field", "value"}, rows: [][]string{{"bundle", b.ID}, {"signed by", strings.Join(b.Keys, ", ")}, {"store", b.Store}, {"created", b.Created.Format(time.RFC3339)}, {"expires", expires}}}
	if b.Site == nil {
		l.rows = append(l.rows, []string{"base", b.Base}, []string{"contents", showSize(b.Size)})
	} else {
		l.rows = append(l.rows, []string{"contents", "counts"}, []string{"site", b.Site.Name}, []string{"threshold", stats.ShowNumber(b.Site.Threshold)}, []string{"through", b.Site.Through.String()})
	}
	return l
}

// productsIn lists the products of a bundle of releases.
func productsIn(b *bundle.Reader) (*list, error) {
	l := &list{heads: []string{"product", "sequence", "releases", "latest", "files", "size"}}
	for _, p := range b.Products {
		settings, err := p.Fields.Apply(catalog.Product{Name: p.Name})
		if err != nil {
			return nil, err
		}
		var releases []catalog.Release
		one, scheme := inspectedProduct{Product: p.Name, Sequence: p.Sequence}, settings.Scheme()
		for r, err := range b.Releases(p) {
			if err != nil {
				return nil, err
			}
			r.Layer.Text = nil
			releases = append(releases, catalog.NewRelease(scheme.Parse(r.Tag), &r.Layer, nil))
			one.Files += len(r.Files)
			for _, f := range r.Files {
				one.Bytes += f.Size
			}
		}
		one.Releases = len(releases)
		latest := ""
		if r := settings.Offer(settings.Rank(releases), nil, time.Now()).Latest; r != nil {
			latest, one.Latest = r.Tag, &r.Tag
		}
		l.item(one)
		l.row(p.Name, fmt.Sprint(p.Sequence), stats.ShowNumber(int64(one.Releases)), latest, stats.ShowNumber(int64(one.Files)), stats.ShowBytes(float64(one.Bytes)))
	}
	return l, nil
}
