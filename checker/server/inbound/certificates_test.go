package inbound_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"relcheck/checker/server/inbound"
)

// writeCertificate creates a certificate for a host, and returns its files.
func writeCertificate(t *testing.T, serial int64, host string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(serial), DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Unix(2_000_000_000-serial, 0)}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// TestCertificates checks that the host that a client names chooses the certificate.
func TestCertificates(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	var certs, keys []string
	for i, host := range []string{"releases.example.com", "*.example.org", "grafana.com"} {
		cert, key := writeCertificate(t, int64(i+1), host)
		certs, keys = append(certs, cert), append(keys, key)
	}
	if _, err := inbound.LoadCertificates(certs, []string{keys[0], keys[2], keys[1]}, log); err == nil {
		t.Error("keys of other certificates: got no error")
	}
	all, err := inbound.LoadCertificates(certs, keys, log)
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", all.TLSConfig())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func(c net.Conn) { io.Copy(io.Discard, c); c.Close() }(c)
		}
	}()
	for host, want := range map[string]int64{
		"releases.example.com": 1, "Grafana.com": 3, "a.example.org": 2, "a.b.example.org": 1, "example.org": 1, "other.example.net": 1, "127.0.0.1": 1, "": 1,
	} {
		c, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{ServerName: host, InsecureSkipVerify: true})
		if err != nil {
			t.Errorf("host %q: %v", host, err)
			continue
		}
		if got := c.ConnectionState().PeerCertificates[0].SerialNumber.Int64(); got != want {
			t.Errorf("host %q: got certificate %d, want %d", host, got, want)
		}
		c.Close()
	}
	for host, want := range map[string]bool{"grafana.com": true, "www.grafana.com": false, "x.example.org": true, "": false} {
		if got := all.Covers(host); got != want {
			t.Errorf("Covers(%q) = %t, want %t", host, got, want)
		}
	}
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(all.Collectors()[0])
	families, err := metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := families[0].Metric[0].Gauge.GetValue(), 2_000_000_000.0-3; got != want {
		t.Errorf("got expiry %.0f, want the earliest one %.0f", got, want)
	}
}
