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
		if err := w.Record(ctx, "opa", linux, r); err != nil {
			t.Fatal(err)
		}
		want = append(want, db.Recorded{Platform: linux, Report: *r})
	}
	withoutHeap := report("1.0.0")
	withoutHeap.HeapUsageBytes = nil
	if err := w.Record(ctx, "opa", checker.Other, withoutHeap); err != nil {
		t.Fatal(err)
	}
	want = append(want, db.Recorded{Platform: checker.Other, Report: *withoutHeap})

	got := recorded(t, s, "opa")
	for i := range got {
		if at := got[i].At; at.Before(begin) || at.After(time.Now()) || at.Location() != time.UTC {
			t.Errorf("report %d came in at %v", i, at)
		}
		got[i].At = time.Time{}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if n := len(recorded(t, s, "relcheck")); n != 0 {
		t.Errorf("another product has %d of them", n)
	}
}

func testReportsSince(t *testing.T, name string) {
	ctx := context.Background()
	s := open(t, name)
	w := writer(t, s)
	defer w.Close()
	if err := w.Record(ctx, "opa", linux, report("1.0.0")); err != nil {
		t.Fatal(err)
	}
	for since, want := range map[time.Time]int{time.Now().Add(-time.Hour): 1, time.Now().Add(time.Hour): 0} {
		n := 0
		err := s.Reports(ctx, "opa", since, func(*db.Recorded) error { n++; return nil })
		if err != nil || n != want {
			t.Errorf("since %v: %d reports, %v; want %d", since, n, err, want)
		}
	}
	stop := errors.New("stop")
	if err := s.Reports(ctx, "opa", time.Time{}, func(*db.Recorded) error { return stop }); err != stop {
		t.Errorf("got error %v", err)
	}
	if err := s.Reports(ctx, "none", time.Time{}, nil); !errors.Is(err, db.ErrNotFound) {
		t.Errorf("of a product that is not there: %v", err)
	}
}

// Every report that was acknowledged is there, once, whatever happens to others.
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
					cancel() // hangs up at once; recorded or not, it harms nobody
				}
				product := "opa"
				if c%16 == 1 {
					product = "none" // shares the transaction and fails alone
				}
				err := w.Record(ctx, product, linux, r)
				cancel()
				switch {
				case product == "none":
					if !errors.Is(err, db.ErrNotFound) {
						t.Errorf("an unknown product: %v", err)
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
			t.Errorf("%s is there twice", r.ID)
		}
		seen[r.ID] = true
	}
	acknowledged.Range(func(id, _ any) bool {
		if !seen[id] {
			t.Errorf("%s was acknowledged and is not there", id)
		}
		return true
	})
	if want := callers * each * 11 / 16; len(seen) < want {
		t.Errorf("%d reports are there, at least %d were acknowledged", len(seen), want)
	}
}

func testRecordAfterClose(t *testing.T, name string) {
	w := writer(t, open(t, name))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.Record(context.Background(), "opa", linux, report("1.0.0")); !errors.Is(err, db.ErrClosed) {
		t.Errorf("got error %v", err)
	}
}

