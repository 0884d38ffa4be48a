package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"relcheck/checker/access"
	"relcheck/checker/printable"
	"relcheck/checker/server"
	"relcheck/checker/server/manage"
	"relcheck/checker/syncer"
	"relcheck/checker/upstream"
	"relcheck/db"
	"relcheck/db/backup"
)

// maxSourceRate is more than a client can send in a minute.
const maxSourceRate = 1_000_000_000

type serveOptions struct {
	server.Options
	listen, db string
	metrics    string // address; empty for none
	backups    backup.Schedule
	certs      []string      // PEM files; empty for no TLS
	keys       []string      // of certs, in the same order
	syncEvery  time.Duration // 0: only on request
	tokens     tokenFile
	reader     upstream.Reader

	files         string // folder; empty for none
	fetchOnDemand bool
	warnings      []string // about flags and the environment
}

func newServeOptions() *serveOptions {
	return &serveOptions{Options: server.Options{KeepReports: 30 * 24 * time.Hour}}
}

func serveCommand(streams IO) *cobra.Command {
	o := newServeOptions()
	c := &cobra.Command{
		Use:   "serve",
		Short: "Record reports and answer with the latest release.",
		Long:  "Record reports and answer with the latest release. Products also answer other update\nclients, see relcheck preset list and relcheck dialect list.",
		Example: `  relcheck serve
  relcheck serve --listen :8080 --db /var/lib/relcheck/relcheck.db \
    --base-url https://releases.example.com`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			warnings, err := requireFlags(cmd, [2]string{"backup-every", "backup-dir"}, [2]string{"backup-keep", "backup-dir"}, [2]string{"fetch-on-demand", "files"},
				[2]string{"public-threshold", "public-stats"})
			if err != nil {
				return err
			}
			o.warnings = append(warnings, unknownVariables(cmd.Root())...)
			return serve(cmd.Context(), o, streams)
		},
	}
	o.flags(c)
	return c
}

// flags adds the flags of a server to a command.
func (o *serveOptions) flags(c *cobra.Command) {
	f := c.Flags()
	listenFlag(c, &o.listen)
	dbFlag(c, &o.db)
	f.StringVar(&o.Base, "base-url", "", "`URL` at which clients reach the service, also with a path; links in answers begin with it (default: the listen address)")
	f.StringVar(&o.metrics, "metrics-listen", "", "`address` that serves only /metrics, without a token (default: none; the main address requires a token)")
	f.BoolVar(&o.PublicStats, "public-stats", false, "publish weekly figures without sign-in: networks by minor line, OS and architecture, with noise that protects each network")
	f.Int64Var(&o.PublicThreshold, "public-threshold", 40, "smallest public figure that is shown: a `number` of networks a day")
	keepFlag(c, &o.KeepReports, "keep-reports", "how long to keep reports after they are part of the statistics")
	keepFlag(c, &o.KeepRollups, "keep-rollups", "how long to keep statistics")
	scheduleFlags(c, &o.backups, "`folder` for scheduled backups (default: no backups)", "time between two scheduled backups")
	f.IntVar(&o.backups.Keep, "backup-keep", 7, "`number` of backups of this store to keep")
	f.IntVar(&o.ClientRate, "source-rate", 600, "maximum `number` of reports recorded per minute and client IP (0: unlimited)")
	f.Func("trusted-proxy", "`network` or IP address of a proxy whose X-Forwarded-For, Forwarded or X-Real-IP header is trusted; can be repeated", func(list string) error {
		networks, err := parseNetworks(list)
		o.TrustedProxies = append(o.TrustedProxies, networks...)
		return err
	})
	serveFilesFlags(c, o)
	c.Flags().StringVar(&o.Dialects, "dialects", "", "also answer in the dialects of the files in this `folder` (default: none)")
	f.Var(intervalFlag{durationFlag{&o.syncEvery, syncer.MinInterval, false}}, "sync-every", "time between two syncs of each product with its upstreams in the background, such as 1h")
	o.tokens.flag(c)
	staleFlag(c, &o.StaleAfter)
	f.StringArrayVar(&o.certs, "tls-cert", nil, "PEM `file` with an HTTPS certificate, reloaded when it changes and on SIGHUP; can be repeated for other hosts")
	f.StringArrayVar(&o.keys, "tls-key", nil, "PEM `file` with the key of the --tls-cert at the same position")
}

