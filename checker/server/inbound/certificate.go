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

// lookEvery is how often the files of a certificate are looked at.
const lookEvery = time.Second

// Certificate is a certificate and its key in two PEM files, as new as these are.
type Certificate struct {
	cert, key string
	log       *slog.Logger
	current   atomic.Pointer[tls.Certificate]
	broken    atomic.Bool

	// Of the goroutine that watches:
	seen, said []byte // what was in the files last time, and what was found wrong last
}

// LoadCertificate reads the files.
func LoadCertificate(cert, key string, log *slog.Logger) (*Certificate, error) {
	c := &Certificate{cert: cert, key: key, log: log}
	pair, both, err := c.read()
	if err == nil {
		c.seen = both
		c.take(pair)
	}
	return c, err
}

// read returns the pair in the files, and all their bytes.
func (c *Certificate) read() (pair tls.Certificate, both []byte, err error) {
	cert, err := os.ReadFile(c.cert)
	if err != nil {
		return pair, nil, err
	}
	key, err := os.ReadFile(c.key)
	if err != nil {
		return pair, nil, err
	}
	if pair, err = tls.X509KeyPair(cert, key); err != nil {
		err = fmt.Errorf("the certificate in %s with the key in %s: %w", c.cert, c.key, err)
	}
	return pair, bytes.Join([][]byte{cert, key}, []byte{0}), err
}

func (c *Certificate) take(pair tls.Certificate) {
	c.current.Store(&pair)
	c.broken.Store(false)
	if until := pair.Leaf.NotAfter; time.Now().After(until) {
		c.log.Warn("the TLS certificate has expired", "file", c.cert, "until", until)
	}
}

// Config is what connections are made by. HTTP/2, in which one connection may
// ask any number of things at once, is left out: the bounds are by connection.
func (c *Certificate) Config() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current.Load(), nil },
	}
}

// Watch reads the files anew when they have changed, and whenever now says so,
// until ctx ends. While they do not hold a pair, the last one stands.
func (c *Certificate) Watch(ctx context.Context, now <-chan os.Signal) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-now:
			c.look(true)
		case <-ticker.C:
			c.look(false)
		}
	}
}

// look takes what is new. Of what is wrong nothing is said the first time it is
// seen, unless asked: two files cannot be replaced in one moment.
func (c *Certificate) look(asked bool) {
	pair, both, err := c.read()
	if err != nil {
		both = append(both, err.Error()...)
	}
	same := bytes.Equal(both, c.seen)
	c.seen = both
	switch {
	case err == nil && (asked || !same || c.broken.Load()):
		c.take(pair)
		c.said = nil
		c.log.Info("read the TLS certificate", "file", c.cert, "until", pair.Leaf.NotAfter)
	case err != nil && (asked || same && !bytes.Equal(both, c.said)):
		c.said = both
		c.broken.Store(true)
		c.log.Error("cannot use the new TLS certificate; the one before it stays", "err", err)
	}
}

// Collectors are what Prometheus is told of the certificate.
func (c *Certificate) Collectors() []prometheus.Collector {
	return []prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "relcheck_tls_certificate_expiry_timestamp_seconds",
			Help: "When the certificate expires that is in use, in seconds since 1970."},
			func() float64 { return float64(c.current.Load().Leaf.NotAfter.Unix()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "relcheck_tls_certificate_broken",
			Help: "1 while the files hold no certificate with its key, and an earlier one is in use."}, func() float64 {
			if c.broken.Load() {
				return 1
			}
			return 0
		}),
	}
}
