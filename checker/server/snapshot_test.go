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

var linux = checker.Platform{OS: "linux", Arch: "amd64"}

// dump describes everything that requests can read from a snapshot.
func (s *snapshot) dump() (lines []string) {
	for name, p := range s.products.all() {
		lines = append(lines, fmt.Sprintf("%s: %d %+v", name, p.id, p.Product))
		for i, r := range p.releases {
			lines = append(lines, fmt.Sprintf("%s: release %d is %+v", name, i, r.Release))
			if found := p.find(r.Tag); found != r && !r.Version.OtherComponent() {
				lines = append(lines, fmt.Sprintf("%s: %s finds %+v", name, r.Tag, found))
			}
		}
		for tag, r := range p.byTag.all() {
			if !slices.Contains(p.releases, r) {
				lines = append(lines, fmt.Sprintf("%s: %s is an earlier %+v", name, tag, r.Release))
			}
			lines = append(lines, fmt.Sprintf("%s: %s is %s", name, tag, r.Tag))
		}
		for channel, c := range p.channels {
			lines = append(lines, fmt.Sprintf("%s@%s: next %v", name, channel, c.Next))
			for i, o := range append([]*offer{c.latest}, c.previews...) {
				lines = append(lines, fmt.Sprintf("%s@%s, offer %d: %s%s", name, channel, i, o.answer(checker.Other, outdated), o.answer(linux, upToDate)))
				if o.release != nil && (!slices.Contains(p.releases, o.release) || !o.product.Equal(p.Product)) {
					lines = append(lines, fmt.Sprintf("%s@%s offers an earlier %+v", name, channel, o.release.Release))
				}
			}
			for _, running := range []string{"v1.2.3", "1.2.3-rc.1", "cli/v1.3.4", "v1.0.0-dev", "nightly", "v1.5.5-vendor"} {
				o, v := p.judge(c, p.find(running), running)
				lines = append(lines, fmt.Sprintf("%s@%s: %s gets %s", name, channel, running, o.answer(linux, v)))
			}
		}
	}
	for repo, p := range s.repos.all() {
		lines = append(lines, repo+" is of "+p.Name)
		if s.products.get(p.Name) != p {
			lines = append(lines, repo+" refers to an earlier "+p.Name)
		}
	}
	for name, begins := range s.waiting {
		lines = append(lines, fmt.Sprintf("%s waits until %v", name, begins))
	}
	slices.Sort(lines)
	return lines
}

// TestSnapshot checks that a snapshot after a sequence of changes, and as time passes, is
// equal to a snapshot of the whole catalog at that time, and shares unchanged products
// with its predecessor.
func TestSnapshot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &catalogModel{products: map[string]*catalog.Listing{}, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
		s := emptySnapshot().with(catalog.Changes{All: true}, m.now)
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) {
				whole := catalog.Changes{Revision: s.revision, All: true}
				for _, l := range m.products {
					whole.Products = append(whole.Products, *l)
				}
				if diff := cmp.Diff(emptySnapshot().with(whole, m.now).dump(), s.dump()); diff != "" {
					t.Fatalf("-whole +changed:\n%s", diff)
				}
			},
			"wait": func(t *rapid.T) {
				m.now = m.now.Add(time.Duration(rapid.IntRange(0, 30).Draw(t, "hours")) * time.Hour)
				if !s.next().IsZero() && !s.next().After(m.now) {
					s = s.at(m.now)
				}
			},
			"change": func(t *rapid.T) {
				before, c := s, m.change(t)
				s = s.with(c, m.now)
				for name, p := range s.products.all() {
					if !slices.ContainsFunc(c.Products, func(l catalog.Listing) bool { return l.Name == name }) && before.products.get(name) != p {
						t.Errorf("product %s: got a new value, want the shared one, because it has not changed", name)
					}
				}
			},
		})
	})
}

// catalogModel is a catalog that random changes are made to.
type catalogModel struct {
	products map[string]*catalog.Listing
	lastID   int64
	now      time.Time
}

// change changes some products, and returns the changes as the store describes them.
func (m *catalogModel) change(t *rapid.T) (c catalog.Changes) {
	removed := false
	for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d"}), 1, 3, rapid.ID).Draw(t, "products") {
		change := rapid.SampledFrom([]string{"remove", "renew", "set", "set", "release", "release", "release"}).Draw(t, "change")
		if change == "remove" || change == "renew" {
			removed = removed || m.products[name] != nil
			delete(m.products, name)
		}
		if change == "remove" {
			continue
		}
		l := m.products[name]
		if l == nil {
			m.lastID++
			l = &catalog.Listing{ID: m.lastID, Product: catalog.Product{Name: name}}
			m.products[name] = l
		}
		changed := catalog.Listing{ID: l.ID}
		if change == "set" && m.set(t, l) {
			changed.Releases = l.Releases
		}
		for range rapid.IntRange(0, 25).Draw(t, "releases") {
			r := m.release(t)
			same := func(other catalog.Release) bool { return other.Tag == r.Tag }
			l.Releases = append(slices.DeleteFunc(slices.Clone(l.Releases), same), r)
			changed.Releases = append(slices.DeleteFunc(slices.Clone(changed.Releases), same), r)
		}
		changed.Product = l.Product
		c.Products = append(c.Products, changed)
	}
	if removed {
		c.Remaining = map[int64]bool{}
		for _, l := range m.products {
			c.Remaining[l.ID] = true
		}
	}
	return c
}