// check validates the flags before anything is opened.
func (o *serveOptions) check() error {
	if o.Base != "" {
		if err := server.CheckBase(o.Base); err != nil {
			return usageError("--base-url: %v", err)
		}
	}
	switch {
	case o.PublicThreshold < 1:
		return usageError("--public-threshold: %d is too small: enter 1 or more", o.PublicThreshold)
	case o.ClientRate < 0 || o.ClientRate > maxSourceRate:
		return usageError("--source-rate: %d is out of range: enter a number from 0 to %d", o.ClientRate, maxSourceRate)
	case o.backups.Keep < 1:
		return usageError("--backup-keep: %d keeps no backup: enter 1 or more", o.backups.Keep)
	case len(o.certs) != len(o.keys):
		return usageError("--tls-cert and --tls-key must be used together: give one key for each certificate")
	}
	if o.Dialects != "" {
		if _, err := os.ReadDir(o.Dialects); err != nil {
			return fmt.Errorf("--dialects: %w: name a folder of files such as NAME.dialect", err)
		}
	}
	if info, err := os.Stat(o.files); o.files != "" && !errors.Is(err, fs.ErrNotExist) && (err != nil || !info.IsDir()) {
		return fmt.Errorf("--files %s: not a folder: give a folder", o.files)
	}
	if o.backups.Folder != "" {
		if err := o.backups.CheckFolder(); err != nil {
			return err
		}
	}
	if o.syncEvery > 0 || o.tokens != "" {
		_, err := o.tokens.read()
		return err
	}
	return nil
}

// store combines the two halves of package db that the HTTP server needs.
type store struct {
	*db.Store
	*db.Writer
}

// As returns the half that people and programs change.
func (s store) As(who string) manage.Store { return s.Store.As(who) }

func serve(ctx context.Context, o *serveOptions, streams IO) (err error) {
	tune(ctx)
	log := newLogger(streams.Err)
	if err := o.check(); err != nil {
		return err
	}
	for _, text := range o.warnings {
		log.Warn(text)
	}
	l, err := listen(o.listen, "listen")
	if err != nil {
		return err
	}
	defer l.Close()
	var metrics net.Listener
	if o.metrics != "" {
		if metrics, err = listen(o.metrics, "metrics-listen"); err != nil {
			return err
		}
		defer metrics.Close()
	}
	in, err := newHTTPServer(o.certs, o.keys, log)
	if err != nil {
		return err
	}
	s, err := openStore(ctx, o.db, streams, o.mayCreate)
	if err != nil {
		return err
	}
	defer closing(s, &err)
	w, err := s.NewWriter(log)
	if errors.Is(err, db.ErrInUse) {
		err = fmt.Errorf("%w: stop that server first, or use PostgreSQL, which several servers can share", err)
	}
	if err != nil {
		return err
	}
	defer closing(w, &err)
	backup.CleanUp(o.db, log) // a killed restore may have left a file beside the store
	if o.backups.Folder != "" {
		o.backups.Schema = streams.Schema
		if err := o.backups.Prepare(ctx, s); err != nil {
			return err
		}
		o.Backups = &o.backups
	}
	closeFiles, err := o.openFiles(ctx, s, log)
	if err != nil {
		return err
	}
	defer closeFiles()
	host, port := hostPort(o.listen, l.Addr())
	o.setBase(in.scheme(), host, port, log)
	if in.certificates != nil {
		o.Covers = in.certificates.Covers
	}
	o.Sync = o.syncNow(ctx, s)
	handler, err := server.New(ctx, store{s, w}, log, o.Options)
	if err != nil {
		return err
	}
	if metrics != nil {
		defer serveMetrics(metrics, handler.Metrics(), log)()
	}
	handler.Register(newServeGauges(s, o))
	keep := db.Retention{Reports: o.KeepReports, Rollups: o.KeepRollups, Clock: streams.Clock}
	defer background(ctx, log, handler, s, w, keep, o)() // before the store is closed
	fmt.Fprintf(streams.Out, "listening on %s://%s\n", in.scheme(), net.JoinHostPort(host, port))
	log.Info("started", "db", s.Name(), "base_url", o.Base, "version", buildVersion())
	logMissingReleases(ctx, s, log)
	if hosts := handler.UncoveredHosts(); len(hosts) > 0 {
		log.Info("no certificate covers these hosts of clients; add one with --tls-cert if they resolve to this service", "hosts", hosts)
	}
	if err := firstToken(ctx, s, o, streams.Out, log); err != nil && ctx.Err() == nil {
		return err
	}
	return in.serve(ctx, l, handler)
}

// setBase completes the base URL, and warns if links that begin with it may not lead here.
func (o *serveOptions) setBase(scheme, host, port string, log *slog.Logger) {
	switch {
	case o.Base == "" && host != reachable(host):
		log.Warn("links in answers and pages begin with the name localhost; set --base-url to the URL at which clients reach the service")
	case o.Base == "" && len(o.TrustedProxies) > 0:
		log.Warn("links in answers and pages begin with the listen address although a proxy is trusted; set --base-url to the URL at which clients reach the proxy")
	}
	o.Base = cmp.Or(strings.TrimRight(o.Base, "/"), scheme+"://"+net.JoinHostPort(reachable(host), port))
}

