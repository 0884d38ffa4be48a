package inbound

import (
	"context"
	"crypto/tls"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const pollInterval = time.Second

// Certificates are the certificates of a server. [Certificates.Watch] keeps them up to date.
type Certificates []*certificate

// LoadCertificates reads certificates. The key of each is in the file at the same position.
func LoadCertificates(certFiles, keyFiles []string, log *slog.Logger) (all Certificates, err error) {
	for i := range certFiles {
		c := &certificate{certFile: certFiles[i], keyFile: keyFiles[i], log: log}
		pair, contents, err := c.read()
		if err != nil {
			return nil, err
		}
		c.lastRead = contents
		c.use(pair)
		all = append(all, c)
	}
	return all, nil
}

// Covers reports whether one of the certificates is valid for a host.
func (all Certificates) Covers(host string) bool {
	return slices.ContainsFunc(all, func(c *certificate) bool { return c.current.Load().Leaf.VerifyHostname(host) == nil })
}

// TLSConfig returns a configuration that uses the certificates. It excludes HTTP/2,
// because there a connection may carry any number of requests at a time, and the limits
// of this package apply to connections.
func (all Certificates) TLSConfig() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"http/1.1"},
		GetCertificate: all.get,
	}
}

// get returns the first certificate that is valid for the host that the client names and
// that the client supports. If there is none, it returns the first one.
func (all Certificates) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	for _, c := range all {
		if pair := c.current.Load(); hello.SupportsCertificate(pair) == nil {
			return pair, nil
		}
	}
	return all[0].current.Load(), nil
}

// Watch reloads the files when they change, and at each value of reload, until ctx ends.
// While the files contain no valid certificate, the previous one stays in use.
func (all Certificates) Watch(ctx context.Context, reload <-chan os.Signal) {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		forced := false
		select {
		case <-ctx.Done():
			return
		case <-reload:
			forced = true
		case <-ticker.C:
		}
		for _, c := range all {
			c.reload(forced)
		}
	}
}

// Collectors returns the metrics of the certificates.
func (all Certificates) Collectors() []prometheus.Collector {
	return []prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "relcheck_tls_certificate_expiry_timestamp_seconds",
			Help: "Expiry time of the certificate in use that expires first, in seconds since 1970."}, func() float64 {
			first := all[0].current.Load().Leaf.NotAfter
			for _, c := range all[1:] {
				if expires := c.current.Load().Leaf.NotAfter; expires.Before(first) {
					first = expires
				}
			}
			return float64(first.Unix())
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "relcheck_tls_certificate_broken",
			Help: "1 while the files of a certificate contain no valid one and the previous one is in use."}, func() float64 {
			if slices.ContainsFunc(all, func(c *certificate) bool { return c.broken.Load() }) {
				return 1
			}
			return 0
		}),
	}
}
