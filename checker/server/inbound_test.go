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
)

// pausing is a store that takes its time for tokens, reports and changes.
type pausing struct {
	halves
	asked, may chan struct{}
}

func (p *pausing) pause() {
	p.asked <- struct{}{}
	<-p.may
}

func (p *pausing) Record(ctx context.Context, product string, from checker.Platform, r *checker.Report) error {
	p.pause()
	return p.halves.Record(ctx, product, from, r)
}

func (p *pausing) As(who string) server.Editor { return pausingEditor{p, p.halves.As(who)} }

type pausingEditor struct {
	of *pausing
	server.Editor
}

func (e pausingEditor) EditRelease(ctx context.Context, product, version string, r catalog.ReleasePatch) (catalog.Release, catalog.Outcome, error) {
	e.of.pause()
	return e.Editor.EditRelease(ctx, product, version, r)
}

func (p *pausing) Token(ctx context.Context, id string) (*access.Token, error) {
	if strings.HasPrefix(id, "aaaaaaa") {
		p.pause()
	}
	return p.halves.Token(ctx, id)
}

// Whoever has sent all of a request is not one of those who keep the server
// waiting, whatever the request is, and does not have to go for others.
func TestWaitingCallersStay(t *testing.T) {
	p := &pausing{asked: make(chan struct{}, 10), may: make(chan struct{})}
	s := newServiceWith(t, serviceOptions{wrap: func(h halves) server.Store { p.halves = h; return p }}, catalog.Release{Version: "v1.0.0"})
	_, token := s.tokenOf(t, access.Release)
	unknown, another := "rcr_aaaaaaaa_"+strings.Repeat("a", 52), "rcr_aaaaaaab_"+strings.Repeat("a", 52)
	for _, c := range []struct {
		line, header, body string
		want               int
	}{
		{"POST /v1/version", "", `{"id":"` + sampleID + `","version":"1.0.0"}`, 200},
		{"PUT " + ofOPA + "/releases/v1.1.0", "Authorization: Bearer " + token + "\r\nContent-Type: application/json\r\n", `{}`, 201},
		{"POST /sign-in", "Content-Type: application/x-www-form-urlencoded\r\nCookie: relcheck-form=1\r\n", "token=" + unknown, 401},
		{"GET /metrics", "Authorization: Bearer " + another + "\r\n", "", 401},
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
		caller := dial()
		fmt.Fprintf(caller, "%s HTTP/1.1\r\nHost: a\r\n%sContent-Length: %d\r\n\r\n%s", c.line, c.header, len(c.body), c.body)
		<-p.asked
		if _, err := dial().Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: one more is let in: %v", c.line, err)
		}
		p.may <- struct{}{}
		if res, err := http.ReadResponse(bufio.NewReader(caller), nil); err != nil || res.StatusCode != c.want {
			t.Errorf("%s: %v, %v", c.line, res, err)
		}
		h.Close()
	}
}
