package db_test

import (
	"context"
	"database/sql"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	_ "github.com/jackc/pgx/v5/stdlib"

	"relcheck/checker"
	"relcheck/db"
	"relcheck/db/faultfs"
	"relcheck/db/pgtest"
)

func TestMain(m *testing.M) {
	if name := os.Getenv(foldRole); name != "" {
		foldUntilKilled(name)
	}
	db.Beneath(lifeFile, faultfs.Name, faultfs.SyncFile, faultfs.Link)
	if name := os.Getenv(upgradeRole); name != "" {
		upgradeUntilKilled(name)
	}
	if name := os.Getenv(carelessRole); name != "" {
		upgradeCarelessly(name)
	}
	if role := os.Getenv(childRole); role != "" {
		beChild(role)
	}
	db.SmallBackups(16) // so that small stores take several
	status := m.Run()
	pgtest.Stop()
	os.Exit(status)
}

// conformance is what a store is required to do, whatever its engine. Each test
// is given the name of a store that is not there yet.
var conformance = []struct {
	name string
	test func(t *testing.T, name string)
}{
	{"NewStoreHasPresets", newStoreHasPresets},
	{"RemovedPresetStaysAway", removedPresetStaysAway},
	{"OpenAtOnce", openAtOnce},
	{"Upgraded", upgraded},
	{"UpgradedAtOnce", upgradedAtOnce},
	{"UpgradedWhileInUse", upgradedWhileInUse},
	{"Releases", releases},
	{"RetractedIsWithdrawn", retractedIsWithdrawn},
	{"PutReleasesAllOrNone", putReleasesAllOrNone},
	{"Products", products},
	{"StoredTextIsCleaned", storedTextIsCleaned},
	{"RemoveProductWithReports", removeProductWithReports},
	{"Tokens", tokens},
	{"FirstTokenAtOnce", firstTokenAtOnce},
	{"SignInLinks", signInLinks},
	{"Sessions", sessions},
	{"GrantsAreBounded", grantsAreBounded},
	{"LinkUsedAtOnce", linkUsedAtOnce},
	{"Audit", audit},
	{"AuditOfFirstToken", auditOfFirstToken},
	{"ChangesNeedTheAudit", changesNeedTheAudit},
	{"AuditAtOnce", auditAtOnce},
	{"EditRelease", editRelease},
	{"EditProduct", editProduct},
	{"Record", record},
	{"ReportsSince", reportsSince},
	{"RecordAtOnce", recordAtOnce},
	{"RecordAfterClose", recordAfterClose},
	{"InventedVersionsAreBounded", inventedVersionsAreBounded},
	{"OtherTakesNoPlace", otherTakesNoPlace},
	{"Count", count},
	{"CountIsWrittenSoon", countIsWrittenSoon},
	{"RecordWhileLocked", recordWhileLocked},
	{"QueueIsBounded", queueIsBounded},
	{"HangUp", hangUp},
	{"NobodyJoinsWhatIsLate", nobodyJoinsWhatIsLate},
	{"CatalogChangesUnderLoad", catalogChangesUnderLoad},
	{"CatalogChangesAtOnce", catalogChangesAtOnce},
	{"ChangesAreThoseSince", changesAreThoseSince},
	{"WriterFollowsCatalog", writerFollowsCatalog},
	{"CatalogIsBounded", catalogIsBounded},
	{"ImportIsSeenAsAWhole", importIsSeenAsAWhole},
	{"KilledImportLeavesNothing", killedImportLeavesNothing},
	{"ImportsAtOnce", importsAtOnce},
	{"Follow", follow},
	{"RemovedWhileRecording", removedWhileRecording},
	{"RemovalIsFinished", removalIsFinished},
	{"FoldInSteps", foldInSteps},
	{"FoldByTurns", foldByTurns},
	{"FoldByProduct", foldByProduct},
	{"WeeksInAnyOrder", weeksInAnyOrder},
	{"SweepRemovesWhatIsOld", sweepRemovesWhatIsOld},
	{"SweepRemovesWhatNeverEnded", sweepRemovesWhatNeverEnded},
	{"SweepLeavesUnfolded", sweepLeavesUnfolded},
	{"SweepBehindAClock", sweepBehindAClock},
	{"ClockJumps", clockJumps},
	{"ClockDrifts", clockDrifts},
	{"FoldBesideDamage", foldBesideDamage},
	{"RecordAfterSweep", recordAfterSweep},
	{"BackUpAndRestore", backUpAndRestore},
	{"BackUpOnSchedule", backUpOnSchedule},
	{"BackupsOfOtherStores", backupsOfOtherStores},
	{"StoreIsLost", storeIsLost},
	{"CopiesKeepTheID", copiesKeepTheID},
	{"LeftoversAreNamed", leftoversAreNamed},
	{"SoundStoreRaisesNoAlarm", soundStoreRaisesNoAlarm},
	{"BusyStoreRaisesNoAlarm", busyStoreRaisesNoAlarm},
	{"DisagreementIsFound", disagreementIsFound},
	{"OldSketchIsSound", oldSketchIsSound},
	{"ReadingsEnd", readingsEnd},
}

func TestConformance(t *testing.T) {
	for engine, place := range engines {
		t.Run(engine, func(t *testing.T) {
			for _, c := range conformance {
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					c.test(t, place(t))
				})
			}
		})
	}
}

var linux = checker.Platform{OS: "linux", Arch: "amd64"}

func schema(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("../schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// open opens a store, a new one unless the file is there, until the test ends.
func open(t testing.TB, name string) *db.Store {
	t.Helper()
	s, err := db.Open(context.Background(), name, schema(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func writer(t testing.TB, s *db.Store) *db.Writer {
	t.Helper()
	w, err := s.NewWriter(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func report(version string) *checker.Report {
	heap := int64(596000)
	return &checker.Report{ID: uuid.New(), Version: version, HeapUsageBytes: &heap}
}

// recorded returns the reports of a product, in order.
func recorded(t testing.TB, s *db.Store, product string) (all []db.Recorded) {
	t.Helper()
	err := s.Reports(context.Background(), product, time.Time{}, func(r *db.Recorded) error {
		all = append(all, *r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// raw opens the database behind the store's back. A file, too, is opened by SQLite
// alone: opening it oneself would cost the process its locks.
func raw(t testing.TB, name string) *sql.DB {
	t.Helper()
	driver, dsn := "sqlite", "file:"+name+"?_busy_timeout=5000"
	if strings.HasPrefix(name, "postgres://") {
		driver, dsn = "pgx", name+"?default_query_exec_mode=exec" // there may be a PgBouncer
	}
	d, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// Lock keeps all others from writing, as another process may, until unlock is called.
func Lock(t *testing.T, name string) (unlock func()) {
	t.Helper()
	text := "BEGIN; LOCK TABLE report IN EXCLUSIVE MODE"
	if !strings.HasPrefix(name, "postgres://") {
		text = "BEGIN IMMEDIATE"
	}
	ctx := context.Background()
	d := raw(t, name)
	d.SetMaxOpenConns(1)
	conn, err := d.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.ExecContext(ctx, text); err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if _, err := conn.ExecContext(ctx, "ROLLBACK"); err != nil {
			t.Fatal(err)
		}
		conn.Close()
		d.Close()
	}
}
