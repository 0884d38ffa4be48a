package command_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/google/uuid"
	_ "modernc.org/sqlite"

	"relcheck/checker"
)

func serveBare(h http.HandlerFunc) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Printf("listening on http://%s\n", l.Addr())
	panic(http.Serve(l, h))
}

// insertEach is the naive way: one durable INSERT a request.
func insertEach(path string) http.HandlerFunc {
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

// insertInto returns what makes one row durable.
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
