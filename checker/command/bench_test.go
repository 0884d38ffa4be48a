package command_test

import (
	"database/sql"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"relcheck/checker"
)

var benchFor = flag.Duration("throughput", 0, "measure requests a second, each handler for this long, in several rounds")

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
	db, err := sql.Open("sqlite", "file:"+path+"?_txlock=immediate&_busy_timeout=10000&_synchronous=FULL")
	if err != nil {
		panic(err)
	}
	db.SetMaxOpenConns(1)
	insert, err := db.Prepare("INSERT INTO report (product, at, build, instance, heap) VALUES (1, $1, 1, $2, $3)")
	if err != nil {
		panic(err)
	}
	return func(w http.ResponseWriter, r *http.Request) {
		var report checker.Report
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = json.Unmarshal(body, &report)
		}
		if err == nil {
			_, err = insert.Exec(time.Now().Unix(), report.ID[:], *report.HeapUsageBytes)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	}
}

// TestThroughput prints requests a second of a handler that does nothing, of
// durable reports in SQLite and in PostgreSQL, and of one INSERT a request, all
// in one run. It runs only when asked to: make bench.
func TestThroughput(t *testing.T) {
	if *benchFor == 0 {
		t.Skip("a benchmark: run it with make bench")
	}
	const rounds = 5
	dir := t.TempDir()
	serve := func(store string) *process {
		return serve(t, store)
	}
	naive := filepath.Join(dir, "naive.db")
	serve(naive).kill() // leaves the schema behind
	subjects := []struct {
		name string
		*process
	}{
		{"nothing", start(t, "nothing")},
		{"sqlite", serve(filepath.Join(dir, "served.db"))},
		{"postgres", serve(database(t))},
		{"insert", start(t, "insert", naive)},
	}
	fmt.Println("requests/s   nothing    sqlite  postgres    insert   sqlite/nothing  postgres/sqlite  sqlite/insert")
	for _, conns := range []int{64, 256} {
		median := map[string]float64{}
		measured := map[string][]float64{}
		for range rounds {
			for _, s := range subjects {
				n, bad, err := rate(newLoad(t, s.addr, conns, nil), *benchFor)
				if err != nil || bad > 0 {
					t.Fatalf("%s: %v, %d requests without an answer of 200", s.name, err, bad)
				}
				measured[s.name] = append(measured[s.name], n)
			}
		}
		for name, all := range measured {
			slices.Sort(all)
			median[name] = all[len(all)/2]
		}
		fmt.Printf("%4d conns  %9.0f %9.0f %9.0f %9.0f %16.2f %16.2f %14.1f\n", conns,
			median["nothing"], median["sqlite"], median["postgres"], median["insert"],
			median["sqlite"]/median["nothing"], median["postgres"]/median["sqlite"], median["sqlite"]/median["insert"])
	}
}
