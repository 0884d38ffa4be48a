package db_test

import (
	"context"
	"testing"
	"time"
)

// The usage of a store has its size, and the time of the newest folded report.
func testUsage(t *testing.T, name string) {
	ctx := context.Background()
	s := open(t, name)
	u, err := s.Usage(ctx)
	if err != nil || u.Size < 4096 || !u.LastReport.IsZero() {
		t.Fatalf("a new store: got size %d, last report %v and error %v, want a size and no report", u.Size, u.LastReport, err)
	}
	w := writer(t, s)
	defer w.Close()
	begin := time.Now().Truncate(time.Second)
	if _, err := w.Record(ctx, "opa", linux, report("1.0.0")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Fold(ctx); err != nil {
		t.Fatal(err)
	}
	if u, err = s.Usage(ctx); err != nil || u.LastReport.Before(begin) || u.LastReport.After(time.Now()) {
		t.Errorf("after a report at %v: got %v and error %v, want its time", begin, u.LastReport, err)
	}
}
