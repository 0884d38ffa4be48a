package server_test

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"relcheck/checker/server"
	"relcheck/checker/simulate"
	"relcheck/checker/stats"
	"relcheck/checker/stats/fleet"
	"relcheck/checker/stats/rollup"
	"relcheck/db"
)

// newFleet returns a service with the reports of a simulated fleet, up to now.
func newFleet(t testing.TB, o server.Options) *service {
	t.Helper()
	at := filepath.Join(t.TempDir(), "relcheck.db")
	file, err := fleetStore()
	if err == nil {
		err = os.WriteFile(at, file, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return newServiceWith(t, serviceOptions{Options: o, at: at})
}

// fleetStore returns the content of the database file of such a service. It is created
// once, because that takes seconds.
var fleetStore = sync.OnceValues(func() ([]byte, error) {
	folder, err := os.MkdirTemp("", "")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	at := filepath.Join(folder, "relcheck.db")
	if err := fillFleet(context.Background(), at, time.Now()); err != nil {
		return nil, err
	}
	return os.ReadFile(at)
})

func fillFleet(ctx context.Context, at string, now time.Time) error {
	schema, err := os.ReadFile("../../schema.sql")
	if err != nil {
		return err
	}
	s, err := db.Open(ctx, at, string(schema))
	if err != nil {
		return err
	}
	f := fleet.Fleet{Seed: 7, Days: 60, End: rollup.DayOf(now), Instances: 200, Every: 12 * time.Hour, Remember: 0.2}
	past := simulate.Backfill{Fleet: f, Product: "opa", Until: now}
	if err = past.Publish(ctx, s); err == nil {
		_, err = past.Run(ctx, s)
	}
	if err == nil {
		_, err = s.Fold(ctx)
	}
	return errors.Join(err, s.Close())
}

type apiList struct {
	Products []struct {
		Name, Title, Latest, Stats string
		Instances, Installations   *int64
	}
	Tables []struct {
		Name, JSON, CSV string
		Columns         []struct{ Name, Kind string }
	}
}

// list returns the response to an API request that lists products or tables.
func (s *service) list(t testing.TB, path, token string) (l apiList) {
	t.Helper()
	res, body := s.read(t, path, token)
	if err := json.Unmarshal([]byte(body), &l); err != nil || res.StatusCode != 200 {
		t.Fatalf("%s: got %s (error %v), want 200 and JSON\n%s", path, res.Status, err, body)
	}
	return l
}

// TestAPITablesInJSONAndCSV checks that each table that the API lists has the same values
// in JSON and in CSV.
func TestAPITablesInJSONAndCSV(t *testing.T) {
	s := newFleet(t, server.Options{})
	_, token := s.token(t)
	products := s.list(t, "/api/v1/products", token).Products
	if len(products) != 2 || products[0].Name != "opa" || products[0].Instances == nil || *products[0].Instances < 500 || products[0].Latest == "" ||
		products[0].Installations == nil || *products[0].Installations < 50 || products[1].Installations != nil {
		t.Fatalf("got products %+v, want opa with 500 instances and 50 installations or more, and one other", products)
	}
	tables := s.list(t, products[0].Stats+"?days=14&os=linux", token).Tables
	for i, table := range tables {
		if i >= len(stats.TableNames) || table.Name != stats.TableNames[i] {
			t.Fatalf("got tables %v, want %v", tables, stats.TableNames)
		}
		res, body := s.read(t, table.JSON, token)
		var d struct {
			Product, Table string
			Filter         struct{ OS, Arch *string }
			Columns        []struct{ Name, Kind string }
			Rows           []map[string]json.RawMessage
		}
		if err := json.Unmarshal([]byte(body), &d); err != nil || res.StatusCode != 200 || d.Product != "opa" || d.Table != table.Name ||
			*d.Filter.OS != "linux" || d.Filter.Arch != nil || !slices.Equal(d.Columns, table.Columns) {
			t.Errorf("%s: got %s (error %v), want 200 and the requested table\n%.1000s", table.JSON, res.Status, err, body)
		}
		if len(d.Rows) == 0 && !strings.HasSuffix(table.Name, "monthly") {
			t.Errorf("%s: got no rows, want some", table.Name)
		}
		res, body = s.read(t, table.CSV, token)
		records, err := csv.NewReader(strings.NewReader(body)).ReadAll()
		if err != nil || len(records) != len(d.Rows)+1 || res.Header.Get("Content-Type") != "text/csv; charset=utf-8; header=present" ||
			!strings.HasPrefix(res.Header.Get("Content-Disposition"), "attachment; filename=opa-"+table.Name+"-20") {
			t.Fatalf("%s: got %s, headers %v (error %v), want a CSV file with %d rows\n%.1000s", table.CSV, res.Status, res.Header, err, len(d.Rows), body)
		}
		for i, row := range d.Rows {
			for j, c := range table.Columns {
				want := plainText(row[c.Name])
				if c.Kind == "text" && want != "" && strings.Contains("+-", want[:1]) { // the fleet has versions like --
					want = "'" + want
				}
				if got := records[i+1][j]; got != want || records[0][j] != c.Name {
					t.Errorf("%s, row %d, %s: got %q in CSV, want %q as in JSON", table.Name, i, c.Name, got, want)
				}
			}
		}
	}
}

// plainText returns a JSON value as it is written in CSV.
func plainText(raw json.RawMessage) (s string) {
	if json.Unmarshal(raw, &s) == nil { // also null
		return s
	}
	return string(raw)
}

func TestAPIErrors(t *testing.T) {
	s := newService(t)
	_, token := s.token(t)
	const table = "/api/v1/products/opa/stats/versions"
	for path, want := range map[string]string{
		"/api/v1/products?x=1":                                  "400 unknown_parameter x",
		"/api/v1/products/nope/stats":                           "404 unknown_product ",
		"/api/v1/products/nope/stats/versions":                  "404 unknown_product ",
		"/api/v1/products/opa/stats?format=csv":                 "400 unknown_parameter format",
		"/api/v1/products/opa/stats/nope":                       "404 unknown_table ",
		"/api/v1/products/opa/stats/%3Cscript%3E":               "404 unknown_table ",
		table + "?days=0":                                       "400 invalid_query days",
		table + "?days=7&from=2026-01-01":                       "400 invalid_query days",
		table + "?from=2026-02-30":                              "400 invalid_query from",
		table + "?to=9999-01-01":                                "400 invalid_query to",
		table + "?os=amiga":                                     "400 invalid_query os",
		table + "?version=%1B[31m":                              "400 invalid_query version",
		table + "?above=much":                                   "400 invalid_query above",
		table + "?compare=v1":                                   "400 invalid_query compare",
		table + "?below=x":                                      "400 invalid_query below",
		table + "?format=xml":                                   "400 invalid_query format",
		table + "?os=linux&os=darwin":                           "400 invalid_query os",
		table + "?day=7":                                        "400 unknown_parameter day",
		table + "?a;b":                                          "400 invalid_query ",
		table + "?os=%zz":                                       "400 invalid_query ",
		table + "?compare=v1.0.0..v2.0.0&above=1GiB&format=csv": "200  ",
	} {
		res, body := s.read(t, path, token)
		var e struct {
			Error struct{ Code, Field, Message string }
		}
		json.Unmarshal([]byte(body), &e)
		if got := fmt.Sprintf("%d %s %s", res.StatusCode, e.Error.Code, e.Error.Field); got != want || res.StatusCode != 200 && e.Error.Message == "" {
			t.Errorf("%s: got %s, want %s and a message\n%s", path, got, want, body)
		}
		if got := res.Header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("%s: got Cache-Control %q, want no-store", path, got)
		}
	}
}

func TestAPIFormat(t *testing.T) {
	s := newService(t)
	_, token := s.token(t)
	const path = "/api/v1/products/opa/stats/summary"
	for _, c := range []struct{ query, accept, want string }{
		{"", "", "application/json"},
		{"", "*/*", "application/json"},
		{"", "text/html,application/json", "application/json"},
		{"", "text/csv", "text/csv; charset=utf-8; header=present"},
		{"?format=json", "text/csv", "application/json"},
		{"?format=csv", "application/json", "text/csv; charset=utf-8; header=present"},
	} {
		res, _ := s.read(t, path+c.query, token, "Accept", c.accept)
		if got := res.Header.Get("Content-Type"); got != c.want {
			t.Errorf("%s with Accept: %s: got type %s, want %s", c.query, c.accept, got, c.want)
		}
	}
}
