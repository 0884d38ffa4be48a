package systemtest

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/uuid"

	"relcheck/checker"
)

// The installations of TestReportsCannotBeLinked, and how many reports each one sends.
const (
	linkedInstallations = 30
	linkedReports       = 4
)

// TestReportsCannotBeLinked looks for links between the reports of an installation in everything
// that a server stores, logs, exports and backs up. The reader knows which reports belong
// together, and searches for a value that two reports of one installation have and no report of
// another. Without an instance ID there is none, although each installation has its own
// address, and always sends the same header. In the control, all installations send one.
func TestReportsCannotBeLinked(t *testing.T) {
	t.Parallel()
	if links := linksBetweenReports(t, false); len(links) > 0 {
		t.Errorf("got %d values that link reports without an instance ID, want none, for example %q", len(links), links[0])
	}
	if links := linksBetweenReports(t, true); len(links) < linkedInstallations {
		t.Errorf("got %d values that link reports with an instance ID, want one or more for each of %d installations: the test searches the wrong places", len(links), linkedInstallations)
	}
}

func linksBetweenReports(t *testing.T, withID bool) []string {
	t.Helper()
	store := filepath.Join(t.TempDir(), "relcheck.db")
	served := serve(t, store)
	relcheck(t, "release", "add", "opa", "v1.0.0", "--db", store)
	var order []int // installations, by report
	ids := make([]uuid.UUID, linkedInstallations)
	lasts := make([]checker.Last, linkedInstallations)
	for i := range ids {
		lasts[i] = checker.NeverAnswered
		if withID {
			ids[i] = uuid.New()
		}
	}
	for range linkedReports {
		for _, i := range rand.Perm(linkedInstallations) {
			lasts[i] = reportFrom(t, served.url, i, checker.Report{ID: ids[i], Version: "1.0.0", Last: lasts[i]})
			order = append(order, i)
		}
	}
	waitFor(t, "folded reports", func() bool {
		var reports int
		err := openSQLite(t, store).QueryRow("SELECT COALESCE(sum(reports), 0) FROM rollup").Scan(&reports)
		return err == nil && reports == len(order)
	})
	backup := filepath.Join(t.TempDir(), "backup.db")
	relcheck(t, "backup", backup, "--db", store)
	exported := relcheck(t, "export", "opa", "--db", store)
	served.stop(t)

	l := &linker{order: order, found: map[string]map[int]int{}}
	l.addTables(t, "store", store)
	l.addTables(t, "backup", backup)
	l.addLines("export", exported)
	l.addLines("log", served.errs.String())
	return l.links()
}

// reportFrom sends a report from an address of the installation, and returns the day of the
// answer.
func reportFrom(t *testing.T, url string, installation int, r checker.Report) checker.Last {
	t.Helper()
	heap := int64(50_000_000 + 1_000_003*installation)
	r.HeapUsageBytes = &heap
	body, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	from := &net.TCPAddr{IP: net.IPv4(127, 77, 0, byte(installation+1))}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: (&net.Dialer{LocalAddr: from}).DialContext}}
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url+"/v1/version", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", fmt.Sprintf("Open Policy Agent/1.0.0 (linux, amd64) installation-%d", installation))
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer checker.Answer
	text, err := io.ReadAll(response.Body)
	if err == nil {
		err = json.Unmarshal(text, &answer)
	}
	day, dayErr := checker.ParseLast(answer.Day)
	if err != nil || dayErr != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("got %s %s (error %v, %v), want 200 and a day", response.Status, text, err, dayErr)
	}
	return day
}

// linker finds values that link reports.
type linker struct {
	order []int                  // installations, by report
	found map[string]map[int]int // by place and value: how many reports of each installation have it
}

// add adds what a place has about the nth report.
func (l *linker) add(n int, place string, value any) {
	key := fmt.Sprintf("%s: %v", place, value)
	if l.found[key] == nil {
		l.found[key] = map[int]int{}
	}
	l.found[key][l.order[n]]++
}

// links returns the values that two or more reports of one installation have, and no others.
func (l *linker) links() (all []string) {
	for value, reports := range l.found {
		for _, n := range reports {
			if len(reports) == 1 && n > 1 {
				all = append(all, value)
			}
		}
	}
	return all
}

// addTables adds all tables that have a row for each report. Others cannot tell reports apart.
func (l *linker) addTables(t *testing.T, place, file string) {
	t.Helper()
	d := openSQLite(t, file)
	rows, err := d.Query("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
	if err != nil {
		t.Fatal(err)
	}
	var tables []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		tables = append(tables, name)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	added := 0
	for _, table := range tables {
		if l.addTable(t, d, place, table) {
			added++
		}
	}
	if added == 0 {
		t.Errorf("got no table of %q with a row for each report", tables)
	}
}

func (l *linker) addTable(t *testing.T, d *sql.DB, place, table string) bool {
	t.Helper()
	var count int
	if err := d.QueryRow("SELECT count(*) FROM " + table).Scan(&count); err != nil {
		t.Fatal(err)
	}
	if count != len(l.order) {
		return false
	}
	rows, err := d.Query("SELECT * FROM " + table + " ORDER BY rowid")
	if err != nil { // WITHOUT ROWID
		rows, err = d.Query("SELECT * FROM " + table)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; rows.Next(); n++ {
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		for i, value := range values {
			l.add(n, place+" "+table+"."+columns[i], value)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return true
}

var wordPattern = regexp.MustCompile(`[A-Za-z0-9_.-]+`)

// addLines adds the words of a text with a line for each report. If it has fewer lines, each
// word that occurs several times could only be about an installation if it is its ID or
// address, so it is added for all installations whose ID or address has it.
func (l *linker) addLines(place, text string) {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) == len(l.order) {
		for n, line := range lines {
			for _, word := range wordPattern.FindAllString(line, -1) {
				l.add(n, place, word)
			}
		}
		return
	}
	for n, installation := range l.order {
		if address := fmt.Sprintf("127.77.0.%d", installation+1); strings.Contains(text+"\n", address) {
			l.add(n, place, address)
		}
	}
}
