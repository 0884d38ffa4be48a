package inbound

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const pollInterval = time.Second

// Certificate is the certificate in two PEM files. [Certificate.Watch] keeps it up to date.
type Certificate struct {
	certFile, keyFile string
	log               *slog.Logger
	current           atomic.Pointer[tls.Certificate]
	broken            atomic.Bool // the files contain no valid certificate

	// Only the goroutine of Watch uses these fields.
	lastRead   []byte // contents of the files and the error when they were last read
	lastLogged []byte // lastRead when an error was last logged
}

// LoadCertificate reads a certificate and its key.
func LoadCertificate(certFile, keyFile string, log *slog.Logger) (*Certificate, error) {
	c := &Certificate{certFile: certFile, keyFile: keyFile, log: log}
	pair, contents, err := c.read()
	if err == nil {
		c.lastRead = contents
		c.use(pair)
	}
	return c, err
}

// read reads the files. The contents are both files.
func (c *Certificate) read() (pair tls.Certificate, contents []byte, err error) {
	cert, err := os.ReadFile(c.certFile)
	if err != nil {
		return pair, nil, err
	}
	key, err := os.ReadFile(c.keyFile)
	if err != nil {
		return pair, nil, err
	}
	if pair, err = tls.X509KeyPair(cert, key); err != nil {
		err = fmt.Errorf("certificate in %s with key in %s: %w", c.certFile, c.keyFile, err)
	}
	return pair, bytes.Join([][]byte{cert, key}, []byte{0}), err
}

func (c *Certificate) use(pair tls.Certificate) {
	c.current.Store(&pair)
	c.broken.Store(false)
	if expires := pair.Leaf.NotAfter; time.Now().After(expires) {
		c.log.Warn("TLS certificate has expired", "file", c.certFile, "expires", expires)
	}
}

// TLSConfig returns a configuration that uses the certificate. It excludes HTTP/2,
// because there a connection may carry any number of requests at a time, and the limits
// of this package apply to connections.
func (c *Certificate) TLSConfig() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current.Load(), nil },
	}
}

// Watch reloads the files when they change, and at each value of reload, until ctx ends.
// While the files contain no valid certificate, the previous one stays in use.
func (c *Certificate) Watch(ctx context.Context, reload <-chan os.Signal) {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-reload:
			c.reload(true)
		case <-ticker.C:
			c.reload(false)
		}
	}
}

// reload uses the certificate in the files if they have changed, or in any case if it is
// forced. Two files cannot be replaced at the same instant: therefore it logs an error
// only when it has read the same contents twice, unless it is forced.
func (c *Certificate) reload(force bool) {
	pair, contents, err := c.read()
	if err != nil {
		contents = append(contents, err.Error()...)
	}
	unchanged := bytes.Equal(contents, c.lastRead)
	c.lastRead = contents
	switch {
	case err == nil && (force || !unchanged || c.broken.Load()):
		c.use(pair)
		c.lastLogged = nil
		c.log.Info("loaded TLS certificate", "file", c.certFile, "expires", pair.Leaf.NotAfter)
	case err != nil && (force || unchanged && !bytes.Equal(contents, c.lastLogged)):
		c.lastLogged = contents
		c.broken.Store(true)
		c.log.Error("cannot load TLS certificate; the previous one stays in use", "err", err)
	}
}

// Collectors returns the metrics of the certificate.
func (c *Certificate) Collectors() []prometheus.Collector {
	return []prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "relcheck_tls_certificate_expiry_timestamp_seconds",
			Help: "Expiry time of the certificate in use, in seconds since 1970."},
			func() float64 { return float64(c.current.Load().Leaf.NotAfter.Unix()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "relcheck_tls_certificate_broken",
			Help: "1 while the files contain no valid certificate and the previous one is in use."}, func() float64 {
			if c.broken.Load() {
				return 1
			}
			return 0
		}),
	}
}
