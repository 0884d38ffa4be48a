package server

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"relcheck/checker/access"
	"relcheck/checker/catalog"
	"relcheck/checker/printable"
	"relcheck/checker/server/pages"
)

func notFound(r *http.Request) error {
	if products, tag, ok := strings.Cut(r.URL.Path, "/releases/"); ok && strings.HasPrefix(products, "/api/v1/products/") && strings.Contains(tag, "/") {
		return fail(http.StatusNotFound, "not_found", "", fmt.Sprintf("nothing is at this path; write a / in a tag as %%2F: releases/%.200s", url.PathEscape(tag)))
	}
	return &failure{status: http.StatusNotFound, code: "not_found", message: "nothing is at this path; send reports to POST /v1/version or /p/PRODUCT/v1/version", forPrograms: true}
}

func wrongMethod(allow string) error {
	return &failure{status: http.StatusMethodNotAllowed, code: "method_not_allowed", message: "use one of the methods: " + allow, forPrograms: true}
}

// errorPage describes a failure to people.
func (s *Server) errorPage(r *http.Request, id identity, f *failure) pages.ErrorData {
	data := pages.ErrorData{Status: f.status, Message: f.message}
	if f.forPrograms {
		data.Message = ""
	}
	if f.status != http.StatusNotFound && !f.forPrograms {
		return data
	}
	if asked, err := url.ParseRequestURI(r.RequestURI); err == nil {
		data.Asked = fmt.Sprintf("%.200s", printable.Clean(asked.Path))
	}
	if mayList := id.role != anonymous || id.token != nil && id.token.Allows(access.Release); mayList && f.status == http.StatusNotFound {
		data.Meant = s.snapshot.Load().meantProduct(r.URL.Path)
	}
	return data
}

// maxParts is the number of parts of a path that can name a product: those of /manage/products/NAME
// and one more.
const maxParts = 4

// meantProduct returns the listed product that a part of a path probably names, or nil.
func (s *snapshot) meantProduct(path string) *catalog.Product {
	all := s.listedProducts()
	names := make([]string, len(all))
	for i, p := range all {
		names[i] = p.Name
	}
	parts := strings.FieldsFunc(strings.ToLower(path), func(r rune) bool { return r == '/' })
	for _, part := range parts[:min(len(parts), maxParts)] {
		name, _, _ := strings.Cut(part, "@")
		if !catalog.ValidProductName(name) || name == "products" || name == "manage" {
			continue
		}
		if found := printable.Nearest(name, names); found != "" {
			return &s.products.get(found).Product
		}
	}
	return nil
}
