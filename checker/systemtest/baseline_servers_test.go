package systemtest

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/google/uuid"
	_ "modernc.org/sqlite"

	"relcheck/checker"
)

func serveHandler(h http.HandlerFunc) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Printf("listening on http://%s\n", l.Addr())
	panic(http.Serve(l, h))
}

// insertPerRequest records naively: with one durable INSERT per request.
func insertPerRequest(path string) http.HandlerFunc {
	insert := insertInto(path)
	return func(w http.ResponseWriter, r *http.Request) {
		var report checker.Report
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = json.Unmarshal(body, &report)
		}
		if err == nil {
			err = insert(report.ID, *report.HeapUsageBytes)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	}
}

// syncInBatches is the minimum that durable recording can take: it writes each body to a
// file as it is, and requests that arrive during a sync share the next one. The file does
// not grow, like SQLite's WAL.
func syncInBatches(path string) http.HandlerFunc {
	const size = 4 << 20
	file, err := os.Create(path)
	if err == nil {
		_, err = file.Write(make([]byte, size))
	}
	if err != nil {
		panic(err)
	}
	type batch struct {
		bytes.Buffer
		done chan struct{}
	}
	var mu sync.Mutex
	open, wake := &batch{done: make(chan struct{})}, make(chan struct{}, 1)
	go func() {
		for at := int64(0); ; {
			<-wake
			mu.Lock()
			b := open
			open = &batch{done: make(chan struct{})}
			mu.Unlock()
			if at+int64(b.Len()) > size {
				at = 0
			}
			n, err := file.WriteAt(b.Bytes(), at)
			if err := errors.Join(err, file.Sync()); err != nil {
				panic(err)
			}
			at += int64(n)
			close(b.done)
		}
	}()
	return func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(err)
		}
		mu.Lock()
		b := open
		b.Write(body)
		select {
		case wake <- struct{}{}:
		default:
		}
		mu.Unlock()
		<-b.done
	}
}

// insertInto returns a function that durably inserts one row.
func insertInto(path string) func(id uuid.UUID, heap int64) error {
	db, err := sql.Open("sqlite", "file:"+path+"?_txlock=immediate&_busy_timeout=10000&_synchronous=FULL")
	if err != nil {
		panic(err)
	}
	db.SetMaxOpenConns(1)
	insert, err := db.Prepare("INSERT INTO report (product, at, build, instance, heap) VALUES (1, $1, 1, $2, $3)")
	if err != nil {
		panic(err)
	}
	return func(id uuid.UUID, heap int64) error {
		_, err := insert.Exec(time.Now().Unix(), id[:], heap)
		return err
	}
}

// importInOneTransaction imports n releases in one transaction.
func importInOneTransaction(store string, n int) error {
	d, err := sql.Open("sqlite", "file:"+store+"?mode=rw&_txlock=immediate&_busy_timeout=10000&_synchronous=FULL")
	if err != nil {
		return err
	}
	tx, err := d.Begin()
	if err == nil {
		err = os.WriteFile(store+"-begun", nil, 0o600)
	}
	for i := 0; i < n && err == nil; i++ {
		_, err = tx.Exec("INSERT INTO release_layer (product, tag, layer, id, list, gone, revision) VALUES (1, $1, 0, $2, '', false, 0)", fmt.Sprintf("v1.%d.0", i), i)
	}
	if err == nil {
		err = tx.Commit()
	}
	return err
}
