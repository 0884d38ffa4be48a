package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"relcheck/checker/access"
	"relcheck/checker/printable"
	"relcheck/checker/server"
	"relcheck/db"
)

// maxSourceRate is more than anybody can send.
const maxSourceRate = 1_000_000_000

// minThreshold is the least that hides anybody.
const minThreshold = 2

type serveOptions struct {
	listen, db, baseURL string
	metrics             string // address; empty for none
	publicStats         bool
	threshold           int64
	reports, rollups    retention
	backups             backupOptions
	sourceRate          int
	proxies             networks
	cert, key           string // PEM files; empty for no TLS
}

func serveCommand(streams IO) *cobra.Command {
	o := serveOptions{reports: retention(30 * 24 * time.Hour)}
	c := &cobra.Command{
		Use:   "serve",
		Short: "Record reports and answer with the latest release",
		Example: `  relcheck serve
  relcheck serve --listen :8080 --db /var/lib/relcheck/relcheck.db --base-url https://releases.example.com`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serve(cmd.Context(), o, streams)
		},
	}
	c.Flags().StringVar(&o.listen, "listen", "localhost:8080", "`address` to listen on; port 0 picks a free one")
	dbFlag(c, &o.db)
	c.Flags().StringVar(&o.baseURL, "base-url", "", "`URL` under which clients reach the service, for the page that tells them (default: the address it listens on)")
	c.Flags().StringVar(&o.metrics, "metrics-listen", "", "`address` that serves /metrics only, without a token (default: none; the main address asks for one)")
	c.Flags().BoolVar(&o.publicStats, "public-stats", false, "also show figures to readers who have not signed in: no rare values, no versions that are not releases, no memory")
	c.Flags().Int64Var(&o.threshold, "public-threshold", 10, "the least `number` of ids that everyone is shown; fewer count as other")
	c.Flags().Var(&o.reports, "keep-reports", "how long single reports are kept, once they are part of the statistics")
	c.Flags().Var(&o.rollups, "keep-rollups", "how long statistics are kept")
	o.backups.flags(c)
	c.Flags().IntVar(&o.sourceRate, "source-rate", 600, "how many `reports` a minute are recorded of what one address sends; 0 is for all")
	c.Flags().Var(&o.proxies, "trusted-proxy", "`network` or address of a proxy in front, which names the client in X-Forwarded-For, Forwarded or X-Real-IP; repeat it for more")
	c.Flags().StringVar(&o.cert, "tls-cert", "", "PEM `file` with the certificate to serve HTTPS under, read again when it changes and on SIGHUP")
	c.Flags().StringVar(&o.key, "tls-key", "", "PEM `file` with the certificate's key")
	return c
}

func dbFlag(c *cobra.Command, name *string) {
	c.Flags().StringVar(name, "db", "relcheck.db", "the `store`: a SQLite file, or postgres://USER@HOST/DATABASE")
}

// store is what the HTTP server needs, put together from the two halves of db.
type store struct {
	*db.Store
	*db.Writer
}

// As returns the half that changes products and releases.
func (s store) As(who string) server.Editor { return s.Store.As(who) }

