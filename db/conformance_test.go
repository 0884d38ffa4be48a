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
	db.SetVFS(lifecycleFile, faultfs.Name, faultfs.SyncFile, faultfs.Link)
	if name := os.Getenv(upgradeRole); name != "" {
		upgradeUntilKilled(name)
	}
	if name := os.Getenv(noTxRole); name != "" {
		upgradeWithoutTx(name)
	}
	if role := os.Getenv(childRole); role != "" {
		runChildRole(role)
	}
	db.SetBackupStep(16) // a backup of a small store takes several steps
	status := m.Run()
	pgtest.Stop()
	os.Exit(status)
}

// conformance lists the tests that a store of either engine must pass. Each test gets the name
// of a store that does not exist yet.
var conformance = []struct {
	name string
	test func(t *testing.T, name string)
}{
	{"Presets", testPresets},
	{"BaseURL", testBaseURL},
	{"RemovedPreset", testRemovedPreset},
	{"ConcurrentOpen", testConcurrentOpen},
	{"Upgrade", testUpgrade},
	{"ConcurrentUpgrade", testConcurrentUpgrade},
	{"UpgradeWhileInUse", testUpgradeWhileInUse},
	{"Releases", testReleases},
	{"RetractedIsWithdrawn", testRetractedIsWithdrawn},
	{"ImportOfInvalidTag", testImportOfInvalidTag},
	{"ListsTogether", testListsTogether},
	{"ExactList", testExactList},
	{"AdoptedReleases", testAdoptedReleases},
	{"SyncClaims", testSyncClaims},
	{"EntriesChange", testEntriesChange},
	{"Layers", testLayers},
	{"UpgradeLayers", testUpgradeLayers},
	{"OldReaderAfterUpgrade", testOldReaderAfterUpgrade},
	{"ReleaseDetails", testReleaseDetails},
	{"Products", testProducts},
	{"StoredTextIsCleaned", testStoredTextIsCleaned},
	{"RemoveProductWithReports", testRemoveProductWithReports},
	{"Tokens", testTokens},
	{"ConcurrentFirstToken", testConcurrentFirstToken},
	{"SignInLinks", testSignInLinks},
	{"Sessions", testSessions},
	{"SessionLimits", testSessionLimits},
	{"ConcurrentSignIn", testConcurrentSignIn},
	{"AuditLog", testAuditLog},
	{"AuditFirstToken", testAuditFirstToken},
	{"ChangesRequireAudit", testChangesRequireAudit},
	{"ConcurrentAudit", testConcurrentAudit},
	{"EditRelease", testEditRelease},
	{"EditProduct", testEditProduct},
	{"Record", testRecord},
	{"ReportsSince", testReportsSince},
	{"ConcurrentRecord", testConcurrentRecord},
	{"RecordAfterClose", testRecordAfterClose},
	{"UnreleasedBuildLimit", testUnreleasedBuildLimit},
	{"OtherUsesNoBuild", testOtherUsesNoBuild},
	{"CountChecks", testCountChecks},
	{"ChecksWithoutReports", testChecksWithoutReports},
	{"Installations", testInstallations},
	{"ReportsWithoutMemory", testReportsWithoutMemory},
	{"InstallationsKilled", testInstallationsKilled},
	{"InstallationsKept", testInstallationsKept},
	{"RecordWhileLocked", testRecordWhileLocked},
	{"QueueIsBounded", testQueueIsBounded},
	{"CanceledRecord", testCanceledRecord},
	{"TimedOutBatch", testTimedOutBatch},
	{"CatalogChangesUnderLoad", testCatalogChangesUnderLoad},
	{"ConcurrentCatalogChanges", testConcurrentCatalogChanges},
	{"ChangesSince", testChangesSince},
	{"WriterFollowsCatalog", testWriterFollowsCatalog},
	{"CatalogLimits", testCatalogLimits},
	{"ImportIsAtomic", testImportIsAtomic},
	{"KilledImport", testKilledImport},
	{"ConcurrentImports", testConcurrentImports},
	{"HostedFiles", testHostedFiles},
	{"ManyHostedFiles", testManyHostedFiles},
	{"Syncs", testSyncs},
	{"TrustedKeys", testTrustedKeys},
	{"BundleSequences", testBundleSequences},
	{"ApplyBundle", testApplyBundle},
	{"RefusedBundle", testRefusedBundle},
	{"BundleBesideEdits", testBundleBesideEdits},
	{"BundleBesideRecording", testBundleBesideRecording},
	{"KilledBundle", testKilledBundle},
	{"Days", testDays},
	{"Sites", testSites},
	{"RefusedCounts", testRefusedCounts},
	{"SiteNames", testSiteNames},
	{"KilledCounts", testKilledCounts},
	{"Follow", testFollow},
	{"RemoveProductWhileRecording", testRemoveProductWhileRecording},
	{"InterruptedRemoval", testInterruptedRemoval},
	{"FoldInSteps", testFoldInSteps},
	{"FoldByTwoProcesses", testFoldByTwoProcesses},
	{"FoldByProduct", testFoldByProduct},
	{"PeriodTotals", testPeriodTotals},
	{"Sweep", testSweep},
	{"SweepUnfinishedPeriod", testSweepUnfinishedPeriod},
	{"SweepKeepsUnfolded", testSweepKeepsUnfolded},
	{"SweepAfterFutureReports", testSweepAfterFutureReports},
	{"ClockJumps", testClockJumps},
	{"ClockDrift", testClockDrift},
	{"FoldWithDamagedProduct", testFoldWithDamagedProduct},
	{"RecordAfterSweep", testRecordAfterSweep},
	{"BackupAndRestore", testBackupAndRestore},
	{"ScheduledBackups", testScheduledBackups},
	{"BackupsOfTwoStores", testBackupsOfTwoStores},
	{"BackupsOfLostStore", testBackupsOfLostStore},
	{"CopiesKeepID", testCopiesKeepID},
	{"DoctorLeftovers", testDoctorLeftovers},
	{"DoctorIntactStore", testDoctorIntactStore},
	{"DoctorBusyStore", testDoctorBusyStore},
	{"DoctorInconsistentStore", testDoctorInconsistentStore},
	{"DoctorCounts", testDoctorCounts},
	{"DoctorOldSketch", testDoctorOldSketch},
	{"DoctorLinks", testDoctorLinks},
	{"DoctorServedFiles", testDoctorServedFiles},
	{"CanceledReads", testCanceledReads},
	{"Usage", testUsage},
	{"PublicWeek", testPublicWeek},
	{"SweepNetworkCounts", testSweepNetworkCounts},
}

func TestConformance(t *testing.T) {
	for engine, newStore := range engines {
		t.Run(engine, func(t *testing.T) {
			for _, c := range conformance {
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					c.test(t, newStore(t))
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

// open opens a store until the test ends, and creates it if it does not exist.
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

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
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

// raw opens the database of a store without the store. Tests must not open a database file
// otherwise: closing it would release the locks of the process.
func raw(t testing.TB, name string) *sql.DB {
	t.Helper()
	driver, dsn := "sqlite", "file:"+name+"?_busy_timeout=5000"
	if strings.HasPrefix(name, "postgres://") {
		driver, dsn = "pgx", name+"?default_query_exec_mode=exec" // works through PgBouncer, too
	}
	d, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// lockStore holds the write lock, as another process may do, until unlock is called.
func lockStore(t *testing.T, name string) (unlock func()) {
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
