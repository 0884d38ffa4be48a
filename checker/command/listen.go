package command

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"relcheck/checker/server"
	"relcheck/checker/server/inbound"
)

const (
	// drain is how long requests may take to end once the server was told to stop:
	// it is to be gone within ten seconds.
	drain = 7 * time.Second
	// maxConnections may be open at once. Each takes some 20 KB, and
	// all are looked at by each collection of garbage.
	maxConnections = 2048
	// ownFiles is how many files the process needs for other things.
	ownFiles = 100
)

// entrance is how requests come in.
type entrance struct {
	certificate *inbound.Certificate // nil without TLS
	log         *slog.Logger
}

func (o *serveOptions) entrance(log *slog.Logger) (e entrance, err error) {
	e.log = log
	if o.cert != "" {
		if e.certificate, err = inbound.LoadCertificate(o.cert, o.key, log); err != nil {
			err = fmt.Errorf("%w; --tls-cert and --tls-key name PEM files, the second with the key of the first", err)
		}
	}
	return e, err
}

func (e *entrance) scheme() string {
	if e.certificate != nil {
		return "https"
	}
	return "http"
}

// serve serves until ctx ends, then lets requests under way come to their end.
func (e *entrance) serve(ctx context.Context, l net.Listener, handler *server.Server) error {
	s := newServer(handler.Handler(), e.log)
	s.WriteTimeout = 0 // inbound has one that begins with the answer
	limited := inbound.Limit(l, min(maxConnections, max(openFiles()-ownFiles, 1)), s)
	handler.Register(limited.Collectors()...)
	l = limited
	if c := e.certificate; c != nil {
		handler.Register(c.Collectors()...)
		l = tls.NewListener(limited, c.Config())
		hangups := make(chan os.Signal, 1)
		signal.Notify(hangups, syscall.SIGHUP)
		defer signal.Stop(hangups)
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		go c.Watch(ctx, hangups)
	}
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	e.stop(ctx, s)
	return nil
}

func (e *entrance) stop(ctx context.Context, s *http.Server) {
	e.log.Info("stopping")
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		s.Close()
		e.log.Warn("some requests did not end in time and were cut off")
	}
	e.log.Info("stopped")
}

func newServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           inbound.CloseUnframed(h),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       30 * time.Second,
		MaxHeaderBytes:    32 << 10,                                          // package server answers from 8 KB on
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug), // what callers do wrong
	}
}

// serveMetrics serves /metrics, and nothing else, until stop is called.
func serveMetrics(address string, h http.Handler, log *slog.Logger) (stop func(), err error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%w; choose another address with --metrics-listen", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", h)
	s := newServer(mux, log)
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	log.Info("serving metrics", "url", "http://"+l.Addr().String()+"/metrics")
	return func() {
		s.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			log.Error("metrics could not be served any more", "err", err)
		}
	}, nil
}