func serve(ctx context.Context, o serveOptions, streams IO) (err error) {
	tune(ctx)
	log := newLogger(streams.Err)
	if err := o.check(); err != nil {
		return err
	}
	l, err := net.Listen("tcp", o.listen)
	if err != nil {
		return fmt.Errorf("%w; choose another address with --listen", err)
	}
	defer l.Close()
	in, err := o.entrance(log)
	if err != nil {
		return err
	}
	s, err := openStore(ctx, o.db, streams)
	if err != nil {
		return err
	}
	defer closing(s, &err)
	w, err := s.NewWriter(log)
	if err != nil {
		return err
	}
	defer closing(w, &err)

	db.TidyUp(o.db, log) // a killed restore may have left something beside the store
	backups, err := o.backups.prepare(ctx, s, streams.Schema)
	if err != nil {
		return err
	}
	host, port := address(o.listen, l.Addr())
	base := strings.TrimRight(o.baseURL, "/")
	if base == "" {
		base = in.scheme() + "://" + net.JoinHostPort(reachable(host), port)
	}
	options := server.Options{Base: base, PublicStats: o.publicStats, PublicThreshold: o.threshold,
		KeepReports: time.Duration(o.reports), KeepRollups: time.Duration(o.rollups),
		SourceRate: o.sourceRate, TrustedProxies: o.proxies}
	if backups != nil {
		options.Backups = backups
	}
	handler, err := server.New(ctx, store{s, w}, log, options)
	if err != nil {
		return err
	}
	if o.metrics != "" {
		stop, err := serveMetrics(o.metrics, handler.Metrics(), log)
		if err != nil {
			return err
		}
		defer stop()
	}
	ctx, cancel := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() { handler.Watch(ctx) })
	keep := db.Retention{Reports: time.Duration(o.reports), Rollups: time.Duration(o.rollups), Clock: streams.Clock}
	watch.Go(func() { s.Maintain(ctx, keep, log) })
	watch.Go(func() { s.Inspect(ctx, w, log) })
	if backups != nil {
		watch.Go(func() { s.KeepBackups(ctx, backups, log) })
	}
	defer watch.Wait() // before the store is closed
	defer cancel()
	fmt.Fprintf(streams.Out, "listening on %s://%s\n", in.scheme(), net.JoinHostPort(host, port))
	reportHazards(s, log)
	log.Info("started", "db", s.Name(), "base_url", base, "version", buildVersion())
	hint(ctx, s, log)
	if err := firstToken(ctx, s, base, streams.Out, log); err != nil && ctx.Err() == nil { // and not told to stop already
		return err
	}
	return in.serve(ctx, l, handler)
}

// reportHazards logs what endangers the store, once.
func reportHazards(s *db.Store, log *slog.Logger) {
	if err := s.LogLost(); err != nil {
		log.Error("reports may be lost", "err", err)
	}
	for _, text := range append(processHazards(), s.Hazards()...) {
		log.Warn(text)
	}
}

// check refuses what makes no sense, before anything is opened.
func (o *serveOptions) check() error {
	if o.baseURL != "" {
		if err := printable.CheckURL(o.baseURL); err != nil {
			return misused("--base-url: %v", err)
		}
	}
	switch {
	case o.threshold < minThreshold:
		return misused("--public-threshold: %d hides nobody; give %d or more", o.threshold, minThreshold)
	case o.sourceRate < 0 || o.sourceRate > maxSourceRate:
		return misused("--source-rate: give a number from 0 to %d", maxSourceRate)
	case (o.cert == "") != (o.key == ""):
		return misused("--tls-cert and --tls-key: give both or none")
	}
	return nil
}

// closing closes c at the end of a function; an error there counts.
func closing(c io.Closer, err *error) { *err = errors.Join(*err, c.Close()) }

// address is the host that was asked for with the port that was found.
func address(asked string, got net.Addr) (host, port string) {
	found, port, _ := net.SplitHostPort(got.String())
	if host, _, err := net.SplitHostPort(asked); err == nil && host != "" {
		return host, port
	}
	return found, port
}

// reachable is a name for this machine where host means all its addresses.
func reachable(host string) string {
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		return "localhost"
	}
	return host
}

// firstToken prints a sign-in link if this is the first server on a store: of several
// that start at once, one does. The link is never logged, and nobody sees the token that
// it signs in by.
func firstToken(ctx context.Context, s *db.Store, base string, out io.Writer, log *slog.Logger) error {
	token, _ := access.New("first start", access.Read, time.Now())
	link, text := access.NewLink(token.ID, time.Now())
	added, err := s.AddFirstToken(ctx, token, link)
	if err != nil {
		return fmt.Errorf("add the first token: %w", err)
	}
	if added {
		fmt.Fprintf(out, "sign in at %s\n", signInLink(base, text))
		log.Info("the sign-in link can be used once, within an hour; for another one: relcheck token link --base-url " + base)
	} else {
		log.Info("statistics are for those who sign in; for a link: relcheck token link --base-url " + base)
	}
	return nil
}

// hint says what to do next as long as there is nothing to answer with.
func hint(ctx context.Context, s *db.Store, log *slog.Logger) {
	releases, err := s.Releases(ctx, server.DefaultProduct)
	if err == nil && len(releases) == 0 {
		log.Info("no release of opa is known yet; add them with: relcheck release add, import or sync opa")
	}
}

// newLogger writes text for people and JSON for programs.
func newLogger(w io.Writer) *slog.Logger {
	if isTerminal(w) {
		return slog.New(slog.NewTextHandler(w, nil))
	}
	return slog.New(slog.NewJSONHandler(w, nil))
}
