package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/server"
	"relcheck/checker/stats/rollup"
	"relcheck/db"
)

// manyReleases returns n releases, oldest first.
func manyReleases(n int) (all []catalog.Release) {
	for i := range n {
		all = append(all, catalog.Release{Tag: fmt.Sprintf("v1.%d.%d", i/100, i%100), Date: time.Now().Add(time.Duration(i-n) * time.Hour).UTC().Truncate(time.Second)})
	}
	return all
}

// listedNames returns the versions or products that a page lists.
func listedNames(page string) (all []string) {
	for _, m := range regexp.MustCompile(`<th scope="row">(?:<a href="[^"]*">)?<bdi>([^<]*)</bdi>|<h2><a href="/products/([^"]*)">`).FindAllStringSubmatch(page, -1) {
		all = append(all, m[1]+m[2])
	}
	return all
}

// follow requests a page and follows its links with a relation.
func (s *service) follow(t *testing.T, path, token, rel string) (pages []string) {
	t.Helper()
	link := regexp.MustCompile(`<a href="([^"]*)" rel="` + rel + `">`)
	for range 100 {
		got := s.page(t, path, token)
		if got.StatusCode != http.StatusOK {
			t.Fatalf("GET %s: %s", path, got.Status)
		}
		pages = append(pages, got.body)
		next := link.FindStringSubmatch(got.body)
		if next == nil {
			return pages
		}
		path = strings.ReplaceAll(next[1], "&amp;", "&")
	}
	t.Fatal("got over 100 pages")
	return nil
}

// TestReleasesByPage checks that pages of releases are small and list all releases once,
// newest first.
func TestReleasesByPage(t *testing.T) {
	s := newService(t, manyReleases(1234)...)
	_, token := s.token(t)
	const path = "/products/opa/releases"
	pages := s.follow(t, path, token, "next")
	var all []string
	for _, page := range pages {
		if n := len(listedNames(page)); n > 100 || len(page) > 100<<10 {
			t.Errorf("got a page of %d bytes with %d releases, want up to 100 KiB and 100", len(page), n)
		}
		all = append(all, listedNames(page)...)
	}
	want := manyReleases(1234)
	slices.Reverse(want)
	if len(pages) != 13 || !slices.Equal(all, versionsOf(want)) {
		t.Errorf("got %d releases on %d pages, want 1,234 on 13: %.200q", len(all), len(pages), all)
	}
	if back := s.follow(t, path+"?page=13", token, "prev"); len(back) != 13 || back[12] != pages[0] {
		t.Errorf("got %d pages backwards, want the same 13", len(back))
	}
	for i, want := range map[int][]string{0: {"1,234 releases.", "1–100 of 1,234", `<a href="/products/opa/releases?page=13">Last</a>`},
		12: {"1,201–1,234 of 1,234", `<a href="/products/opa/releases">First</a>`}} {
		for _, text := range want {
			if !strings.Contains(normalizeText(pages[i]), text) {
				t.Errorf("page %d: got no text %q", i+1, text)
			}
		}
	}
	found := s.follow(t, path+"?version=V1.3.", token, "next")
	if len(found) != 1 || len(listedNames(found[0])) != 100 || listedNames(found[0])[0] != "v1.3.99" || !strings.Contains(found[0], `value="V1.3."`) {
		t.Errorf("search for V1.3.: got %d pages: %v, want 100 releases on 1 page", len(found), listedNames(found[0]))
	}
	if found := s.follow(t, path+"?version=1.1", token, "next"); len(found) != 4 { // v1.1.…, v1.10.… and v1.11.…, and v1.x.1…
		t.Errorf("search for 1.1: got %d pages, want 4", len(found))
	}
	for query, want := range map[string]int{"?page=14": 404, "?page=0": 400, "?page=-1": 400, "?page=x": 400, "?page=99999999999999999999": 400, "?page=": 200, "?page=1": 200,
		"?version=none": 200, "?version=<b>&page=1": 200, "?version=none&page=2": 404} {
		got := s.page(t, path+query, token)
		if got.StatusCode != want || strings.Contains(got.body, "<b>") {
			t.Errorf("%s: %s, want %d", query, got.Status, want)
		}
	}
}

