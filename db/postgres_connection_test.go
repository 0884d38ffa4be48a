package db_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"relcheck/db"
	"relcheck/db/pgtest"
)

// proxy is a TCP proxy between a store and PostgreSQL that can cut or freeze connections.
type proxy struct {
	net.Listener
	to     string
	cut    atomic.Bool  // drop the next response to COMMIT and close its connection
	mute   atomic.Bool  // while frozen, hold back only the responses to commits and updates
	frozen sync.RWMutex // locked while responses are held back
}

func newProxy(t *testing.T, dsn string) (p *proxy, through string) {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	p = &proxy{to: u.Host}
	if p.Listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	go func() {
		for {
			client, err := p.Accept()
			if err != nil {
				return
			}
			go p.serve(client)
		}
	}()
	u.Host = p.Addr().String()
	return p, u.String()
}

// awaitThaw returns once nothing is frozen.
func (p *proxy) awaitThaw() {
	p.frozen.RLock()
	defer p.frozen.RUnlock()
}

func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	go func() {
		io.Copy(server, client)
		server.Close()
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := server.Read(buf)
		if !p.mute.Load() || bytes.Contains(buf[:n], []byte("COMMIT\x00")) || bytes.Contains(buf[:n], []byte("UPDATE 1\x00")) {
			p.awaitThaw()
		}
		if err != nil || bytes.Contains(buf[:n], []byte("COMMIT\x00")) && p.cut.CompareAndSwap(true, false) {
			return
		}
		if _, err := client.Write(buf[:n]); err != nil {
			return
		}
	}
}

// If the connection is cut between COMMIT and its response, Record returns an error. The report
// may have been recorded, but at most once.
func TestConnectionCutDuringCommit(t *testing.T) {
	t.Parallel()
	name := pgtest.Database(t)
	s := open(t, name)
	p, through := newProxy(t, name)
	w := writer(t, open(t, through))
	defer w.Close()
	sent := map[uuid.UUID]bool{} // whether it was acknowledged
	for i := range 10 {
		r := report("1.0.0")
		p.cut.Store(i%2 == 1)
		_, err := w.Record(context.Background(), "opa", linux, r)
		if cut := i%2 == 1; cut != (err != nil) {
			t.Errorf("report %d: got error %v, want one: %v", i, err, cut)
		}
		sent[r.ID] = err == nil
		if err != nil {
			awaitReady(t, w)
		}
	}
	late := 0
	for _, r := range recorded(t, s, "opa") {
		acknowledged, ok := sent[r.ID]
		if !ok {
			t.Errorf("report %s was recorded twice or never sent", r.ID)
		}
		delete(sent, r.ID)
		if !acknowledged {
			late++
		}
	}
	for id, acknowledged := range sent {
		if acknowledged {
			t.Errorf("acknowledged report %s was lost", id)
		}
	}
	if late == 0 {
		t.Error("got no report that was recorded but not acknowledged, want some")
	}
}

// Recording into a database that stops responding ends in time, without waiting for a TCP
// timeout.
func TestFrozenDatabase(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a write timeout")
	}
	t.Parallel()
	p, through := newProxy(t, pgtest.Database(t))
	w := writer(t, open(t, through))
	defer w.Close()
	p.frozen.Lock()
	begin := time.Now()
	if _, err := w.Record(context.Background(), "opa", linux, report("1.0.0")); err == nil {
		t.Error("Record without a response: got no error")
	}
	if d := time.Since(begin); d > 30*time.Second {
		t.Errorf("Record returned after %v, want at most 30s", d)
	}
	p.frozen.Unlock()
	awaitReady(t, w)
	if _, err := w.Record(context.Background(), "opa", linux, report("1.0.0")); err != nil {
		t.Error(err)
	}
}

// A primary that was replaced may still accept connections, but its commits never return. The
// store then uses the next host of the URL.
func TestReplacedPrimary(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a write timeout")
	}
	t.Parallel()
	name := pgtest.Database(t)
	p, through := newProxy(t, name)
	other := name[strings.Index(name, "@")+1 : strings.LastIndex(name, "/")]
	s := open(t, strings.Replace(through, p.Addr().String(), p.Addr().String()+","+other, 1))
	w := writer(t, s)
	defer w.Close()
	if _, err := w.Record(context.Background(), "opa", linux, report("1.0.0")); err != nil {
		t.Fatal(err)
	}
	p.mute.Store(true)
	p.frozen.Lock()
	defer p.frozen.Unlock()
	if _, err := w.Record(context.Background(), "opa", linux, report("1.0.0")); err == nil {
		t.Error("Record without a response: got no error")
	}
	awaitReady(t, w)
	if _, err := w.Record(context.Background(), "opa", linux, report("1.0.0")); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := errOf2(s.Withdraw(ctx, "opa", "v1.0.0", true)); !errors.Is(err, db.ErrNotFound) {
		t.Errorf("change through the other host: got error %v, want ErrNotFound", err)
	}
}
