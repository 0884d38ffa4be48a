package command

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/mod/sumdb/note"

	"relcheck/checker"
	"relcheck/checker/bundle"
	"relcheck/checker/stats/rollup"
	"relcheck/db"
)

// smallCounts are reports of the last 40 days. Version v1.0.0 has many instances and
// installations, and each secret version fewer than 10 of either.
func smallCounts(random *rand.Rand) (reports []db.Recorded, ids []uuid.UUID) {
	today := rollup.DayOf(time.Now())
	add := func(d rollup.Day, n int, version string) {
		for range n {
			r := db.Recorded{At: d.Time().Add(time.Duration(random.IntN(86_000)) * time.Second), Platform: checker.Platform{OS: "linux", Arch: "amd64"}}
			heap := int64(50<<20 + random.Int64N(1<<30))
			r.Report = checker.Report{ID: uuid.New(), Version: version, HeapUsageBytes: &heap}
			ids = append(ids, r.ID)
			if random.IntN(2) == 0 {
				r.Last = checker.Last(d) - checker.Last(1+random.IntN(40))
			}
			reports = append(reports, r)
		}
	}
	for d := today - 40; d < today; d++ {
		add(d, 30+random.IntN(30), "v1.0.0")
		for i := range 1 + random.IntN(3) {
			add(d, 1+random.IntN(9), fmt.Sprintf("v9.%d.%d-secret", d, i)) // of one day, because more may run one in a week
		}
	}
	slices.SortFunc(reports, func(a, b db.Recorded) int { return a.At.Compare(b.At) })
	return reports, ids
}

// createCounts creates a bundle of counts of a store.
func createCounts(t *testing.T, s *db.Store, signer note.Signer, threshold int64) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "counts")
	w := countsWriter{store: s, countsOptions: countsOptions{threshold: threshold}, signer: signer, out: io.Discard}
	if err := w.create(context.Background(), file, nil); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// At threshold 10, no number under it is in a bundle's bytes, no version that fewer instances
// run, and no instance ID.
func TestBundleHasNoSmallCounts(t *testing.T) {
	ctx := context.Background()
	schema, err := os.ReadFile("../../schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	s, err := db.Open(ctx, filepath.Join(t.TempDir(), "a.db"), string(schema))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	reports, ids := smallCounts(rand.New(rand.NewPCG(1, 2)))
	checks := []db.Checked{{Day: reports[0].At, Version: "v8.8.8-secret", Platform: checker.Other, Count: 500}, {Day: reports[0].At, Version: "v1.0.0", Platform: checker.Other, Count: 9}}
	if _, err := s.Backfill(ctx, "opa", slices.Values(reports), slices.Values(checks)); err != nil {
		t.Fatal(err)
	}
	secret, _, err := bundle.GenerateKey("site")
	if err != nil {
		t.Fatal(err)
	}
	signer, verifier, err := bundle.ParseSecretKey(secret)
	if err != nil {
		t.Fatal(err)
	}

	exact := unpack(t, createCounts(t, s, signer, 1))
	if !small(t, exact) || !bytes.Contains(exact, []byte("secret")) {
		t.Error("at threshold 1, the bundle has no small counts: this test finds nothing")
	}
	text := createCounts(t, s, signer, 10)
	plain := unpack(t, text)
	if small(t, plain) {
		t.Error("the bundle has a number under the threshold")
	}
	for _, id := range ids {
		for what, form := range map[string][]byte{"text": []byte(id.String()), "bytes": id[:], "digits": []byte(hex.EncodeToString(id[:])), "part": []byte(id.String()[:8])} {
			if bytes.Contains(plain, form) || bytes.Contains(text, form) {
				t.Fatalf("the bundle has the %s of instance ID %s", what, id)
			}
		}
	}
	if bytes.Contains(plain, []byte("secret")) || !bytes.Contains(plain, []byte("v1.0.0")) {
		t.Error("the bundle has a version that few instances run, or lacks one that many run")
	}

	b, err := bundle.NewReader(bytes.NewReader(text), note.VerifierList(verifier))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	today, cells, others := rollup.DayOf(time.Now()), 0, 0
	for c, err := range b.Cells(b.Products[0]) {
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range c.Numbers() {
			if *n%10 != 0 {
				t.Errorf("%s %s: got count %d, want a multiple of 10", c.Day, c.Version, *n)
			}
		}
		for bucket, n := range c.Heaps.All() {
			if n%10 != 0 {
				t.Errorf("%s %s: got %d heaps in bucket %d, want a multiple of 10", c.Day, c.Version, n, bucket)
			}
		}
		if c.Range().To >= today {
			t.Errorf("got counts of %d days from %s, which are not over", c.Span, c.Day)
		}
		cells++
		if c.Build == rollup.OtherBuild {
			others++
		}
	}
	if cells < 40 || others == 0 {
		t.Errorf("got %d rows and %d of other, want one a day and some", cells, others)
	}
	// The next bundle has the same counts, so that their difference shows nothing.
	if again := unpack(t, createCounts(t, s, signer, 10)); !bytes.Equal(lines(again), lines(plain)) {
		t.Error("two bundles of the same days differ")
	}
}

// lines returns the counts in the index of a bundle.
func lines(plain []byte) (cells []byte) {
	for line := range bytes.Lines(plain) {
		if bytes.HasPrefix(line, []byte(`{"cell"`)) {
			cells = append(cells, line...)
		}
	}
	return cells
}

// unpack returns the contents of all files of an archive.
func unpack(t *testing.T, text []byte) (plain []byte) {
	t.Helper()
	z, err := zstd.NewReader(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	for r := tar.NewReader(z); ; {
		if _, err := r.Next(); err == io.EOF {
			return plain
		} else if err != nil {
			t.Fatal(err)
		}
		part, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		plain = append(plain, part...)
	}
}

var (
	quoted  = regexp.MustCompile(`"[^"]*"`)
	heapOf  = regexp.MustCompile(`\[-?[0-9]+,`) // the bucket of a heap, which is no count
	numbers = regexp.MustCompile(`[0-9]+`)
)

// small reports whether the counts in the bytes of a bundle have a number from 1 to 9.
func small(t *testing.T, plain []byte) bool {
	t.Helper()
	found := false
	for line := range strings.Lines(string(lines(plain))) {
		for _, n := range numbers.FindAllString(heapOf.ReplaceAllString(quoted.ReplaceAllString(line, ""), "["), -1) {
			count, err := strconv.Atoi(n)
			if err != nil {
				t.Fatal(err)
			}
			found = found || 0 < count && count < 10
		}
	}
	return found
}
