package command_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
)

// loader sends reports over a number of connections, each waiting for its
// answer before the next, with as little work of its own as it can.
type loader struct {
	addr  string // HOST:PORT
	conns int
	// answered, if not nil, is called with the id of each report that is recorded.
	answered func(id uuid.UUID)
	// took, if not nil, is called with the time that each answer took.
	took func(time.Duration)

	done atomic.Int64 // answers with status 200
	bad  atomic.Int64 // other answers
}

// acknowledged collects the ids of reports that were answered with 200.
type acknowledged struct {
	sync.Mutex
	ids map[uuid.UUID]bool
}

func (a *acknowledged) add(id uuid.UUID) {
	a.Lock()
	defer a.Unlock()
	if a.ids == nil {
		a.ids = map[uuid.UUID]bool{}
	}
	a.ids[id] = true
}

// soFar returns those that were until now.
func (a *acknowledged) soFar() map[uuid.UUID]bool {
	a.Lock()
	defer a.Unlock()
	return maps.Clone(a.ids)
}

// areIn wants each of them once among the ids that were exported.
func (a *acknowledged) areIn(t testing.TB, exported map[uuid.UUID]int) {
	t.Helper()
	for id := range a.ids {
		if exported[id] != 1 {
			t.Errorf("%s was acknowledged, and is there %d times", id, exported[id])
		}
	}
}

// run sends until ctx ends. It returns the first error of a connection that
// came earlier than that.
func (l *loader) run(ctx context.Context) error {
	errs := make(chan error, l.conns)
	var wg sync.WaitGroup
	for range l.conns {
		wg.Go(func() {
			if err := l.connection(ctx); err != nil && ctx.Err() == nil {
				errs <- err
			}
		})
	}
	wg.Wait()
	close(errs)
	return <-errs
}

func (l *loader) connection(ctx context.Context) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", l.addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	request, id := reportRequest(l.addr)
	random := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	answers := bufio.NewReaderSize(conn, 4096)
	for ctx.Err() == nil {
		one := randomID(random)
		encodeID(id, one)
		begin := time.Now()
		if _, err := conn.Write(request); err != nil {
			return err
		}
		status, recorded, err := readAnswer(answers)
		if l.took != nil {
			l.took(time.Since(begin))
		}
		switch {
		case err != nil:
			return err
		case status != http.StatusOK:
			l.bad.Add(1)
			continue
		}
		l.done.Add(1)
		if recorded && l.answered != nil {
			l.answered(one)
		}
	}
	return nil
}

// reportRequest returns the bytes that OPA v0.70.0 sends, and the part of them
// that is the id.
func reportRequest(host string) (request, id []byte) {
	const placeholder = "00000000-0000-4000-8000-000000000000"
	body := `{"heap_usage_bytes":"2664880","id":"` + placeholder + `","version":"0.70.0"}` + "\n"
	request = fmt.Appendf(nil, "POST /v1/version HTTP/1.1\r\nHost: %s\r\nUser-Agent: Open Policy Agent/0.70.0 (linux, amd64)\r\n"+
		"Content-Length: %d\r\nContent-Type: application/json\r\nAccept-Encoding: gzip\r\n\r\n%s", host, len(body), body)
	at := bytes.Index(request, []byte(placeholder))
	return request, request[at : at+len(placeholder)]
}

// randomID is a version 4 UUID from a source that is quick, not secret.
func randomID(r *rand.Rand) (id uuid.UUID) {
	a, b := r.Uint64(), r.Uint64()
	for i := range 8 {
		id[i], id[i+8] = byte(a>>(8*i)), byte(b>>(8*i))
	}
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return id
}

func encodeID(dst []byte, id uuid.UUID) {
	hex.Encode(dst[0:8], id[0:4])
	hex.Encode(dst[9:13], id[4:6])
	hex.Encode(dst[14:18], id[6:8])
	hex.Encode(dst[19:23], id[8:10])
	hex.Encode(dst[24:36], id[10:16])
}

// readAnswer reads one HTTP answer that tells its length, and whether it says
// that nothing was recorded.
func readAnswer(r *bufio.Reader) (status int, recorded bool, err error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return 0, false, err
	}
	if len(line) < len("HTTP/1.1 200") {
		return 0, false, errors.New("not an HTTP answer")
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, false, err
	}
	length, recorded := 0, true
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return 0, false, err
		}
		if len(line) <= 2 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(": "))
		switch string(name) {
		case "Content-Length":
			length, _ = strconv.Atoi(string(bytes.TrimSpace(value)))
		case "Relcheck-Recorded":
			recorded = false
		}
	}
	_, err = r.Discard(length)
	return status, recorded, err
}

func TestLoaderTellsAnswersApart(t *testing.T) {
	for answer, want := range map[string]string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi":                          "200 true <nil>",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nRelcheck-Recorded: no\r\n\r\nhi": "200 false <nil>",
		"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n":                            "503 true <nil>",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi":                          "200 true EOF",
		"HTTP/1.1 2": "0 false EOF",
	} {
		status, recorded, err := readAnswer(bufio.NewReader(bytes.NewReader([]byte(answer))))
		if got := fmt.Sprint(status, " ", recorded, " ", err); got != want {
			t.Errorf("%q: got %s, want %s", answer, got, want)
		}
	}
}

func rate(l *loader, d time.Duration) (perSecond float64, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	start := time.Now()
	err = l.run(ctx)
	return float64(l.done.Load()) / time.Since(start).Seconds(), err
}
