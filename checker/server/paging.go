package server

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"relcheck/checker/server/pages"
)

const (
	// releasesPerPage and productsPerPage are the lengths of lists on pages. Each listed
	// product needs its statistics to be read.
	releasesPerPage, productsPerPage = 100, 25
	// maxPerPage is the default and maximum length of lists in the API.
	maxPerPage = 1000
)

// newPager reads which page of a list is requested. The first page exists even if
// the list is empty. Links begin with root.
func newPager(r *http.Request, root string, per, total int) (pages.Pager, error) {
	page, err := number(r, "page", 1, 1<<31-1)
	if err != nil {
		return pages.Pager{}, err
	}
	p := pages.Pager{Page: page, Per: per, Total: total}
	link := func(page int) string {
		q := r.URL.Query()
		q.Del("page")
		if page > 1 {
			q.Set("page", strconv.Itoa(page))
		}
		return pages.Address(root+r.URL.EscapedPath(), q)
	}
	if p.Page > 1 {
		p.First, p.Prev = link(1), link(min(p.Page-1, p.Pages()))
	}
	if p.Page < p.Pages() {
		p.Next, p.Last = link(p.Page+1), link(p.Pages())
	}
	return p, nil
}

// number parses a query parameter that must be a number from 1 to most. It returns absent
// if there is none.
func number(r *http.Request, name string, absent, most int) (int, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return absent, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, fail(http.StatusBadRequest, "invalid_query", name, fmt.Sprintf("%s=%.20q is not a number from 1 to %d", name, text, most))
	}
	return n, nil
}

// newListPager is newPager for HTML pages. It fails if there is no such page, and waits for
// the rate limit of pages.
func (s *Server) newListPager(r *http.Request, id identity, per, total int) (pages.Pager, error) {
	p, err := newPager(r, s.root, per, total)
	if err == nil && p.Page > p.Pages() {
		err = fail(http.StatusNotFound, "not_found", "page", fmt.Sprintf("there is no page %d; the last one is page %d", p.Page, p.Pages()))
	}
	if err == nil {
		err = s.paced(r, id, pageOfList)
	}
	return p, err
}

// apiPaging reads the parameters page and per_page, and sets the header Link with the URLs
// of other pages, as in GitHub's API.
func (s *Server) apiPaging(w http.ResponseWriter, r *http.Request, total int) (pages.Pager, error) {
	per, err := number(r, "per_page", maxPerPage, maxPerPage)
	if err != nil {
		return pages.Pager{}, err
	}
	p, err := newPager(r, s.options.Base, per, total)
	if err != nil {
		return p, err
	}
	var links []string
	for _, link := range []struct{ rel, url string }{{"prev", p.Prev}, {"next", p.Next}, {"last", p.Last}, {"first", p.First}} {
		if link.url != "" {
			links = append(links, "<"+link.url+`>; rel="`+link.rel+`"`)
		}
	}
	if links != nil {
		w.Header().Set("Link", strings.Join(links, ", "))
	}
	return p, nil
}

// newSearch reads the search term of a request from the parameter name.
func (s *Server) newSearch(r *http.Request, name string) pages.Search {
	return pages.Search{Name: name, Value: strings.TrimSpace(r.URL.Query().Get(name)), Reset: s.root + r.URL.EscapedPath()}
}

// found reports whether a text contains the search term, ignoring case.
func found(s pages.Search, text string) bool {
	return strings.Contains(strings.ToLower(text), strings.ToLower(s.Value))
}
