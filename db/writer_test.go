package db_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/stats/rollup"
	"relcheck/db"
)

func testRecord(t *testing.T, name string) {
	ctx := context.Background()
	s := open(t, name)
	w := writer(t, s)
	defer w.Close()
	begin := time.Now().Truncate(time.Second)
	var want []db.Recorded
	for _, version := range []string{"v0.12.3", "0.12.3", "1.0.0-dev"} {
		r := report(version)
		if _, err := w.Record(ctx, "opa", linux, r); err != nil {
			t.Fatal(err)
		}
		want = append(want, db.Recorded{Platform: linux, Report: *r})
	}
	withoutHeap := report("1.0.0")
	withoutHeap.HeapUsageBytes = nil
	if _, err := w.Record(ctx, "opa", checker.Other, withoutHeap); err != nil {
		t.Fatal(err)
	}
	want = append(want, db.Recorded{Platform: checker.Other, Report: *withoutHeap})

	got := recorded(t, s, "opa")
	for i := range got {
		if at := got[i].At; at.Before(begin) || at.After(time.Now()) || at.Location() != time.UTC {
			t.Errorf("report %d: got time %v, want a UTC time since %v", i, at, begin)
		}
		got[i].At = time.Time{}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("reports (-want +got):\n%s", diff)
	}
	if n := len(recorded(t, s, "relcheck")); n != 0 {
		t.Errorf("got %d reports of another product, want none", n)
	}
}

func testReportsSince(t *testing.T, name string) {
	ctx := context.Background()
	s := open(t, name)
	w := writer(t, s)
	defer w.Close()
	if _, err := w.Record(ctx, "opa", linux, report("1.0.0")); err != nil {
		t.Fatal(err)
	}
	for since, want := range map[time.Time]int{time.Now().Add(-time.Hour): 1, time.Now().Add(time.Hour): 0} {
		n := 0
		err := s.Reports(ctx, "opa", since, func(*db.Recorded) error { n++; return nil })
		if err != nil || n != want {
			t.Errorf("since %v: got %d reports (error %v), want %d", since, n, err, want)
		}
	}
	stop := errors.New("stop")
	if err := s.Reports(ctx, "opa", time.Time{}, func(*db.Recorded) error { return stop }); err != stop {
		t.Errorf("got error %v, want the callback's error", err)
	}
	if err := s.Reports(ctx, "none", time.Time{}, nil); !errors.Is(err, db.ErrNotFound) {
		t.Errorf("unknown product: got error %v, want ErrNotFound", err)
	}
}