// set changes fields of a product. It reports whether the store also lists the releases as
// changed, because their versions have.
func (m *catalogModel) set(t *rapid.T, l *catalog.Listing) bool {
	draw := func(name string, values ...string) string { return rapid.SampledFrom(values).Draw(t, name) }
	old := l.Product
	l.Notes = draw("notes", "", "https://example.com/{tag}")
	l.Repo = draw("repo", "", "me/"+l.Name, "Me/"+l.Name+l.Name)
	l.File = draw("file", "", "app_{os}_{arch}", "other_{os}_{arch}")
	l.Prefixes = draw("prefixes", "", "cli/v", "cli/v x@")
	l.Suffix = draw("suffix", "", "[0-9]+")
	l.Match = draw("match", "", "<1.7", ">=1.2")
	l.Channels = draw("channels", "", "lts <1.5\n", "lts <1.3 prereleases\nnext * prereleases\n")
	l.MinAge = time.Duration(rapid.SampledFrom([]int{0, 1, 48}).Draw(t, "min age")) * time.Hour
	l.RequireFiles = rapid.Bool().Draw(t, "require files")
	return old.Prefixes != l.Prefixes || old.Suffix != l.Suffix
}

func (m *catalogModel) release(t *rapid.T) catalog.Release {
	r := catalog.Release{
		Tag: fmt.Sprintf("%s1.%d.%d%s", rapid.SampledFrom([]string{"v", "v", "", "cli/v", "cli/", "x@"}).Draw(t, "prefix"), rapid.IntRange(0, 9).Draw(t, "minor"),
			rapid.IntRange(0, 3).Draw(t, "patch"), rapid.SampledFrom([]string{"", "", "-rc.1", "-1", "+k3s1", "x"}).Draw(t, "suffix")),
		Prerelease: rapid.Bool().Draw(t, "prerelease"), Withdrawn: rapid.Bool().Draw(t, "withdrawn"),
	}
	if rapid.Bool().Draw(t, "dated") {
		r.Date = m.now.Add(time.Duration(rapid.IntRange(-60, 60).Draw(t, "date")) * time.Hour)
	}
	for _, name := range []string{"app_darwin_arm64", "app_linux_amd64", "other_linux_amd64"} {
		if rapid.Bool().Draw(t, name) {
			r.Files = append(r.Files, catalog.File{Name: name, URL: "https://example.com/" + r.Tag + "/" + name})
		}
	}
	if rapid.IntRange(0, 9).Draw(t, "given") == 0 {
		r.Files = append(r.Files, catalog.File{Platform: linux, URL: "https://example.com/given"})
	}
	return r
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
	s, compared := emptySnapshot(), 0
	for ended := false; ; {
		c, err := reader.Changes(t.Context(), s.revision)
		if err != nil {
			t.Fatal(err)
		}
		if c.Revision != s.revision {
			s = s.with(c, time.Now())
		}
		all, err := reader.Changes(t.Context(), catalog.Revision{})
		if err != nil {
			t.Fatal(err)
		}
		if all.Revision == s.revision {
			compared++
			now := time.Now()
			s = s.at(now)
			if diff := cmp.Diff(emptySnapshot().with(all, now).dump(), s.dump()); diff != "" {
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
		switch random.IntN(11) {
		case 9:
			f := catalog.HostedFile{Name: fmt.Sprint("linux", random.IntN(3)), SHA256: fmt.Sprintf("%064d", random.IntN(5))}
			if err = s.HostFile(ctx, name, version, f); err == nil && random.IntN(2) == 0 {
				err = s.UnhostFile(ctx, name, version, f.Name)
			}
			if random.IntN(3) == 0 {
				err = s.MarkDamaged(ctx, f.SHA256, time.Unix(int64(random.IntN(2)), 0))
			}
		case 10:
			err = s.RecordSync(ctx, name, catalog.Sync{Upstream: "github:me/" + name, Tried: time.Now(), Latest: version})
		case 8:
			_, _, err = s.ResetRelease(ctx, name, version)
		case 0:
			err = s.RemoveProduct(ctx, name, true)
		case 1, 2:
			one := func(values ...string) string { return values[random.IntN(len(values))] }
			_, _, err = s.EditProduct(ctx, name, catalog.ProductPatch{"repo": one("", "me/x", "me/y"), "title": version,
				"tag_prefixes": one("", "", "cli/v"), "channels": one("", "lts <1.4"), "match": one("", "<1.6"), "min_age": one("", "1s"), "file": one("", "linux{tag}"), "upstreams": one("", "github:me/"+name)})
		case 3:
			_, _, err = s.Withdraw(ctx, name, version, random.IntN(2) == 0)
		case 4:
			date := time.Now().Add(time.Duration(random.IntN(3)) * time.Second).Truncate(time.Second)
			releases := []catalog.Release{{Tag: version, Date: date}, {Tag: fmt.Sprintf("v1.%d.1", random.IntN(8)), Prerelease: true}, {Tag: "cli/" + version}}
			_, err = s.ImportReleases(ctx, name, catalog.ListOf("test", releases...), true)
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
			l.Releases = append(l.Releases, catalog.Release{Tag: fmt.Sprintf("v1.%d.0", j), Files: []catalog.File{{Platform: linux, URL: "https://example.com"}}})
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
			s := emptySnapshot().with(atLimit(n/10, n), time.Now())
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				s = s.with(catalog.Changes{Products: []catalog.Listing{{ID: 0, Product: s.products.get("app0").Product, Releases: []catalog.Release{{Tag: fmt.Sprintf("v2.%d.0", i)}}}}}, time.Now())
			}
		})
	}
}

func emptySnapshot() *snapshot {
	return newSnapshot(nil, &entries{report: new(entry), github: new(entry)})
}
