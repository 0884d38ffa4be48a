package db_test

import (
	"context"
	"testing"
	"time"
)

// The usage of a store has its size, and the time of the newest folded report of all products.
func testUsage(t *testing.T, name string) {
	ctx := context.Background()
	s := open(t, name)
	u, err := s.Usage(ctx)
	if err != nil || u.Size < 100_000 || !u.LastReport.IsZero() {
		t.Fatalf("a new store: got size %d, last report %v and error %v, want the size of its tables and no report", u.Size, u.LastReport, err)
	}
	w := writer(t, s)
	defer w.Close()
	begin := time.Now().Truncate(time.Second)
	for _, product := range []string{"opa", "relcheck"} {
		execAll(t, raw(t, name), "UPDATE fold SET at = at - 3600 WHERE at > 0")
		if _, err := w.Record(ctx, product, linux, report("1.0.0")); err != nil {
			t.Fatal(err)
		}
		fold(t, s)
	}
	if u, err = s.Usage(ctx); err != nil || u.LastReport.Before(begin) || u.LastReport.After(time.Now()) {
		t.Errorf("after a report at %v: got %v and error %v, want its time", begin, u.LastReport, err)
	}
}
