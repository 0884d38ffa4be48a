package server

import (
	"cmp"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"

	"relcheck/checker/access"
	"relcheck/checker/catalog"
	"relcheck/checker/server/pages"
	"relcheck/checker/stats"
)

// contentSecurityPolicy lets a page load from this server only, and run no inline
// scripts or styles.
const contentSecurityPolicy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// assets are the compressed and uncompressed assets of the pages, by name.
var assets = sync.OnceValue(func() map[string]*keptContent {
	all := map[string]*keptContent{}
	for name, body := range pages.Assets() {
		all[name] = newKeptContent(body)
	}
	return all
})

func (s *Server) asset(w http.ResponseWriter, r *http.Request, _ identity) error {
	name := r.PathValue("name")
	body, ok := assets()[name]
	if !ok {
		return fail(http.StatusNotFound, "not_found", "", "there is nothing at this path")
	}
	h := w.Header()
	h.Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("ETag", `"`+name+`"`)
	h.Set("Vary", "Accept-Encoding")
	h["X-Content-Type-Options"] = noSniff
	body.content(r).send(w, r, http.StatusOK)
	return nil
}

func (s *Server) sendPage(w http.ResponseWriter, r *http.Request, id identity, status int, render func(pages.Visitor) ([]byte, error)) error {
	if id.err == nil && id.token == nil && id.session != "" {
		s.setCookie(w, r, sessionCookie, "", -1) // the session has ended
	}
	c, err := s.drawing.build(r, func() (content, error) {
		plain, err := render(s.visitor(r, id))
		return zippedFor(r, plain), err
	})
	if err != nil {
		return err
	}
	setPageHeaders(w.Header())
	if strings.HasPrefix(r.URL.Path, "/manage") || r.Method == http.MethodPost { // otherwise browsers do not send the origin of a form over plain HTTP
		w.Header().Set("Referrer-Policy", "same-origin")
	}
	c.send(w, r, status)
	return nil
}

// visitor describes the client to the pages. Only a session can be ended, not a token in
// the Authorization header.
func (s *Server) visitor(r *http.Request, id identity) pages.Visitor {
	v := pages.Visitor{
		Root:     s.root,
		Path:     r.URL.EscapedPath(),
		Overview: id.role != anonymous,
		Reader:   id.role == reader,
		Public:   s.networks != nil,
		SignedIn: id.signedIn,
	}
	if v.Overview {
		v.Menu = s.snapshot.Load().menu()
	}
	if id.token != nil {
		v.Releases, v.Admin = id.token.Allows(access.Release), id.token.Allows(access.Admin)
	}
	return v
}

func setPageHeaders(h http.Header) {
	private(h)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", contentSecurityPolicy)
	h.Set("Vary", "Accept, Accept-Encoding, Cookie")
	h["X-Content-Type-Options"] = noSniff
}

// sendError answers a request with an error: browsers with a page, and others with JSON.
func (s *Server) sendError(w http.ResponseWriter, r *http.Request, id identity, err error) {
	f, ok := errors.AsType[*failure](err)
	if !ok {
		s.log.Error("cannot answer a request", "route", r.Pattern, "err", err)
		f = internal()
	}
	if wantsPage(r) {
		f.setRetryAfter(w.Header())
		if s.sendPage(w, r, id, f.status, func(v pages.Visitor) ([]byte, error) { return pages.Error(v, s.errorPage(r, id, f)) }) == nil {
			return
		}
	}
	writeError(w, f)
}

// refuseRequest is [Server.sendError] for a request that no route has identified.
func (s *Server) refuseRequest(w http.ResponseWriter, r *http.Request, err error) {
	var id identity
	if wantsPage(r) {
		id = s.identify(r)
	}
	s.sendError(w, r, id, err)
}

// index answers GET /: browsers get a page, and programs a few lines of text.
func (s *Server) index(w http.ResponseWriter, r *http.Request, id identity) error {
	w.Header().Set("Vary", "Accept, Cookie")
	switch {
	case !wantsPage(r):
		return s.indexText(w)
	case id.role == anonymous:
		return s.connectPage(w, r, id)
	}
	return s.overviewPage(w, r, id)
}

func (s *Server) overviewPage(w http.ResponseWriter, r *http.Request, id identity) error {
	all := s.snapshot.Load().listedProducts()
	data := pages.OverviewData{Total: len(all), Base: s.options.Base, Search: s.newSearch(r, "product")}
	if len(all) > 0 {
		data.First = all[0]
	}
	all = slices.DeleteFunc(all, func(p catalog.Product) bool { return !found(data.Search, p.Title) && !found(data.Search, p.Name) })
	var err error
	if data.Pager, err = s.newListPager(r, id, productsPerPage, len(all)); err != nil {
		return err
	}
	from, to := data.Pager.Bounds()
	for _, p := range all[from:to] { // one after the other, because a view is large
		v, err := s.view(r, id, p.Name, url.Values{}.Get)
		if err != nil {
			return err
		}
		if id.role != reader {
			weeks, err := s.publicWeeks(r.Context(), p.Name)
			if err != nil {
				return err
			}
			data.Products = append(data.Products, pages.NewPublicSummary(v, documents(weeks)))
			continue
		}
		summary := pages.NewProductSummary(v)
		summary.Synced = catalog.Oldest(p.Freshness(s.now(), s.options.StaleAfter))
		data.Products = append(data.Products, summary)
	}
	return s.sendPage(w, r, id, http.StatusOK, func(v pages.Visitor) ([]byte, error) { return pages.Overview(v, data) })
}

