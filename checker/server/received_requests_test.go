package server_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"relcheck/checker"
	"relcheck/checker/access"
	"relcheck/checker/catalog"
	"relcheck/checker/server"
	"relcheck/checker/server/inbound"
	"relcheck/checker/server/manage"
	"relcheck/checker/stats/rollup"
)

// pausingStore is a store that blocks look-ups of tokens, reports and changes.
type pausingStore struct {
	testStore
	called, proceed chan struct{} // each blocked call sends to called, and receives from proceed
}

func (p *pausingStore) pause() {
	p.called <- struct{}{}
	<-p.proceed
}

func (p *pausingStore) Record(ctx context.Context, product string, from checker.Platform, r *checker.Report) (rollup.Day, error) {
	p.pause()
	return p.testStore.Record(ctx, product, from, r)
}

func (p *pausingStore) As(who string) manage.Store {
	return pausingStoreEditor{p, p.testStore.As(who)}
}

type pausingStoreEditor struct {
	store *pausingStore
	manage.Store
}

func (e pausingStoreEditor) EditRelease(ctx context.Context, product, version string, r catalog.ReleasePatch) (catalog.Release, catalog.Outcome, error) {
	e.store.pause()
	return e.Store.EditRelease(ctx, product, version, r)
}

func (p *pausingStore) Token(ctx context.Context, id string) (*access.Token, error) {
	if strings.HasPrefix(id, "aaaaaaa") {
		p.pause()
	}
	return p.testStore.Token(ctx, id)
}

// TestReceivedRequestIsNotEvicted checks that a connection whose request has been
// received completely is not closed for a new one at the connection limit, whatever the
// request is.
func TestReceivedRequestIsNotEvicted(t *testing.T) {
	p := &pausingStore{called: make(chan struct{}, 10), proceed: make(chan struct{})}
	s := newServiceWith(t, serviceOptions{wrap: func(h testStore) server.Store { p.testStore = h; return p }}, catalog.Release{Tag: "v1.0.0"})
	_, token := s.tokenOf(t, access.Release)
	firstUnknown, secondUnknown := "rcr_aaaaaaaa_"+strings.Repeat("a", 52), "rcr_aaaaaaab_"+strings.Repeat("a", 52)
	for _, c := range []struct {
		line, header, body string
		want               int
	}{
		{"POST /v1/version", "", `{"id":"` + sampleID + `","version":"1.0.0"}`, 200},
		{"PUT " + opaPath + "/releases/v1.1.0", "Authorization: Bearer " + token + "\r\nContent-Type: application/json\r\n", `{}`, 201},
		{"POST /sign-in", "Content-Type: application/x-www-form-urlencoded\r\nCookie: relcheck-form=1\r\n", "token=" + firstUnknown, 401},
		{"GET /metrics", "Authorization: Bearer " + secondUnknown + "\r\n", "", 401},
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		h := &http.Server{Handler: s.handler.Handler()}
		l = inbound.LimitListener(l, 1, h)
		go h.Serve(l)
		dial := func() net.Conn {
			conn, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			conn.SetDeadline(time.Now().Add(10 * time.Second))
			return conn
		}
		client := dial()
		fmt.Fprintf(client, "%s HTTP/1.1\r\nHost: a\r\n%sContent-Length: %d\r\n\r\n%s", c.line, c.header, len(c.body), c.body)
		<-p.called
		if _, err := dial().Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: second connection: got %v, want it closed", c.line, err)
		}
		p.proceed <- struct{}{}
		if res, err := http.ReadResponse(bufio.NewReader(client), nil); err != nil || res.StatusCode != c.want {
			t.Errorf("%s: got response %v (error %v), want status %d", c.line, res, err, c.want)
		}
		h.Close()
	}
}
