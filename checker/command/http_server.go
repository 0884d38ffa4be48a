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
	// shutdownTimeout is how long open requests may take once the server is asked to
	// stop. The process exits within ten seconds.
	shutdownTimeout = 7 * time.Second
	// maxConnections is the maximum number of open connections. Each takes about 20 KB,
	// and every garbage collection scans all of them.
	maxConnections = 2048
	// reservedFiles is the number of files that the process needs for other purposes.
	reservedFiles = 100
)

// httpServer serves HTTP, or HTTPS if it has certificates.
type httpServer struct {
	certificates inbound.Certificates // nil without TLS
	log          *slog.Logger
}

func newHTTPServer(certFiles, keyFiles []string, log *slog.Logger) (*httpServer, error) {
	certificates, err := inbound.LoadCertificates(certFiles, keyFiles, log)
	if err != nil {
		return nil, fmt.Errorf("%w: --tls-cert needs a PEM file, and --tls-key one with the key of that certificate", err)
	}
	return &httpServer{certificates, log}, nil
}

func (h *httpServer) scheme() string {
	if h.certificates != nil {
		return "https"
	}
	return "http"
}

// serve serves until ctx is done, then waits for open requests.
func (h *httpServer) serve(ctx context.Context, l net.Listener, handler *server.Server) error {
	s := newServer(handler.Handler(), h.log)
	s.WriteTimeout = 0 // package inbound has a timeout that starts with the response
	limited := inbound.LimitListener(l, min(maxConnections, max(maxOpenFiles()-reservedFiles, 1)), s)
	handler.Register(limited.Collectors()...)
	l = limited
	if c := h.certificates; c != nil {
		handler.Register(c.Collectors()...)
		l = tls.NewListener(limited, c.TLSConfig())
		hangups := make(chan os.Signal, 1)
		signal.Notify(hangups, syscall.SIGHUP)
		defer signal.Stop(hangups)
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		go c.Watch(ctx, hangups)
	}
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(l) }()
	manager := newServiceManager(h.log)
	manager.notify("READY=1")
	watched, stop := context.WithCancel(ctx)
	defer stop()
	go manager.watch(watched, s.Handler)
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	h.log.Info("stopping")
	manager.notify("STOPPING=1")
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		s.Close()
		h.log.Warn("aborted requests that did not finish in time", "timeout", shutdownTimeout)
	}
	h.log.Info("stopped")
	return nil
}

func newServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           inbound.CloseAmbiguous(h),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       30 * time.Second,
		MaxHeaderBytes:    32 << 10,                                          // package server rejects 8 KB or more
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug), // errors of clients
	}
}

// listen listens on the address of a flag.
func listen(address, flag string) (net.Listener, error) {
	if _, _, err := net.SplitHostPort(address); err != nil {
		return nil, usageError("--%s: %q is not an address with a port, such as localhost:8080 or :8080", flag, address)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%w: choose another address with --%s", err, flag)
	}
	return l, nil
}

// serveMetrics serves only /metrics on l until stop is called.
func serveMetrics(l net.Listener, h http.Handler, log *slog.Logger) (stop func()) {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", h)
	s := newServer(mux, log)
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	log.Info("serving metrics", "url", "http://"+l.Addr().String()+"/metrics")
	return func() {
		s.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			log.Error("serving metrics failed", "err", err)
		}
	}
}
