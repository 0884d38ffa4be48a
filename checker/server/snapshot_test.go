package server

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/db"
	"relcheck/db/pgtest"
)

// dump describes everything that requests can read from a snapshot.
func (s *snapshot) dump() (lines []string) {
	for name, p := range s.products {
		lines = append(lines, fmt.Sprintf("%s: %+v", name, p.listing()))
		for _, r := range p.releases.sorted {
			if found, key := p.find(r.Version); found != r {
				lines = append(lines, fmt.Sprintf("%s: %s finds %+v", name, key, found))
			}
		}
		for _, o := range []*offer{p.stable, p.preview} {
			lines = append(lines, fmt.Sprintf("%s: %s%s%s", name, o.github, o.answer(checker.Other, outdated), o.answer(checker.Platform{OS: "linux", Arch: "amd64"}, upToDate)))
		}
	}
	for repo, p := range s.repos {
		lines = append(lines, repo+" is of "+p.Name)
		if s.products[p.Name] != p {
			lines = append(lines, repo+" refers to an earlier "+p.Name)
		}
	}
	slices.Sort(lines)
	return lines
}

// TestSnapshotWith checks that a snapshot after a sequence of changes is equal to a
// snapshot of the whole catalog, and shares unchanged products with its predecessor.
func TestSnapshotWith(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all, last := map[string]*catalog.Listing{}, int64(0)
		s := new(snapshot).with(catalog.Changes{All: true})
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) {
				whole := catalog.Changes{Revision: s.revision, All: true}
				for _, l := range all {
					whole.Products = append(whole.Products, *l)
				}
				if diff := cmp.Diff(new(snapshot).with(whole).dump(), s.dump()); diff != "" {
					t.Fatalf("-whole +changed:\n%s", diff)
				}
			},
			"change": func(t *rapid.T) {
				before, c, removed := s, catalog.Changes{}, false
				for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d"}), 1, 3, rapid.ID).Draw(t, "products") {
					change := rapid.SampledFrom([]string{"remove", "renew", "set", "set", "release", "release", "release"}).Draw(t, "change")
					if change == "remove" || change == "renew" {
						removed = removed || all[name] != nil
						delete(all, name)
					}
					if change == "remove" {
						continue
					}
					l := all[name]
					if l == nil {
						last++
						l = &catalog.Listing{ID: last, Product: catalog.Product{Name: name}}
						all[name] = l
					}
					changed := catalog.Listing{ID: l.ID}
					if change == "set" {
						l.Notes = rapid.SampledFrom([]string{"", "https://example.com/{tag}"}).Draw(t, "notes")
						l.Repo = rapid.SampledFrom([]string{"", "me/" + name, "Me/" + name + name}).Draw(t, "repo")
					}
					for range rapid.IntRange(0, 40).Draw(t, "releases") {
						r := catalog.Release{Version: fmt.Sprintf("v1.%d.%d", rapid.IntRange(0, 9).Draw(t, "minor"), rapid.IntRange(0, 9).Draw(t, "patch")),
							Prerelease: rapid.Bool().Draw(t, "prerelease"), Withdrawn: rapid.Bool().Draw(t, "withdrawn")}
						same := func(other catalog.Release) bool { return other.Version == r.Version }
						l.Releases = append(slices.DeleteFunc(slices.Clone(l.Releases), same), r)
						changed.Releases = append(slices.DeleteFunc(changed.Releases, same), r)
					}
					changed.Product = l.Product
					c.Products = append(c.Products, changed)
				}
				if removed {
					c.Remaining = map[int64]bool{}
					for _, l := range all {
						c.Remaining[l.ID] = true
					}
				}
				s = s.with(c)
				for name, p := range s.products {
					if !slices.ContainsFunc(c.Products, func(l catalog.Listing) bool { return l.Name == name }) && before.products[name] != p {
						t.Errorf("product %s: got a new value, want the shared one, because it has not changed", name)
					}
				}
			},
		})
	})
}

// TestSnapshotFollowsStore checks that a snapshot is equal to the catalog of a store
// while several processes change it concurrently.
func TestSnapshotFollowsStore(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) { testSnapshotFollows(t, filepath.Join(t.TempDir(), "a.db")) })
	t.Run("PostgreSQL", func(t *testing.T) { testSnapshotFollows(t, pgtest.Database(t)) })
}

