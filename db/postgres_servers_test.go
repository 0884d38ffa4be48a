package db_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"relcheck/checker/access"
	"relcheck/checker/catalog"
	"relcheck/checker/stats/public"
	"relcheck/checker/stats/rollup"
	"relcheck/db"
	"relcheck/db/pgtest"
)

// concurrentOperations are what servers and commands do with a store at the same time. Servers
// differ in the order of what they change.
var concurrentOperations = []struct {
	name    string
	do      func(ctx context.Context, s *db.Store, server, n int) error
	refused []error // errors that are not failures
}{
	{"edit a release", func(ctx context.Context, s *db.Store, server, n int) error {
		_, _, err := s.EditRelease(ctx, "synced", fmt.Sprintf("v1.%d.%d", server, n), catalog.ReleasePatch{})
		return err
	}, nil},
	{"withdraw a release", func(ctx context.Context, s *db.Store, server, n int) error {
		_, _, err := s.Withdraw(ctx, "synced", "v2.0.0", n%2 == 0)
		return err
	}, nil},
	{"reset a release", func(ctx context.Context, s *db.Store, server, n int) error {
		_, _, err := s.ResetRelease(ctx, "synced", "v2.0.0")
		return err
	}, nil},
	{"change a product", func(ctx context.Context, s *db.Store, server, n int) error {
		_, _, err := s.EditProduct(ctx, "synced", catalog.ProductPatch{"title": fmt.Sprint(server, n)})
		return err
	}, nil},
	{"add and drop a product", func(ctx context.Context, s *db.Store, server, n int) error {
		err := s.AddProduct(ctx, catalog.Product{Name: "short-lived", Title: "T"})
		if err == nil {
			err = s.DropProduct(ctx, "short-lived", true)
		}
		return err
	}, []error{db.ErrInUse, db.ErrNotFound}},
	{"import a long list", func(ctx context.Context, s *db.Store, server, n int) error {
		if n%4 > 0 {
			return nil
		}
		return errOf(s.ImportReleases(ctx, "synced", ordered(server, fmt.Sprintf("v3.%d.", n), 150), true))
	}, nil},
	{"import a short list", func(ctx context.Context, s *db.Store, server, n int) error {
		return errOf(s.ImportReleases(ctx, "synced", ordered(server, fmt.Sprintf("v3.%d.", n/4*4), 10), true))
	}, nil},
	{"record a sync", func(ctx context.Context, s *db.Store, server, n int) error {
		return s.RecordSync(ctx, "synced", catalog.Sync{Upstream: gitHubList, Tried: time.Now()})
	}, nil},
	{"claim a sync", func(ctx context.Context, s *db.Store, server, n int) error {
		_, err := s.ClaimSync(ctx, "synced", int64(1+server), time.Now(), time.Now())
		return errors.Join(err, s.EndSync(ctx, int64(1+server)))
	}, nil},
	{"host a file", func(ctx context.Context, s *db.Store, server, n int) error {
		return s.HostFile(ctx, "synced", "v2.0.0", hosted("app", n))
	}, nil},
	{"unhost a file", func(ctx context.Context, s *db.Store, server, n int) error {
		return s.UnhostFile(ctx, "synced", "v2.0.0", "app")
	}, []error{db.ErrNotFound}},
	{"mark a file as damaged", func(ctx context.Context, s *db.Store, server, n int) error {
		return s.MarkDamaged(ctx, hosted("app", n).SHA256, time.Now())
	}, nil},
	{"apply counts", func(ctx context.Context, s *db.Store, server, n int) error {
		return applyOrdered(ctx, s, server, n)
	}, []error{db.ErrOldBundle}},
	{"number bundles", func(ctx context.Context, s *db.Store, server, n int) error {
		return errOf(s.NextBundleSequences(ctx, turned(server, "opa", "relcheck", "synced"), time.Now()))
	}, nil},
	{"use tokens", func(ctx context.Context, s *db.Store, server, n int) error {
		return signInAndOut(ctx, s)
	}, nil},
	{"count networks", func(ctx context.Context, s *db.Store, server, n int) error {
		week := rollup.OneWeek.Start(rollup.DayOf(time.Now()))
		counts := map[int64]public.Cells{1: public.NewCells(), 2: public.NewCells()}
		err := s.AddNetworkCounts(ctx, public.Run{Day: week - 7, ID: int64(server), Seconds: int64(n)}, counts)
		return errors.Join(err, s.MakePublicWeek(ctx, int64(1+n%2), week-7, time.Now(), func(*public.Week) []byte { return nil }))
	}, nil},
	{"fold", func(ctx context.Context, s *db.Store, server, n int) error { return errOf(s.Fold(ctx)) }, nil},
	{"sweep", func(ctx context.Context, s *db.Store, server, n int) error {
		keep := db.Retention{Reports: time.Duration(60-5*n) * 24 * time.Hour, Rollups: 30 * 24 * time.Hour}
		return s.SweepAt(ctx, keep, time.Now().Add(time.Duration(n)*time.Hour))
	}, nil},
	{"remove what is left of products", func(ctx context.Context, s *db.Store, server, n int) error {
		return s.RemoveProduct(ctx, "none", false)
	}, []error{db.ErrNotFound}},
}