// Of versions that are no release, only so many a day have builds of their own.
func testUnreleasedBuildLimit(t *testing.T, name string) {
	ctx := context.Background()
	s := open(t, name)
	w := writer(t, s)
	const invented = 1000
	for round, version := range []string{"v7.0.0", "v7.0.1", "v7.0.2"} {
		var wg sync.WaitGroup
		for i := range invented {
			wg.Go(func() {
				if err := w.Record(ctx, "opa", linux, report(fmt.Sprintf("6.%d.%d", round, i))); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if _, err := s.PutReleases(ctx, "opa", []catalog.Release{{Version: version}}, replaceStored); err != nil {
			t.Fatal(err)
		}
	}
	for _, version := range []string{"7.0.0", "v7.0.0"} {
		if err := w.Record(ctx, "opa", linux, report(version)); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	versions := map[string]int{}
	for _, r := range recorded(t, s, "opa") {
		versions[r.Version]++
	}
	if versions["7.0.0"] != 1 || versions["v7.0.0"] != 1 {
		t.Error("a published version does not have builds of its own")
	}
	if n := len(versions); n > 203 { // should midnight pass meanwhile, twice as many
		t.Errorf("%d versions, most of them invented", n)
	}
	if n := versions["other"]; n < 3*invented-200 || w.Others() != int64(n) {
		t.Errorf("%d reports count as other, and %d are said to", n, w.Others())
	}
}

// What is told to be of all other versions takes none of the places of those that
// have builds of their own.
func testOtherUsesNoBuild(t *testing.T, name string) {
	ctx := context.Background()
	s := open(t, name)
	w := writer(t, s)
	send := func(version string, from checker.Platform) {
		if err := w.Record(ctx, "opa", from, report(version)); err != nil {
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
	if want := len(checker.Platforms()); others != want || w.Others() != int64(want) { // also should midnight pass meanwhile
		t.Errorf("%d reports count as other, and %d are said to; %d were told to be", others, w.Others(), want)
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
		t.Errorf("counted %d of %s on day %d, %v", count, version, day, err)
	}
}

// What is counted reaches the file by itself, without any report.
func testChecksWithoutReports(t *testing.T, name string) {
	w := writer(t, open(t, name))
	defer w.Close()
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
	t.Error("not written")
}

// While another process holds the write lock for too long, reports are
// refused, and then they are recorded again.
func testRecordWhileLocked(t *testing.T, name string) {
	if testing.Short() {
		t.Skip("waits for a lock to time out; left out with -short")
	}
	s := open(t, name)
	w := writer(t, s)
	defer w.Close()
	unlock := lockStore(t, name)
	if err := w.Record(context.Background(), "opa", linux, report("1.0.0")); err == nil {
		t.Error("recorded under another's lock")
	}
	unlock()
	awaitReady(t, w)
	if err := w.Record(context.Background(), "opa", linux, report("1.0.0")); err != nil {
		t.Error(err)
	}
}

// Callers beyond what may wait are refused at once; those who do wait are
// recorded.
func testQueueIsBounded(t *testing.T, name string) {
	s := open(t, name)
	w := writer(t, s)
	unlock := lockStore(t, name)
	first := recordAsync(w)
	awaitWaiting(w, 0)
	gone, hangUp := context.WithCancel(context.Background())
	hangUp() // so that nobody stays to wait; what they sent is recorded all the same
	waiting, err := 0, context.Canceled
	for ; waiting <= 2*w.MaxWaiting() && errors.Is(err, context.Canceled); waiting++ {
		err = w.Record(gone, "opa", linux, report("1.0.0"))
	}
	if waiting--; !errors.Is(err, db.ErrBusy) || waiting < w.MaxWaiting()-1 || waiting > w.MaxWaiting() { // where the first has not begun
		t.Errorf("after %d that wait: %v", waiting, err)
	}
	unlock()
	if err := <-first; err != nil {
		t.Error(err)
	}
	w.Close()
	if n := len(recorded(t, s, "opa")); n != 1+waiting {
		t.Errorf("%d were let in, and %d are there", waiting, n)
	}
}

// While the disk does not answer, those who come are refused and nothing of theirs
// is kept for later.
func testTimedOutBatch(t *testing.T, name string) {
	s := open(t, name)
	w := writer(t, s)
	unlock := lockStore(t, name)
	first := recordAsync(w)
	awaitWaiting(w, 0) // its transaction has begun, and does not end
	second := recordAsync(w)
	awaitWaiting(w, 1)
	w.TimeOutOpenBatch()
	if err := <-second; !errors.Is(err, db.ErrTimeout) {
		t.Errorf("who has waited for too long: %v", err)
	}
	if err := <-recordAsync(w); !errors.Is(err, db.ErrTimeout) {
		t.Errorf("who comes then: %v", err)
	}
	unlock()
	if err := <-first; err != nil {
		t.Error(err)
	}
	w.Close()
	if n := len(recorded(t, s, "opa")); n != 2 {
		t.Errorf("%d reports are there", n)
	}
}

// recordAsync records a report in the background.
func recordAsync(w *db.Writer) chan error {
	done := make(chan error, 1)
	go func() { done <- w.Record(context.Background(), "opa", linux, report("1.0.0")) }()
	return done
}

// awaitWaiting waits until somebody writes and so many wait for their turn.
func awaitWaiting(w *db.Writer, n int) {
	for deadline := time.Now().Add(20 * time.Second); !(w.Committing() && w.Waiting() == n) && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
}

// A caller who hangs up does not wait for those who write.
func testCanceledRecord(t *testing.T, name string) {
	s := open(t, name)
	w := writer(t, s)
	unlock := lockStore(t, name)
	first := recordAsync(w)
	awaitWaiting(w, 0)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := w.Record(ctx, "opa", linux, report("1.0.0")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got error %v", err)
	}
	unlock()
	if err := <-first; err != nil {
		t.Error(err)
	}
	w.Close()
	if n := len(recorded(t, s, "opa")); n != 2 {
		t.Errorf("%d reports are there", n)
	}
}

// Commands change the catalog beside a writer under load.
func testCatalogChangesUnderLoad(t *testing.T, name string) {
	s := open(t, name)
	w := writer(t, s)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for ctx.Err() == nil {
				if err := w.Record(context.Background(), "opa", linux, report("1.0.0")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	other := open(t, name)
	for i := range 50 {
		if _, err := other.PutReleases(context.Background(), "opa", []catalog.Release{{Version: fmt.Sprintf("v1.0.%d", i)}}, replaceStored); err != nil {
			t.Error(err)
		}
	}
	cancel()
	wg.Wait()
	w.Close()
}

// awaitReady waits until the writer has found out by itself that it works again.
func awaitReady(t *testing.T, w *db.Writer) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); w.Ready() != nil; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(w.Ready())
		}
	}
}

// A reader that comes back gets what it has not had, also when it stopped halfway.
func testFollow(t *testing.T, name string) {
	ctx := context.Background()
	s := open(t, name)
	w := writer(t, s)
	defer w.Close()
	var position db.Position
	var want, got []uuid.UUID
	stop := errors.New("stop")
	for round := range 4 {
		for range 3 {
			r := report("1.0.0")
			want = append(want, r.ID)
			if err := w.Record(ctx, "opa", linux, r); err != nil {
				t.Fatal(err)
			}
		}
		err := s.Follow(ctx, "opa", &position, func(r *db.Recorded) error {
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
		t.Error(diff)
	}
}

// A product that is removed takes all of its reports with it, also those that
// are being recorded, by this server or another.
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
					err := w.Record(context.Background(), "app", linux, report("1.0.0"))
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
		t.Errorf("of %d reports %d are left, %v", acknowledged.Load(), left, err)
	}
}

// What a killed removal has left over, a server removes.
func testInterruptedRemoval(t *testing.T, name string) {
	s := open(t, name)
	w := writer(t, s)
	for range 5 {
		if err := w.Record(context.Background(), "opa", linux, report("1.0.0")); err != nil {
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
		t.Errorf("%d rows are left", left)
	}
}
