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

// proxy stands between a store and PostgreSQL, and cuts or freezes what goes through.
type proxy struct {
	net.Listener
	to     string
	cut    atomic.Bool // the next answer to a COMMIT is lost, with its connection
	mute   atomic.Bool // what is committed is not answered while frozen, all else is
	frozen sync.RWMutex
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

// A connection that is cut between COMMIT and its answer means not recorded to
// the caller. That it was recorded all the same counts once at most.
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
		err := w.Record(context.Background(), "opa", linux, r)
		if cut := i%2 == 1; cut != (err != nil) {
			t.Errorf("report %d, cut %v: %v", i, cut, err)
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
			t.Errorf("%s is there twice, or was never sent", r.ID)
		}
		delete(sent, r.ID)
		if !acknowledged {
			late++
		}
	}
	for id, acknowledged := range sent {
		if acknowledged {
			t.Errorf("%s was acknowledged and is not there", id)
		}
	}
	if late == 0 {
		t.Error("no connection was cut after its commit: this has shown nothing")
	}
}

// A database that no longer answers is given up in time, not when TCP says so.
func TestFrozenDatabase(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a write to time out; left out with -short")
	}
	t.Parallel()
	p, through := newProxy(t, pgtest.Database(t))
	w := writer(t, open(t, through))
	defer w.Close()
	p.frozen.Lock()
	begin := time.Now()
	if err := w.Record(context.Background(), "opa", linux, report("1.0.0")); err == nil {
		t.Error("recorded without an answer")
	}
	if d := time.Since(begin); d > 30*time.Second {
		t.Errorf("gave up after %v", d)
	}
	p.frozen.Unlock()
	awaitReady(t, w)
	if err := w.Record(context.Background(), "opa", linux, report("1.0.0")); err != nil {
		t.Error(err)
	}
}

// A primary that was replaced may not know it yet: it takes connections, and its
// commits wait for ever. Though first in the URL, it is passed over.
func TestReplacedPrimary(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a write to time out; left out with -short")
	}
	t.Parallel()
	name := pgtest.Database(t)
	p, through := newProxy(t, name)
	other := name[strings.Index(name, "@")+1 : strings.LastIndex(name, "/")]
	s := open(t, strings.Replace(through, p.Addr().String(), p.Addr().String()+","+other, 1))
	w := writer(t, s)
	defer w.Close()
	if err := w.Record(context.Background(), "opa", linux, report("1.0.0")); err != nil {
		t.Fatal(err)
	}
	p.mute.Store(true)
	p.frozen.Lock()
	defer p.frozen.Unlock()
	if err := w.Record(context.Background(), "opa", linux, report("1.0.0")); err == nil {
		t.Error("recorded without an answer")
	}
	awaitReady(t, w)
	if err := w.Record(context.Background(), "opa", linux, report("1.0.0")); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := s.Withdraw(ctx, "opa", "v1.0.0", true); !errors.Is(err, db.ErrNotFound) {
		t.Errorf("a change by way of the other host: %v", err)
	}
}