// Every acknowledged report is recorded once, even if other reports of its transaction are
// canceled or fail.
func testConcurrentRecord(t *testing.T, name string) {
	s := open(t, name)
	w := writer(t, s)
	const callers, each = 64, 30
	acknowledged := sync.Map{}
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for i := range each {
				r := report("1.0.0")
				ctx, cancel := context.WithCancel(context.Background())
				if c%4 == 0 {
					cancel() // the report may be recorded or not, without an effect on others
				}
				product := "opa"
				if c%16 == 1 {
					product = "none" // the other reports of the transaction succeed
				}
				_, err := w.Record(ctx, product, linux, r)
				cancel()
				switch {
				case product == "none":
					if !errors.Is(err, db.ErrNotFound) {
						t.Errorf("unknown product: got error %v, want ErrNotFound", err)
					}
				case err == nil:
					acknowledged.Store(r.ID, i)
				case c%4 != 0:
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	s.Close()
	seen := map[any]bool{}
	for _, r := range recorded(t, open(t, name), "opa") {
		if seen[r.ID] {
			t.Errorf("report %s was recorded twice", r.ID)
		}
		seen[r.ID] = true
	}
	acknowledged.Range(func(id, _ any) bool {
		if !seen[id] {
			t.Errorf("acknowledged report %s was lost", id)
		}
		return true
	})
	if want := callers * each * 11 / 16; len(seen) < want {
		t.Errorf("got %d reports, want at least %d", len(seen), want)
	}
}

func testRecordAfterClose(t *testing.T, name string) {
	w := writer(t, open(t, name))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Record(context.Background(), "opa", linux, report("1.0.0")); !errors.Is(err, db.ErrClosed) {
		t.Errorf("got error %v, want ErrClosed", err)
	}
}

// The number of unreleased versions with their own builds is limited per day.
func testUnreleasedBuildLimit(t *testing.T, name string) {
	ctx := context.Background()
	s := open(t, name)
	w := writer(t, s)
	const unreleased = 1000
	for round, version := range []string{"v7.0.0", "v7.0.1", "v7.0.2"} {
		var wg sync.WaitGroup
		for i := range unreleased {
			wg.Go(func() {
				if _, err := w.Record(ctx, "opa", linux, report(fmt.Sprintf("6.%d.%d", round, i))); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if _, err := putReleases(ctx, s, "opa", []catalog.Release{{Tag: version}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, version := range []string{"7.0.0", "v7.0.0"} {
		if _, err := w.Record(ctx, "opa", linux, report(version)); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	versions := map[string]int{}
	for _, r := range recorded(t, s, "opa") {
		versions[r.Version]++
	}
	if versions["7.0.0"] != 1 || versions["v7.0.0"] != 1 {
		t.Errorf("got %d and %d reports of two published versions, want one each", versions["7.0.0"], versions["v7.0.0"])
	}
	if n := len(versions); n > 203 { // twice the limit, in case midnight passes during the test
		t.Errorf("got %d versions, want at most 203", n)
	}
	if n := versions["other"]; n < 3*unreleased-200 || w.Others() != int64(n) {
		t.Errorf("got %d reports of other versions and a counter of %d, want equal numbers of at least %d", n, w.Others(), 3*unreleased-200)
	}
}

// Reports whose version is "other" do not count against the limit of unreleased builds.
func testOtherUsesNoBuild(t *testing.T, name string) {
	ctx := context.Background()
	s := open(t, name)
	w := writer(t, s)
	send := func(version string, from checker.Platform) {
		if _, err := w.Record(ctx, "opa", from, report(version)); err != nil {
			t.Fatal(err)
		}
	}
	for _, from := range checker.Platforms() {
		send(rollup.Other, from)
	}
	for i := range rollup.MaxUnreleasedBuilds {
		send(fmt.Sprintf("6.0.%d", i), linux)
	}
	w.Close()
	others := 0
	for _, r := range recorded(t, s, "opa") {
		if r.Version == rollup.Other {
			others++
		}
	}
	if want := len(checker.Platforms()); others != want || w.Others() != int64(want) { // even if midnight passes during the test
		t.Errorf("got %d reports of other versions and a counter of %d, want %d", others, w.Others(), want)
	}
}

func testCountChecks(t *testing.T, name string) {
	w := writer(t, open(t, name))
	before := time.Now().Unix() / 86400
	for range 3 {
		w.Count("opa", "1.10.1", linux)
	}
	w.Count("none", "1.10.1", linux)
	w.Close()
	var day, count int64
	var version string
	err := raw(t, name).QueryRow("SELECT day, count, version FROM checks JOIN build ON build.id = checks.build").Scan(&day, &count, &version)
	if err != nil || count != 3 || version != "1.10.1" || day < before || day > time.Now().Unix()/86400 {
		t.Errorf("got %d checks of %s on day %d (error %v), want 3 of 1.10.1 on day %d", count, version, day, err, before)
	}
}

// Counted checks are written to the store even if no report arrives.
func testChecksWithoutReports(t *testing.T, name string) {
	w := writer(t, open(t, name))
	defer w.Close()
	time.Sleep(1200 * time.Millisecond) // the writer finds no checks; the race detector would notice if it kept the map
	w.Count("opa", "1.10.1", linux)
	file := raw(t, name)
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		var count int64
		if err := file.QueryRow("SELECT COALESCE(SUM(count), 0) FROM checks").Scan(&count); err != nil {
			t.Fatal(err)
		}
		if count == 1 {
			return
		}
	}
	t.Error("timeout: the check was not written")
}

// Reports are refused while another process holds the write lock for too long. Afterwards they
// are recorded again.
func testRecordWhileLocked(t *testing.T, name string) {
	if testing.Short() {
		t.Skip("waits for a lock timeout")
	}
	s := open(t, name)
	w := writer(t, s)
	defer w.Close()
	unlock := lockStore(t, name)
	if _, err := w.Record(context.Background(), "opa", linux, report("1.0.0")); err == nil {
		t.Error("Record while another process holds the lock: got no error")
	}
	unlock()
	awaitReady(t, w)
	if _, err := w.Record(context.Background(), "opa", linux, report("1.0.0")); err != nil {
		t.Error(err)
	}
}

// Reports beyond the length of the queue are refused immediately. Those in the queue are
// recorded.
func testQueueIsBounded(t *testing.T, name string) {
	s := open(t, name)
	w := writer(t, s)
	unlock := lockStore(t, name)
	first := recordAsync(w)
	awaitWaiting(w, 0)
	gone, hangUp := context.WithCancel(context.Background())
	hangUp() // Record returns at once, and the reports are still recorded
	waiting, err := 0, context.Canceled
	for ; waiting <= 2*w.MaxWaiting() && errors.Is(err, context.Canceled); waiting++ {
		_, err = w.Record(gone, "opa", linux, report("1.0.0"))
	}
	if waiting--; !errors.Is(err, db.ErrBusy) || waiting < w.MaxWaiting()-1 || waiting > w.MaxWaiting() { // one less if the first report was still in the queue
		t.Errorf("got error %v with %d reports in the queue, want ErrBusy with %d", err, waiting, w.MaxWaiting())
	}
	unlock()
	if err := <-first; err != nil {
		t.Error(err)
	}
	w.Close()
	if n := len(recorded(t, s, "opa")); n != 1+waiting {
		t.Errorf("got %d reports, want %d", n, 1+waiting)
	}
}

// While a commit does not return, a batch that times out is refused, and so are later reports.
// These are not recorded later.
func testTimedOutBatch(t *testing.T, name string) {
	s := open(t, name)
	w := writer(t, s)
	unlock := lockStore(t, name)
	first := recordAsync(w)
	awaitWaiting(w, 0) // its transaction has begun and waits for the lock
	second := recordAsync(w)
	awaitWaiting(w, 1)
	w.TimeOutOpenBatch()
	if err := <-second; !errors.Is(err, db.ErrTimeout) {
		t.Errorf("report of the batch that timed out: got error %v, want ErrTimeout", err)
	}
	if err := <-recordAsync(w); !errors.Is(err, db.ErrTimeout) {
		t.Errorf("report after the timeout: got error %v, want ErrTimeout", err)
	}
	unlock()
	if err := <-first; err != nil {
		t.Error(err)
	}
	w.Close()
	if n := len(recorded(t, s, "opa")); n != 2 {
		t.Errorf("got %d reports, want 2", n)
	}
}

// recordAsync records a report in the background.
func recordAsync(w *db.Writer) chan error {
	done := make(chan error, 1)
	go func() { _, err := w.Record(context.Background(), "opa", linux, report("1.0.0")); done <- err }()
	return done
}

// awaitWaiting waits until a commit is running and n reports are in the queue.
func awaitWaiting(w *db.Writer, n int) {
	for deadline := time.Now().Add(20 * time.Second); !(w.Committing() && w.Waiting() == n) && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
}

// Record returns when its context ends, even if a commit is running.
func testCanceledRecord(t *testing.T, name string) {
	s := open(t, name)
	w := writer(t, s)
	unlock := lockStore(t, name)
	first := recordAsync(w)
	awaitWaiting(w, 0)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if _, err := w.Record(ctx, "opa", linux, report("1.0.0")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got error %v, want DeadlineExceeded", err)
	}
	unlock()
	if err := <-first; err != nil {
		t.Error(err)
	}
	w.Close()
	if n := len(recorded(t, s, "opa")); n != 2 {
		t.Errorf("got %d reports, want 2", n)
	}
}

// Other processes can change the catalog while a writer is under load.
func testCatalogChangesUnderLoad(t *testing.T, name string) {
	s := open(t, name)
	w := writer(t, s)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for ctx.Err() == nil {
				if _, err := w.Record(context.Background(), "opa", linux, report("1.0.0")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	other := open(t, name)
	for i := range 50 {
		if _, err := putReleases(context.Background(), other, "opa", []catalog.Release{{Tag: fmt.Sprintf("v1.0.%d", i)}}); err != nil {
			t.Error(err)
		}
	}
	cancel()
	wg.Wait()
	w.Close()
}

// awaitReady waits until the writer is ready again.
func awaitReady(t *testing.T, w *db.Writer) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); w.Ready() != nil; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(w.Ready())
		}
	}
}

// Follow continues where the previous call ended, even if its callback returned an error.
func testFollow(t *testing.T, name string) {
	ctx := context.Background()
	s := open(t, name)
	w := writer(t, s)
	defer w.Close()
	position := db.Position{}
	var want, got []uuid.UUID
	stop := errors.New("stop")
	for round := range 4 {
		for range 3 {
			r := report("1.0.0")
			want = append(want, r.ID)
			if _, err := w.Record(ctx, "opa", linux, r); err != nil {
				t.Fatal(err)
			}
		}
		err := s.Follow(ctx, "opa", position, func(r *db.Recorded) error {
			if round%2 == 0 && len(got)%3 == 2 {
				return stop
			}
			got = append(got, r.ID)
			return nil
		})
		if err != nil && err != stop {
			t.Error(err)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("instance IDs (-want +got):\n%s", diff)
	}
}

// Removing a product removes all of its reports, including reports that are being recorded by
// this server or another one.
func testRemoveProductWhileRecording(t *testing.T, name string) {
	ctx, cancel := context.WithCancel(context.Background())
	s := open(t, name)
	var recorders sync.WaitGroup
	writers := []*db.Writer{writer(t, s)}
	if strings.HasPrefix(name, "postgres://") {
		writers = append(writers, writer(t, open(t, name)))
	}
	var acknowledged atomic.Int64
	for _, w := range writers {
		for range 8 {
			recorders.Go(func() {
				for ctx.Err() == nil {
					_, err := w.Record(context.Background(), "app", linux, report("1.0.0"))
					if err != nil && !errors.Is(err, db.ErrNotFound) {
						t.Error(err)
					}
					if err == nil {
						acknowledged.Add(1)
					}
				}
			})
		}
	}
	rounds := unlessRace(20, 6)
	for range rounds {
		before := acknowledged.Load()
		if err := s.AddProduct(ctx, catalog.Product{Name: "app", Title: "App"}); err != nil {
			t.Error(err)
		}
		for deadline := time.Now().Add(20 * time.Second); acknowledged.Load() < before+20 && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
		if err := s.RemoveProduct(ctx, "app", true); err != nil {
			t.Error(err)
		}
	}
	cancel()
	recorders.Wait()
	for _, w := range writers {
		w.Close()
	}
	var left int
	if err := raw(t, name).QueryRow("SELECT count(*) FROM report").Scan(&left); err != nil || left > 0 || acknowledged.Load() < int64(20*rounds) {
		t.Errorf("got %d reports of %d acknowledged ones (error %v), want 0 of at least %d", left, acknowledged.Load(), err, 20*rounds)
	}
}

// A server removes the rows that a killed removal has left.
func testInterruptedRemoval(t *testing.T, name string) {
	s := open(t, name)
	w := writer(t, s)
	for range 5 {
		if _, err := w.Record(context.Background(), "opa", linux, report("1.0.0")); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	if _, err := raw(t, name).Exec("UPDATE product SET name = NULL WHERE name = 'opa'"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var maintained sync.WaitGroup
	maintained.Go(func() { s.Maintain(ctx, db.Retention{}, slog.New(slog.DiscardHandler)) })
	defer maintained.Wait()
	defer cancel()
	left := -1
	for deadline := time.Now().Add(time.Minute); left != 0 && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		q := "SELECT (SELECT count(*) FROM report) + (SELECT count(*) FROM product WHERE name IS NULL)"
		if err := raw(t, name).QueryRow(q).Scan(&left); err != nil {
			t.Fatal(err)
		}
	}
	if left != 0 {
		t.Errorf("timeout: got %d rows of the removed product, want none", left)
	}
}