func testSnapshotFollows(t *testing.T, name string) {
	t.Parallel()
	schema, err := os.ReadFile("../../schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	open := func() *db.Store {
		s, err := db.Open(t.Context(), name, string(schema))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	reader, done := open(), make(chan struct{})
	var editors sync.WaitGroup
	for i := range 3 {
		seed := rand.Uint64()
		t.Logf("editor %d has seed %d", i, seed)
		s, random := open(), rand.New(rand.NewPCG(seed, 0))
		editors.Go(func() { editAtRandom(t, s, random, 60) })
	}
	go func() { editors.Wait(); close(done) }()
	s, compared := new(snapshot), 0
	for ended := false; ; {
		c, err := reader.Changes(t.Context(), s.revision)
		if err != nil {
			t.Fatal(err)
		}
		if c.Revision != s.revision {
			s = s.with(c)
		}
		all, err := reader.Changes(t.Context(), catalog.Revision{})
		if err != nil {
			t.Fatal(err)
		}
		if all.Revision == s.revision {
			compared++
			if diff := cmp.Diff(new(snapshot).with(all).dump(), s.dump()); diff != "" {
				t.Fatalf("at %+v, -whole +changed:\n%s", s.revision, diff)
			}
			if ended {
				break
			}
		}
		select {
		case <-done:
			ended = true
		case <-time.After(time.Millisecond):
		}
	}
	t.Logf("compared %d times", compared)
}

// editAtRandom makes random changes. Concurrent changes can make one of them fail.
func editAtRandom(t *testing.T, s *db.Store, random *rand.Rand, times int) {
	ctx := context.Background()
	for range times {
		name := []string{"opa", "a", "b", "c"}[random.IntN(4)]
		version := fmt.Sprintf("v1.%d.0", random.IntN(8))
		var err error
		switch random.IntN(8) {
		case 0:
			err = s.RemoveProduct(ctx, name, true)
		case 1, 2:
			_, _, err = s.EditProduct(ctx, name, catalog.ProductPatch{"repo": []string{"", "me/x", "me/y"}[random.IntN(3)], "title": version})
		case 3:
			err = s.Withdraw(ctx, name, version, random.IntN(2) == 0)
		case 4:
			releases := []catalog.Release{{Version: version}, {Version: fmt.Sprintf("v1.%d.1", random.IntN(8)), Prerelease: true}}
			_, err = s.PutReleases(ctx, name, releases, func(_, given catalog.Release) catalog.Release { return given })
		default:
			e := catalog.ReleasePatch{}
			e.SetNotes(fmt.Sprintf("https://example.com/%d", random.IntN(100)))
			e.SetAsset("linux/amd64", fmt.Sprintf("https://example.com/linux%d", random.IntN(100)))
			_, _, err = s.EditRelease(ctx, name, version, e)
		}
		if err != nil && !errors.Is(err, catalog.ErrNotFound) && !errors.Is(err, catalog.ErrInUse) && !strings.Contains(err.Error(), "40001") {
			t.Errorf("change product %s: %v", name, err)
		}
	}
}

// atLimit returns a catalog with the maximum number of products and releases.
func atLimit(products, releases int) catalog.Changes {
	c := catalog.Changes{All: true}
	for i := range products {
		l := catalog.Listing{ID: int64(i), Product: catalog.Product{Name: fmt.Sprint("app", i), Repo: fmt.Sprint("me/app", i)}}
		n := 1
		if i == 0 {
			n = releases - products
		}
		for j := range n {
			l.Releases = append(l.Releases, catalog.Release{Version: fmt.Sprintf("v1.%d.0", j), Assets: map[checker.Platform]string{{OS: "linux", Arch: "amd64"}: "https://example.com"}})
		}
		c.Products = append(c.Products, l)
	}
	return c
}

// BenchmarkSnapshot measures a new snapshot after a release is added, in a small catalog
// and in one at the limits of a store.
func BenchmarkSnapshot(b *testing.B) {
	for _, n := range []int{100, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := new(snapshot).with(atLimit(n/10, n))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				s = s.with(catalog.Changes{Products: []catalog.Listing{{ID: 0, Product: s.products["app0"].Product, Releases: []catalog.Release{{Version: fmt.Sprintf("v2.%d.0", i)}}}}})
			}
		})
	}
}
