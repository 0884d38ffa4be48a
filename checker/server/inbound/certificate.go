package inbound

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"
)

// certificate is the certificate in two PEM files.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger
	current           atomic.Pointer[tls.Certificate]
	broken            atomic.Bool // the files contain no valid certificate

	// Only the goroutine of [Certificates.Watch] uses these fields.
	lastRead   []byte // contents of the files and the error when they were last read
	lastLogged []byte // lastRead when an error was last logged
}

// read reads the files. The contents are both files.
func (c *certificate) read() (pair tls.Certificate, contents []byte, err error) {
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

func (c *certificate) use(pair tls.Certificate) {
	c.current.Store(&pair)
	c.broken.Store(false)
	if expires := pair.Leaf.NotAfter; time.Now().After(expires) {
		c.log.Warn("TLS certificate has expired", "file", c.certFile, "expires", expires)
	}
}

// reload uses the certificate in the files if they have changed, or in any case if it is
// forced. Two files cannot be replaced at the same instant: therefore it logs an error
// only when it has read the same contents twice, unless it is forced.
func (c *certificate) reload(force bool) {
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
