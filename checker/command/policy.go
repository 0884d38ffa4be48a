package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"relcheck/checker/catalog"
	"relcheck/checker/privacy"
	"relcheck/db"
)

func policyCommand(streams IO) *cobra.Command {
	o := newServeOptions()
	c := &cobra.Command{
		Use:   "policy",
		Short: "Print what a server receives, stores and shows, as a sheet for reviewers.",
		Long: `Print what a server receives, stores, logs and shows, for how long and for whom, as a
sheet for reviewers. Give the command the flags and environment variables of serve. Without --base-url
and --listen, the sheet names the URL of the server that has started last on the store. It is
Markdown if the output is not a terminal.`,
		Example: `  relcheck policy --base-url https://releases.example.com > policy.md`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return err
			}
			if !cmd.Flags().Changed("listen") && !cmd.Flags().Changed("tls-cert") { // otherwise they determine the URL
				o.Base = cmp.Or(o.Base, o.knownBase(cmd.Context(), streams))
			}
			config, err := o.policy(cmd.Context())
			if err != nil {
				return err
			}
			return printMarkdown(streams.Out, privacy.Policy(config, buildVersion()))
		},
	}
	o.flags(c)
	return c
}

// knownBase returns the base URL that the store knows, or "". The store is optional, but it is
// reported if it cannot be read, because the sheet then names another URL.
func (o *serveOptions) knownBase(ctx context.Context, streams IO) string {
	if o.Base != "" {
		return ""
	}
	s, err := db.OpenUnchanged(ctx, o.db)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, db.ErrNoStore) {
		return ""
	}
	base := ""
	if err == nil {
		base, err = s.BaseURL(ctx)
		err = errors.Join(err, s.Close())
	}
	if err != nil {
		fmt.Fprintf(streams.Err, "the sheet may name another URL than the server's: %s; give it with --base-url\n", masked(err.Error()))
	}
	return base
}

// policy returns the configuration that the sheet describes.
func (o *serveOptions) policy(ctx context.Context) (privacy.Config, error) {
	scheme := "http"
	if len(o.certs) > 0 {
		scheme = "https"
	}
	base := strings.TrimRight(o.Base, "/")
	if base == "" {
		host, port, err := net.SplitHostPort(o.listen)
		if err != nil {
			return privacy.Config{}, usageError("--listen: %v", err)
		}
		base = scheme + "://" + net.JoinHostPort(reachable(host), port)
	}
	store, database, err := db.PublicName(o.db)
	if err != nil {
		return privacy.Config{}, err
	}
	connections, err := o.connections(ctx, database)
	return privacy.Config{
		Base: base, KeepReports: o.KeepReports, KeepRollups: o.KeepRollups, PublicStats: o.PublicStats, PublicThreshold: o.PublicThreshold,
		Hosting: o.hosting(store, scheme), Connections: connections,
	}, err
}

// hosting describes how the service runs.
func (o *serveOptions) hosting(store, scheme string) [][2]string {
	code := func(s string) string { return "`" + strings.ReplaceAll(s, "|", "/") + "`" }
	none := func(s, without string) string {
		if s == "" {
			return without
		}
		return code(s)
	}
	encryption := "plain HTTP at this server; encryption is up to a proxy"
	if scheme == "https" {
		encryption = "TLS, with certificates from files"
	}
	var proxies []string
	for _, p := range o.TrustedProxies {
		proxies = append(proxies, p.String())
	}
	backups := "none by the server"
	if o.backups.Folder != "" {
		backups = fmt.Sprintf("in %s every %s; the newest %d are kept", code(o.backups.Folder), age(o.backups.Every), o.backups.Keep)
	}
	limit := "none"
	if o.ClientRate > 0 {
		limit = fmt.Sprintf("%d reports a minute and client IP; addresses are hashed, and in memory only", o.ClientRate)
	}
	return [][2]string{
		{"store", code(store)},
		{"listens on", code(o.listen)},
		{"encryption", encryption},
		{"proxies whose client IPs are used", none(strings.Join(proxies, ", "), "none")},
		{"backups", backups},
		{"single reports", kept(o.KeepReports)},
		{"statistics", kept(o.KeepRollups)},
		{"rate limit", limit},
		{"metrics without a token", none(o.metrics, "none")},
		{"files of releases", none(o.files, "not served")},
		{"own dialects", none(o.Dialects, "none")},
	}
}

func kept(d time.Duration) string {
	if d == 0 {
		return "kept forever"
	}
	return "kept for " + age(d)
}

func age(d time.Duration) string {
	if d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	}
	return catalog.FormatAge(d)
}

// connections lists the machines that the service connects to.
func (o *serveOptions) connections(ctx context.Context, database bool) (all []string, err error) {
	if database {
		all = append(all, "the database")
	}
	if o.fetchOnDemand {
		all = append(all, "the hosts of links to files of releases, when a client requests a file (`--fetch-on-demand`)")
	}
	if o.syncEvery == 0 {
		return append(all, "the upstreams of a product, when an administrator syncs it"), nil
	}
	upstreams, err := o.upstreams(ctx, database)
	return append(all, "the upstreams of the products, every "+age(o.syncEvery)+" (`--sync-every`)"+upstreams), err
}

// upstreams lists the upstreams of the products in the store, if it exists.
func (o *serveOptions) upstreams(ctx context.Context, database bool) (text string, err error) {
	if _, missing := os.Stat(o.db); missing != nil && !database {
		return "", nil
	}
	err = withExisting(ctx, o.db, func(s *db.Store) error {
		products, err := s.Products(ctx)
		var all []string
		for _, p := range products {
			all = append(all, p.UpstreamList()...)
		}
		slices.Sort(all)
		if all = slices.Compact(all); len(all) > 0 {
			text = ": `" + strings.Join(all, "`, `") + "`"
		}
		return err
	})
	return text, err
}