// turned returns names, in reverse for every second server.
func turned(server int, names ...string) []string {
	if server%2 > 0 {
		slices.Reverse(names)
	}
	return names
}

// ordered returns a list of releases, whose order depends on the server.
func ordered(server int, prefix string, n int) catalog.List {
	var tags []string
	for i := range n {
		tags = append(tags, fmt.Sprint(prefix, i))
	}
	list := listOf("file", turned(server, tags...)...)
	list.Whole = false
	return list
}

func applyOrdered(ctx context.Context, s *db.Store, server, n int) error {
	b := db.SiteBundle{Bundle: db.Bundle{ID: fmt.Sprint(server, n), Store: "store", Created: bundleTime, Time: bundleTime, Keys: siteKeys[:1]}, Site: "site", Threshold: 1, Through: worldDays.To}
	var products []*db.CountedProduct
	for _, name := range turned(server, "opa", "synced") {
		products = append(products, &db.CountedProduct{Name: name, Sequence: int64(n), Cells: func(yield func(*rollup.Cell, error) bool) {
			for i := range 20 {
				var c rollup.Cell
				c.Version, c.Platform, c.Span, c.Day = fmt.Sprintf("1.%d.%d", n, i), linux, rollup.OneDay, worldDays.From
				c.Reports, c.Instances = 1, 1
				if !yield(&c, nil) {
					return
				}
			}
		}})
	}
	return errOf(s.ApplyCounts(ctx, b, products))
}

func signInAndOut(ctx context.Context, s *db.Store) error {
	now := time.Now()
	k, _ := access.NewToken("test", access.Read, now)
	link, _ := access.NewLink(k.ID, now)
	session, _ := access.NewSession(k.ID, now)
	return errors.Join(s.AddToken(ctx, k), s.UseToken(ctx, k.ID, now), s.AddLink(ctx, link), errOf(s.UseLink(ctx, link.Hash, session)),
		s.EndSession(ctx, session.Hash), s.AddSession(ctx, session), s.RevokeToken(ctx, k.ID, now))
}

// Servers and commands do everything at once. Nothing fails, and none waits for another one that
// waits for it: PostgreSQL would end that only after a second.
func TestServersDoEverythingAtOnce(t *testing.T) {
	ctx := context.Background()
	name := pgtest.Database(t)
	stores := []*db.Store{newSynced(t, name), open(t, name), open(t, name)}
	err := errors.Join(errOf(stores[0].ImportReleases(ctx, "synced", listOf("file", "v2.0.0"), true)), stores[0].TrustCountsKey(ctx, siteKeys[0], nil, bundleTime))
	if err != nil {
		t.Fatal(err)
	}
	recordDaily(t, stores[0], time.Now(), 60)
	fold(t, stores[0])
	d := raw(t, name)
	execute(t, d, "CREATE TABLE floor (value BIGINT)")
	var operations, recording sync.WaitGroup
	done := make(chan struct{})
	writers, longest := make([]*db.Writer, len(stores)), make([]time.Duration, len(stores))
	for i, s := range stores {
		w := writer(t, s)
		writers[i] = w
		w.OnCommit(func(took time.Duration) { longest[i] = max(longest[i], took) })
		for c := range 4 {
			recording.Go(func() { recordUntil(t, done, w, c) })
		}
		for _, o := range concurrentOperations {
			operations.Go(func() {
				for n := range 5 {
					err := o.do(ctx, s, i, n)
					if err != nil && !slices.ContainsFunc(o.refused, func(refused error) bool { return errors.Is(err, refused) }) {
						t.Errorf("%s: %v", o.name, err)
					}
				}
			})
		}
	}
	var floor time.Duration
	recording.Go(func() { // the duration of the simplest commits, at the same time
		for !closed(done) {
			began := time.Now()
			execute(t, d, "INSERT INTO floor VALUES (1)")
			floor = max(floor, time.Since(began))
		}
	})
	operations.Wait()
	close(done)
	recording.Wait()
	for _, w := range writers {
		w.Close()
	}
	checkNoDeadlocks(t, d, stores)
	ratio := float64(slices.Max(longest)) / float64(floor)
	if t.Logf("the longest commit of reports took %.1f times as long as the longest simple one", ratio); ratio > 25 {
		t.Errorf("longest commits of reports: %v; longest simple commit: %v", longest, floor)
	}
}

func closed(done chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// recordUntil records reports and counts checks of builds that other callers create at the same
// time, until done is closed.
func recordUntil(t *testing.T, done chan struct{}, w *db.Writer, caller int) {
	for n := 0; !closed(done); n++ {
		version := fmt.Sprintf("1.%d.%d", n/50%10, caller)
		w.Count("opa", version, linux)
		for _, product := range []string{"opa", "short-lived"} {
			_, err := w.Record(context.Background(), product, linux, report(version))
			if err != nil && !(product == "short-lived" && errors.Is(err, db.ErrNotFound)) {
				t.Errorf("record a report of %s: %v", product, err)
				return
			}
		}
	}
}