// syncNow returns the function that syncs a product on request. It shares the rate limits of
// upstreams with the syncs in the background, and ends with the server.
func (o *serveOptions) syncNow(server context.Context, s *db.Store) func(ctx context.Context, tokenID, product string) ([]syncer.Result, error) {
	return func(ctx context.Context, tokenID, product string) ([]syncer.Result, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(server, cancel)()
		tokens, err := o.tokens.read()
		if err != nil {
			return nil, err
		}
		o.reader.SetTokens(tokens)
		return (&syncer.Syncer{Store: s.As(tokenID), Reader: &o.reader}).Sync(ctx, product)
	}
}

// background starts what a server does beside answering requests. The returned function
// stops it and waits for its end.
func background(ctx context.Context, log *slog.Logger, handler *server.Server, s *db.Store, w *db.Writer, keep db.Retention, o *serveOptions) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var tasks sync.WaitGroup
	tasks.Go(func() { followHazards(ctx, s, log) })
	tasks.Go(func() { handler.Watch(ctx) })
	tasks.Go(func() { s.Maintain(ctx, keep, log) })
	tasks.Go(func() { s.CheckAfterCrash(ctx, w, log) })
	if o.backups.Folder != "" {
		tasks.Go(func() { o.backups.Run(ctx, s, log) })
	}
	if o.syncEvery > 0 {
		syncs := &syncer.Syncer{Store: s.As(db.Server), Reader: &o.reader, Tokens: o.tokens.read}
		tasks.Go(func() { syncs.Run(ctx, o.syncEvery, log) })
	}
	return func() {
		cancel()
		tasks.Wait()
	}
}

// followHazards logs everything that endangers the store: at start, and later what is new,
// such as a hard link.
func followHazards(ctx context.Context, s *db.Store, log *slog.Logger) {
	if err := s.LogLost(); err != nil {
		log.Error("reports may be lost", "err", err)
	}
	logged := map[string]bool{}
	for {
		for _, text := range append(processHazards(), s.Hazards()...) {
			if !logged[text] {
				log.Warn(text)
				logged[text] = true
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
	}
}

// hostPort returns the requested host with the port that the listener got.
func hostPort(requested string, got net.Addr) (host, port string) {
	found, port, _ := net.SplitHostPort(got.String())
	if host, _, err := net.SplitHostPort(requested); err == nil && host != "" {
		return host, port
	}
	return found, port
}

// reachable replaces the address of all interfaces by a name for this machine.
func reachable(host string) string {
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		return "localhost"
	}
	return host
}

// firstToken records the base URL, and prints a sign-in link if this is the first server on a store. If several
// servers start at the same time, one of them does. The link is never logged, and the
// text of its token is discarded.
func firstToken(ctx context.Context, s *db.Store, o *serveOptions, out io.Writer, log *slog.Logger) error {
	if err := s.SetBaseURL(ctx, o.Base); err != nil {
		return fmt.Errorf("record the base URL: %w", err)
	}
	token, _ := access.NewToken("first start", access.Admin, time.Now())
	link, text := access.NewLink(token.ID, time.Now())
	added, err := s.AddFirstToken(ctx, token, link)
	if err != nil {
		return fmt.Errorf("add the first token: %w", err)
	}
	command := "relcheck token link"
	if o.db != defaultStore {
		command += " --db " + printable.QuoteShell(s.Name())
	}
	if added {
		fmt.Fprintf(out, "sign in at %s\n", access.SignInURL(o.Base, text))
		log.Info("the sign-in link is valid once, for one hour; create another one with: " + command + " 'first start'")
	} else {
		log.Info("statistics require sign-in; create a link with: " + command + "; to manage products in the browser, add a name and --scope admin")
	}
	return nil
}

// logMissingReleases logs how to add releases if the default product has none.
func logMissingReleases(ctx context.Context, s *db.Store, log *slog.Logger) {
	p, ranked, err := rankedReleases(ctx, s, server.DefaultProduct)
	if err == nil && len(ranked) == 0 {
		command := p.AddCommands()
		log.Info("product opa has no releases: add them with " + command)
	}
}

// newLogger returns a logger that writes text to a terminal and JSON elsewhere.
func newLogger(w io.Writer) *slog.Logger {
	if isTerminal(w) {
		return slog.New(slog.NewTextHandler(w, nil))
	}
	return slog.New(slog.NewJSONHandler(w, nil))
}