// normalizeText replaces special spaces and quotes.
func normalizeText(page string) string {
	return strings.NewReplacer("\u00a0", " ", "\u202f", ",", "&#34;", `"`).Replace(page)
}

func versionsOf(releases []catalog.Release) (all []string) {
	for _, r := range releases {
		all = append(all, r.Tag)
	}
	return all
}

// TestFewReleasesHaveNoPages checks that up to 100 releases are on one page without a
// search form.
func TestFewReleasesHaveNoPages(t *testing.T) {
	for _, n := range []int{0, 1, 100} {
		s := newService(t, manyReleases(n)...)
		_, token := s.token(t)
		got := s.page(t, "/products/opa/releases", token)
		if len(listedNames(got.body)) != n || strings.Contains(got.body, `class="pager"`) || strings.Contains(got.body, `class="find"`) {
			t.Errorf("got %d of %d releases, want all without search and pages\n%s", len(listedNames(got.body)), n, got.body)
		}
	}
}

// TestAPIByPage checks that the API lists at most 1,000 releases at a time, with links to
// the others.
func TestAPIByPage(t *testing.T) {
	s := newServiceWith(t, serviceOptions{Options: server.Options{Base: "https://releases.example.com"}}, manyReleases(2345)...)
	_, token := s.token(t)
	get := func(path string) (versions []string, link string) {
		t.Helper()
		res, body := s.read(t, path, token)
		var list struct{ Releases []struct{ Version string } }
		if err := json.Unmarshal([]byte(body), &list); err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s, %v", path, res.Status, err)
		}
		for _, r := range list.Releases {
			versions = append(versions, r.Version)
		}
		return versions, res.Header.Get("Link")
	}
	want := manyReleases(2345)
	slices.Reverse(want)
	const path, base = "/api/v1/products/opa/releases", "https://releases.example.com"
	for _, query := range []string{"", "?per_page=1000", "?per_page=400", "?per_page=2&page=1170"} {
		var all []string
		for next := path + query; next != ""; {
			some, link := get(next)
			all = append(all, some...)
			next = ""
			if m := regexp.MustCompile(`<` + base + `([^>]*)>; rel="next"`).FindStringSubmatch(link); m != nil {
				next = m[1]
			}
		}
		if want := versionsOf(want); !slices.Equal(all, want[len(want)-len(all):]) || !strings.Contains(query, "1170") && len(all) != len(want) {
			t.Errorf("%s: got %d releases, want all in order", query, len(all))
		}
	}
	if _, link := get(path + "?page=2"); link != `<`+base+path+`>; rel="prev", <`+base+path+`?page=3>; rel="next", <`+base+path+`?page=3>; rel="last", <`+base+path+`>; rel="first"` {
		t.Errorf("page 2: got Link %s", link)
	}
	if some, link := get(path + "?page=9"); len(some) != 0 || !strings.Contains(link, `?page=3>; rel="prev"`) {
		t.Errorf("after the last page: got %d releases and Link %s, want none and the last page", len(some), link)
	}
	for _, query := range []string{"?per_page=0", "?per_page=1001", "?per_page=x", "?page=0", "?page=1.5", "?pages=2", "?page=1&page=2"} {
		if res, _ := s.read(t, path+query, token); res.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: got %s, want 400", query, res.Status)
		}
	}
}

