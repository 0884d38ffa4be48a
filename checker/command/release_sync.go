package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"relcheck/checker/syncer"
	"relcheck/checker/upstream"
	"relcheck/db"
)

// tokenFile is the name of a file with tokens of upstreams.
type tokenFile string

func (f *tokenFile) flag(c *cobra.Command) {
	c.Flags().StringVar((*string)(f), "token-file", "", "`file` with tokens of upstreams: lines HOST TOKEN, or the token of GitHub alone (default: $GITHUB_TOKEN)")
}

// read reads the tokens. Errors do not contain them.
func (f *tokenFile) read() (tokens upstream.Tokens, err error) {
	if *f != "" {
		text, err := os.ReadFile(string(*f))
		if err == nil {
			tokens, err = upstream.ParseTokens(string(text))
		}
		if err != nil {
			return nil, fmt.Errorf("--token-file %s: %w", *f, err)
		}
	}
	if tokens, err = tokens.With(os.Getenv("GITHUB_TOKEN")); err != nil {
		err = fmt.Errorf("GITHUB_TOKEN: %w", err)
	}
	return tokens, err
}

func releaseSync(streams IO) *cobra.Command {
	var path string
	var tokens tokenFile
	var all, force bool
	c := &cobra.Command{
		Use:   "sync [PRODUCT...]",
		Short: "Read releases from their upstreams.",
		Long: `Read the releases of products from their upstreams, which relcheck product set --upstream
sets. A product without upstreams is read from the Go modules that relcheck product set --module
sets.

The lists of all upstreams of a product are stored together. If one of them cannot be read to
its end, none is stored. A release that upstream no longer lists counts as removed. If more
than half of the releases would be removed, nothing changes without --force. What you have set
stays. If a sync fails, the other products are still synced, and the exit status is 1.`,
		Example: `  relcheck product set opa --upstream github:open-policy-agent/opa
  relcheck release sync opa
  relcheck release sync --all --token-file /etc/relcheck/tokens
  GOPROXY=https://goproxy.example.com relcheck release sync opa`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) == 0 && !all:
				return usageError("missing PRODUCT: name the products to sync, or give --all")
			case len(args) > 0 && all:
				return usageError("--all already contains %s: give one of the two", args[0])
			}
			read, err := tokens.read()
			if err != nil {
				return err
			}
			return withStore(cmd.Context(), path, streams, func(s *db.Store) error {
				sync := &syncer.Syncer{Store: s, Reader: &upstream.Reader{Tokens: read}, Force: force}
				if all {
					if args, err = productsWithUpstreams(cmd.Context(), s); err != nil {
						return err
					}
				}
				return syncProducts(cmd.Context(), s, sync, args, streams)
			})
		},
	}
	dbFlag(c, &path)
	c.Flags().BoolVar(&all, "all", false, "sync all products that have upstreams")
	c.Flags().BoolVar(&force, "force", false, "also read unchanged lists, and store a list even if it would remove most releases or the latest one")
	tokens.flag(c)
	return c
}

func productsWithUpstreams(ctx context.Context, s *db.Store) (names []string, err error) {
	products, err := s.Products(ctx)
	for _, p := range products {
		if len(p.UpstreamList()) > 0 {
			names = append(names, p.Name)
		}
	}
	if err == nil && len(names) == 0 {
		err = errors.New("no product has an upstream: set one with relcheck product set NAME --upstream")
	}
	return names, err
}

// syncProducts syncs products, and prints a line for each upstream.
func syncProducts(ctx context.Context, store *db.Store, s *syncer.Syncer, products []string, streams IO) error {
	progress := newProgress(streams.Err)
	synced, failed := 0, int64(0)
	s.Progress = func(product, upstream, text string) {
		if upstream != "" {
			text = upstream + ": " + text
		}
		progress.part(synced, len(products), product+": "+text)
	}
	for _, product := range products {
		results, err := s.Sync(ctx, product)
		progress.clear()
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case len(products) == 1 && errors.Is(err, syncer.ErrNoUpstream):
			return usageError("%w", err)
		case len(products) == 1 && len(results) == 0 && err != nil:
			return err
		case err != nil:
			failed++
			fmt.Fprintf(streams.Err, "%s: %s\n", product, masked(strings.ReplaceAll(err.Error(), "\n", "; ")))
		}
		failed += printSync(product, results, streams)
		if len(results) > 0 {
			if err := printProductHints(ctx, store, product, false, streams.Err); err != nil {
				return err
			}
		}
		synced++
	}
	if failed > 0 {
		return fmt.Errorf("%s failed", count(failed, "sync"))
	}
	return nil
}

// printSync prints the results of the sync of a product, and returns how many have failed.
func printSync(product string, results []syncer.Result, streams IO) (failed int64) {
	for _, r := range results {
		fmt.Fprintf(streams.Err, "%s: %s: %s\n", product, r.Upstream, masked(r.String()))
		printSkipped(streams.Err, r.Skipped)
		for _, hint := range r.Hints {
			fmt.Fprintln(streams.Err, masked(hint))
		}
		if r.Err != nil {
			failed++
		}
	}
	return failed
}
