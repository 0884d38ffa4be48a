package db_test

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/semver"

	"relcheck/db"
)

// These environment variables make the test binary upgrade the store of that name, with or
// without a transaction. The process prints a line when it begins and when it is done.
const (
	upgradeRole = "RELCHECK_TEST_UPGRADE"
	noTxRole    = "RELCHECK_TEST_UPGRADE_WITHOUT_TX"
)

// fillers is the number of tables that the last step creates in addition in these processes,
// so that it takes long enough to be killed.
const fillers = 40

func fillerTables() string {
	var text strings.Builder
	for i := range fillers {
		fmt.Fprintf(&text, "\nCREATE TABLE filler%d (i BIGINT);", i)
	}
	return text.String()
}

func upgradeUntilKilled(name string) {
	db.ExtendLastStep(fillerTables())
	fmt.Println("begin")
	s, err := db.OpenExisting(context.Background(), name)
	if err != nil {
		panic(err)
	}
	if from, _ := s.Upgraded(); from != 0 {
		fmt.Println("done")
	}
	select {}
}

func upgradeWithoutTx(name string) {
	driver, dsn := "pgx", name
	if !strings.HasPrefix(name, "postgres://") {
		driver, dsn = "sqlite", "file:"+name+"?_busy_timeout=5000"
	}
	d, err := sql.Open(driver, dsn)
	if err != nil {
		panic(err)
	}
	fmt.Println("begin")
	var from int
	if err := d.QueryRow("SELECT value FROM setting WHERE name = 'schema'").Scan(&from); err != nil {
		panic(err)
	}
	text := fmt.Sprintf("UPDATE setting SET value = %d WHERE name = 'schema';", len(db.Steps)+1) + strings.Join(db.Steps[from-1:], "\n") + fillerTables()
	for _, q := range strings.SplitAfter(text, ";") {
		if _, err := d.Exec(q); err != nil {
			panic(err)
		}
	}
	fmt.Println("done")
	select {}
}

// upgradeState is how much of an upgrade a store contains.
type upgradeState int

const (
	notUpgraded upgradeState = iota
	partlyUpgraded
	fullyUpgraded
)

// undoUpgrade undoes the upgrade from schema 2 or 3, and returns how much of it the store
// contained. The schema between two steps counts as not upgraded.
func undoUpgrade(t *testing.T, name string, from int) upgradeState {
	t.Helper()
	d := raw(t, name)
	defer d.Close()
	awaitDisconnect(t, name, d)
	tables := "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name "
	columns := "SELECT count(*) FROM (SELECT name FROM pragma_table_info('product') UNION ALL SELECT name FROM pragma_table_info('report')) AS columns WHERE name "
	if strings.HasPrefix(name, "postgres://") {
		tables = "SELECT count(*) FROM pg_tables WHERE tablename "
		columns = "SELECT count(*) FROM information_schema.columns WHERE table_name IN ('product', 'report') AND column_name "
	}
	created := db.Tables(db.Steps[4])
	var step2, step3, step4, step5, first, step6, n, schema, setting int
	err := d.QueryRow("SELECT ("+tables+"= 'session'), ("+tables+"IN ('hosted_file', 'applied_bundle')), ("+columns+"IN ('aliases', 'dialects')), ("+tables+"IN ('"+strings.Join(created, "', '")+"')), ("+columns+"= 'first'), ("+columns+"= 'hidden'), ("+tables+"LIKE 'filler%'), "+
		"(SELECT value FROM setting WHERE name = 'schema'), (SELECT count(*) FROM setting WHERE name = 'store')").Scan(&step2, &step3, &step4, &step5, &first, &step6, &n, &schema, &setting)
	if err != nil {
		t.Fatal(err)
	}
	if n > 0 {
		var drop strings.Builder
		for i := range fillers {
			fmt.Fprintf(&drop, "DROP TABLE IF EXISTS filler%d;", i)
		}
		if _, err := d.Exec("BEGIN;" + drop.String() + "COMMIT"); err != nil {
			t.Fatal(err)
		}
	}
	if schema != from || n > 0 {
		downgrade(t, name, from)
	}
	switch [9]int{schema, step2, setting, step3, step4, step5, first, step6, n} {
	case [9]int{2}, [9]int{3, 1, 1}, [9]int{4, 1, 1, 2}, [9]int{5, 1, 1, 2, 2}, [9]int{6, 1, 1, 2, 2, len(created), 1}:
		return notUpgraded
	case [9]int{7, 1, 1, 2, 2, len(created), 1, 1, fillers}:
		return fullyUpgraded
	}
	return partlyUpgraded
}

// awaitDisconnect waits until PostgreSQL has closed the connections of killed processes, which
// may still be committing.
func awaitDisconnect(t *testing.T, name string, d *sql.DB) {
	t.Helper()
	if !strings.HasPrefix(name, "postgres://") {
		return
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		var others int
		err := d.QueryRow("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()").Scan(&others)
		switch {
		case err != nil:
			t.Fatal(err)
		case others == 0:
			return
		case time.Now().After(deadline):
			t.Fatalf("timeout: %d connections of killed processes are open", others)
		}
	}
}

