package server

import (
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

const (
	// pageOfReleases and pageOfProducts are how many a page shows. Each product
	// takes a reading of its figures.
	pageOfReleases, pageOfProducts = 100, 25
	// maxPerPage is how many items an answer of the API lists, unless less is asked for.
	maxPerPage = 1000
)

// paging is one page of a list.
type paging struct {
	Page, Per, Total int
	address          func(page int) string
}

// newPaging reads which page of a list a request asks for. Pages count from 1. There
// is a first page of a list without items, too.
func newPaging(r *http.Request, per, total int) (paging, error) {
	p := paging{Page: 1, Per: per, Total: total, address: func(page int) string {
		q := r.URL.Query()
		q.Del("page")
		if page > 1 {
			q.Set("page", strconv.Itoa(page))
		}
		return address(r.URL.EscapedPath(), q)
	}}
	var err error
	if text := r.URL.Query().Get("page"); text != "" {
		p.Page, err = number("page", text, 1<<31-1)
	}
	return p, err
}

// number reads a parameter of a request, which counts from 1.
func number(name, text string, most int) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, fail(http.StatusBadRequest, "invalid_query", name, fmt.Sprintf("%s=%.20q is not a number from 1 to %d", name, text, most))
	}
	return n, nil
}

// Pages is how many there are.
func (p paging) Pages() int { return max(1, (p.Total+p.Per-1)/p.Per) }

// bounds are those of the page's items in the list.
func (p paging) bounds() (from, to int) {
	from = min((p.Page-1)*p.Per, p.Total)
	return from, min(from+p.Per, p.Total)
}

// What a page shows of its place in the list.
func (p paging) First() string { return p.link(1, p.Page > 1) }
func (p paging) Prev() string  { return p.link(min(p.Page-1, p.Pages()), p.Page > 1) }
func (p paging) Next() string  { return p.link(p.Page+1, p.Page < p.Pages()) }
func (p paging) Last() string  { return p.link(p.Pages(), p.Page < p.Pages()) }

func (p paging) link(page int, there bool) string {
	if !there {
		return ""
	}
	return p.address(page)
}

// Range says which items of how many the page shows.
func (p paging) Range() string {
	from, to := p.bounds()
	if from == to {
		return "0 of " + showNumber(int64(p.Total))
	}
	return showNumber(int64(from+1)) + "–" + showNumber(int64(to)) + " of " + showNumber(int64(p.Total))
}

// newListPaging is newPaging for a page that people look at. It waits for its turn.
func (s *Server) newListPaging(r *http.Request, per, total int) (paging, error) {
	p, err := newPaging(r, per, total)
	if err == nil && p.Page > p.Pages() {
		err = fail(http.StatusNotFound, "not_found", "page", fmt.Sprintf("there is no page %d; the last one is page %d", p.Page, p.Pages()))
	}
	if err == nil {
		err = s.paced(r, pageOfList)
	}
	return p, err
}

// apiPaging reads page and per_page, and sets the header Link, in which clients of
// the API find the other pages as in GitHub's.
func (s *Server) apiPaging(w http.ResponseWriter, r *http.Request, total int) (paging, error) {
	per := maxPerPage
	if text := r.URL.Query().Get("per_page"); text != "" {
		var err error
		if per, err = number("per_page", text, maxPerPage); err != nil {
			return paging{}, err
		}
	}
	p, err := newPaging(r, per, total)
	if err != nil {
		return p, err
	}
	var links []string
	for _, one := range []struct{ rel, url string }{{"prev", p.Prev()}, {"next", p.Next()}, {"last", p.Last()}, {"first", p.First()}} {
		if one.url != "" {
			links = append(links, "<"+s.options.Base+one.url+`>; rel="`+one.rel+`"`)
		}
	}
	if links != nil {
		w.Header().Set("Link", strings.Join(links, ", "))
	}
	return p, nil
}

// pageOf returns the items of a list that are on a page of it.
func pageOf[T any](all iter.Seq[T], p paging) iter.Seq[T] {
	return func(yield func(T) bool) {
		i, from, to := 0, (p.Page-1)*p.Per, p.Page*p.Per
		for one := range all {
			if i >= to || i >= from && !yield(one) {
				return
			}
			i++
		}
	}
}

// finder is a form that finds items of a list by a word.
type finder struct {
	Label, Name, Value, Reset string
}

// newFinder reads what a request looks for.
func newFinder(r *http.Request, label, name string) finder {
	return finder{label, name, strings.TrimSpace(r.URL.Query().Get(name)), (&url.URL{Path: r.URL.Path}).String()}
}

// matches reports whether a text contains the word, in letters of either case.
func (f finder) matches(text string) bool {
	return strings.Contains(strings.ToLower(text), strings.ToLower(f.Value))
}