func (s *Server) productsByTitle() []catalog.Product { return s.snapshot.Load().productsByTitle() }

func (s *snapshot) productsByTitle() (all []catalog.Product) {
	for _, p := range s.products.all() {
		all = append(all, p.Product)
	}
	slices.SortFunc(all, func(a, b catalog.Product) int {
		return cmp.Or(cmp.Compare(strings.ToLower(a.Title), strings.ToLower(b.Title)), cmp.Compare(a.Name, b.Name))
	})
	return all
}

// sectionRoutes returns the routes of the pages of a product's statistics, but for the
// first one.
func (s *Server) sectionRoutes() (all []route) {
	for _, name := range pages.Sections {
		all = append(all, route{"GET /products/{product}/" + name, s.limitQueryTime(s.productPage(name)), readStats})
	}
	return all
}

// productPage returns the handler of a page of a product's statistics.
func (s *Server) productPage(section string) handler {
	return func(w http.ResponseWriter, r *http.Request, id identity) error {
		if id.role != reader {
			return s.publicPage(w, r, id)
		}
		if tidy, changed := tidied(r.URL.Query()); changed {
			http.Redirect(w, r, pages.Address(s.root+r.URL.EscapedPath(), tidy), http.StatusSeeOther)
			return nil
		}
		view, invalid, err := s.viewOfValidParams(r, id)
		if err != nil {
			return err
		}
		render := func(v pages.Visitor) ([]byte, error) {
			return pages.Product(v, pages.ProductData{View: view, Base: s.options.Base, Section: section, Invalid: invalid})
		}
		if len(invalid) > 0 {
			return s.sendPage(w, r, id, http.StatusBadRequest, render)
		}
		page, err := s.keptPage(r, id, view, render)
		if err == nil {
			err = s.paced(r, id, len(page.plain))
		}
		if err != nil {
			return err
		}
		c := page.content(r)
		if err := reserve(r, c.body); err != nil {
			return err
		}
		setPageHeaders(w.Header())
		c.send(w, r, http.StatusOK)
		return nil
	}
}

// viewOfValidParams is [Server.view] without the parameters that are invalid.
func (s *Server) viewOfValidParams(r *http.Request, id identity) (*stats.View, pages.InvalidParams, error) {
	given, invalid := r.URL.Query(), pages.InvalidParams{}
	for {
		v, err := s.view(r, id, r.PathValue("product"), given.Get)
		f, ok := errors.AsType[*failure](err)
		if !ok || f.status != http.StatusBadRequest || len(given) == 0 {
			return v, invalid, err
		}
		invalid.Add(f.field, given.Get(f.field), f.message)
		if !given.Has(f.field) {
			clear(given) // it may be any of them
		}
		given.Del(f.field)
	}
}

// tidied removes the empty parameters that a form sends, and joins the two versions to
// compare into one parameter. It also reports whether that changed anything.
func tidied(given url.Values) (tidy url.Values, changed bool) {
	tidy = url.Values{}
	for name, values := range given {
		if value := strings.TrimSpace(values[0]); value != "" && name != "old" && name != "new" {
			tidy.Set(name, value)
		}
	}
	if before, after := strings.TrimSpace(given.Get("old")), strings.TrimSpace(given.Get("new")); before != "" || after != "" {
		tidy.Set("compare", before+".."+after)
	}
	return tidy, tidy.Encode() != given.Encode()
}

func (s *Server) releasesPage(w http.ResponseWriter, r *http.Request, id identity) error {
	view, err := s.view(r, id, r.PathValue("product"), url.Values{}.Get)
	if err != nil {
		return err
	}
	p, err := s.product(view.Product.Name)
	if err != nil {
		return err
	}
	data := pages.ReleasesData{View: view, Total: len(p.releases), Search: s.newSearch(r, "version"), Serves: s.files != nil}
	all := p.releases
	if data.Search.Value != "" {
		all = slices.DeleteFunc(slices.Clone(all), func(r *catalog.Ranked) bool { return !found(data.Search, r.Tag) })
	}
	if data.Pager, err = s.newListPager(r, id, releasesPerPage, len(all)); err != nil {
		return err
	}
	if id.role == reader {
		for _, hint := range slices.Concat(p.hints(), s.snapshot.Load().dialectHints(p)) {
			data.Hints = append(data.Hints, strings.ToUpper(hint[:1])+hint[1:]+".")
		}
		data.Upstreams = p.Freshness(s.now(), s.options.StaleAfter)
	}
	from, to := data.Pager.Bounds()
	for _, r := range all[from:to] {
		data.Releases = append(data.Releases, pages.Release{Release: r.Release, Named: r.NamedFiles(&p.Product), Page: releasePath(p.Name, r.Tag), NotesURL: p.links.notes(&p.Product, &r.Release)})
	}
	return s.sendPage(w, r, id, http.StatusOK, func(v pages.Visitor) ([]byte, error) { return pages.Releases(v, data) })
}