// killUpgrades kills upgrades at random moments and counts the states that they leave. It
// adjusts maxDelay, the longest time before a kill, to the speed of the machine.
func killUpgrades(t *testing.T, role, name string, from, kills int, maxDelay *time.Duration) (count [fullyUpgraded + 1]int) {
	t.Helper()
	for range kills {
		done := runAndKill(t, role, name, rand.N(*maxDelay))
		state := undoUpgrade(t, name, from)
		if done && state != fullyUpgraded {
			t.Errorf("%s printed that it was done: got state %d, want %d", role, state, fullyUpgraded)
		}
		switch state { // aim for half of the kills after the upgrade
		case fullyUpgraded:
			*maxDelay = *maxDelay * 4 / 5
		case notUpgraded:
			*maxDelay = *maxDelay * 6 / 5
		}
		count[state]++
	}
	t.Logf("%s: %d kills left the old schema %d times, the new one %d times, and a mixture %d times; the last maximum delay was %v",
		role, kills, count[notUpgraded], count[fullyUpgraded], count[partlyUpgraded], *maxDelay)
	return count
}

var upgradeKills = flag.Int("upgrade-kills", 30, "number of times that an upgrade is killed; make test-crash kills 100 times")

// A killed upgrade leaves the old schema or the new one, with all rows, and never a mixture.
// In the control, an upgrade without a transaction leaves mixtures.
func TestUpgradeKilled(t *testing.T) {
	kills, control := *upgradeKills, 10
	skipRace(t)
	for engine, newStore := range engines {
		for _, from := range []int{2, 3} {
			t.Run(fmt.Sprintf("%s from schema %d", engine, from), func(t *testing.T) {
				t.Parallel()
				name := newStore(t)
				undisturbed := newStore(t)
				for _, name := range []string{name, undisturbed} {
					createOldStore(t, name, 2)
					addOldReleases(t, name)
					if from == 3 {
						upgradeTo3(t, name)
					}
				}
				open(t, undisturbed)
				before := dumpTables(t, name, db.Tables(schemaAt(t, from)))
				maxDelay := 150 * time.Millisecond
				count := killUpgrades(t, upgradeRole, name, from, kills, &maxDelay)
				if count[partlyUpgraded] > 0 {
					t.Errorf("got %d partial upgrades of %d, want none", count[partlyUpgraded], kills)
				}
				if count[notUpgraded] < kills/10 || count[fullyUpgraded] < kills/10 {
					t.Errorf("%d kills left the old schema %d times and the new one %d times, want each %d times", kills, count[notUpgraded], count[fullyUpgraded], kills/10)
				}
				checkRows(t, before, dumpTables(t, name, db.Tables(schemaAt(t, from))))
				partial := 0
				for try := 0; try < 10 && partial == 0; try++ {
					partial = killUpgrades(t, noTxRole, name, from, control, &maxDelay)[partlyUpgraded]
				}
				if partial == 0 {
					t.Error("got no partial upgrade without a transaction, want some")
				}
				if got, _ := open(t, name).Upgraded(); int(got) != from {
					t.Errorf("got an upgrade from schema %d at the end, want from %d", got, from)
				}
				layers := []string{"release_layer", "file_layer", "product"}
				if diff := cmp.Diff(dumpTables(t, undisturbed, layers), dumpTables(t, name, layers)); diff != "" {
					t.Errorf("the upgrade after the kills differs from an undisturbed one (-undisturbed +after kills):\n%s", diff)
				}
			})
		}
	}
}

// upgradeTo3 upgrades a store from schema 2 to 3, as relcheck with schema 3 did.
func upgradeTo3(t testing.TB, name string) {
	t.Helper()
	d := raw(t, name)
	defer d.Close()
	execute(t, d, "UPDATE setting SET value = 3 WHERE name = 'schema'; "+db.Steps[1]+" UPDATE setting SET value = 12345 WHERE name = 'store'")
}

// addOldReleases adds the releases of a real project to a store with schema 2, each with
// files. Some were changed by hand, and some are withdrawn or retracted.
func addOldReleases(t *testing.T, name string) {
	t.Helper()
	text, err := os.ReadFile("../checker/version/testdata/tags/traefik__traefik.txt")
	if err != nil {
		t.Fatal(err)
	}
	d := raw(t, name)
	defer d.Close()
	tx, err := d.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	exec := func(q string, args ...any) {
		if _, err := tx.Exec(q, args...); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	_, tags, _ := strings.Cut(string(text), "\n") // after a comment
	for tag := range strings.FieldsSeq(tags) {
		if semver.Canonical(tag) != tag {
			continue
		}
		n++
		bare, retracted, withdrawn := tag[1:], "", any(nil)
		if n%10 == 0 {
			retracted = "broken"
		}
		if n%7 == 0 {
			withdrawn = n%2 == 0
		}
		if n%5 == 0 {
			exec("INSERT INTO audit VALUES ($1, 1700000000, '', 'release.added', 'app', $2)", 1000+n, bare)
		}
		if tag == "v1.0.0" || tag == "v1.1.0" { // are there
			continue
		}
		exec("INSERT INTO release VALUES (3, $1, $2, $3, $4, $5, $6, $7)", tag, bare, "https://example.com/"+bare, 1_500_000_000+n, semver.Prerelease(tag) != "", retracted, withdrawn)
		for _, arch := range []string{"amd64", "arm64"} {
			exec("INSERT INTO asset VALUES (3, $1, 'linux', $2, $3)", tag, arch, "https://example.com/"+bare+"/app_"+arch)
		}
	}
	if err := tx.Commit(); err != nil || n < 100 {
		t.Fatalf("got %d tags (error %v), want at least 100", n, err)
	}
}

func checkRows(t *testing.T, before, after map[string][]string) {
	t.Helper()
	for table, rows := range before {
		if fmt.Sprint(rows) != fmt.Sprint(after[table]) {
			t.Errorf("table %s: got rows %v, want %v", table, after[table], rows)
		}
	}
}