// TestProductsByPage checks that pages list at most 25 products, and that the products
// can be searched.
func TestProductsByPage(t *testing.T) {
	const n = 120
	s := newServiceWith(t, serviceOptions{fill: func(s *db.Store) {
		for i := range n - 2 { // opa and relcheck exist
			if err := s.AddProduct(context.Background(), catalog.Product{Name: fmt.Sprintf("app%03d", i), Title: fmt.Sprintf("Program %03d", i)}); err != nil {
				t.Fatal(err)
			}
		}
	}})
	_, token := s.token(t)
	pages := s.follow(t, "/", token, "next")
	var all []string
	for _, page := range pages {
		all = append(all, listedNames(page)...)
		if len(listedNames(page)) > 25 || strings.Contains(page, "Three steps are left") {
			t.Errorf("got a page with %d products, want up to 25 and no next steps", len(listedNames(page)))
		}
	}
	sorted := slices.Clone(all)
	slices.Sort(sorted)
	if len(all) != n || len(slices.Compact(sorted)) != n {
		t.Errorf("got %d products on %d pages, want %d once each", len(all), len(pages), n)
	}
	for find, want := range map[string]int{"gram+077": 1, "APP01": 10, "none": 0} {
		if got := s.page(t, "/?product="+find, token); got.StatusCode != http.StatusOK || len(listedNames(got.body)) != want {
			t.Errorf("search for %s: got %s with %v, want %d products", find, got.Status, listedNames(got.body), want)
		}
	}
	if got := s.page(t, "/connect", token); strings.Count(got.body, "/connect\"><bdi>") != 25 || !strings.Contains(got.body, "All products") {
		t.Errorf("got a connect page without 25 products and a link to all\n%s", got.body)
	}
	res, body := s.read(t, "/api/v1/products?per_page=50&page=2", token)
	var list struct{ Products []struct{ Name string } }
	if err := json.Unmarshal([]byte(body), &list); err != nil || len(list.Products) != 50 || !strings.Contains(res.Header.Get("Link"), `per_page=50>; rel="prev"`) {
		t.Errorf("%v, %d products, links %s", err, len(list.Products), res.Header.Get("Link"))
	}
}

// TestLongProductPage checks that the size of a product's page is limited, for any number
// of releases and versions in use.
func TestLongProductPage(t *testing.T) {
	const n = 3000
	s := newServiceWith(t, serviceOptions{fill: func(s *db.Store) {
		yesterday := rollup.DayOf(time.Now()) - 1
		_, err := s.Backfill(context.Background(), "opa", func(yield func(db.Recorded) bool) {
			for i, r := range manyReleases(n) {
				heap := int64(20e6 + i*1e4)
				if !yield(db.Recorded{At: yesterday.Time(), Platform: checker.Platform{OS: "linux", Arch: "amd64"}, Report: checker.Report{ID: uuid.New(), Version: r.Tag, HeapUsageBytes: &heap}}) {
					return
				}
			}
		}, func(func(db.Checked) bool) {})
		if err == nil {
			_, err = s.Fold(context.Background())
		}
		if err != nil {
			t.Fatal(err)
		}
	}}, manyReleases(n)...)
	_, token := s.token(t)
	got := s.page(t, "/products/opa/versions?below=v1.3.7", token)
	if got.StatusCode != http.StatusOK || len(got.body) > 2<<20 {
		t.Errorf("got %s with %d bytes, want 200 with up to 2 MiB", got.Status, len(got.body))
	}
	body := normalizeText(got.body)
	for _, text := range []string{"Show 392 of 2,992 more rows", "below v1.3.7", "below v1.0.0", "below v1.29.99"} {
		if !strings.Contains(body, text) {
			t.Errorf("got no text %q", text)
		}
	}
	for _, table := range regexp.MustCompile(`(?s)<tbody>.*?</tbody>`).FindAllString(body, -1) {
		if rows := strings.Count(table, "<tr"); rows > 400 {
			t.Errorf("got a table with %d rows, want up to 400", rows)
		}
	}
	for _, chart := range regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(body, -1) {
		if marks := strings.Count(chart, "<title>"); marks > 410 {
			t.Errorf("got a chart with %d marks, want up to 410", marks)
		}
	}
}
