package server

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"slices"

	"relcheck/checker/access"
	"relcheck/checker/catalog"
	"relcheck/checker/server/manage"
	"relcheck/checker/server/pages"
	"relcheck/checker/stats"
	"relcheck/checker/syncer"
)

// maxMenu is the number of products in the menu of pages.
const maxMenu = 30

// newManage returns the service that answers the pages of package manage.
func (s *Server) newManage() *manage.Service {
	return &manage.Service{Base: s.options.Base, Root: s.root, Serves: s.files != nil, OnDemand: s.fetcher != nil, StaleAfter: s.options.StaleAfter, Sync: s.syncNow(),
		Products: s.productsByTitle,
		Product: func(name string) *manage.Product {
			if p := s.snapshot.Load().products.get(name); p != nil {
				return &manage.Product{Product: p.Product, Releases: p.releases}
			}
			return nil
		},
		Hints: func(name string) []string {
			snap := s.snapshot.Load()
			if p := snap.products.get(name); p != nil {
				return append(p.hints(), snap.dialectHints(p)...)
			}
			return nil
		}}
}

// syncNow returns a function that syncs a product, whose result later requests see. It
// returns nil if the server syncs nothing.
func (s *Server) syncNow() func(ctx context.Context, tokenID, product string) ([]syncer.Result, error) {
	if s.options.Sync == nil {
		return nil
	}
	return func(ctx context.Context, tokenID, product string) ([]syncer.Result, error) {
		results, err := s.options.Sync(ctx, tokenID, product)
		if err := s.refresh(ctx); err != nil {
			s.log.Error("cannot read the result of a sync; it takes effect later", "err", err)
		}
		return results, err
	}
}

func (s *Server) manageRoutes() (all []route) {
	for _, one := range s.newManage().Routes() {
		requires := adminPage
		if one.Scope == access.Release {
			requires = releasePage
		}
		h := s.limitQueryTime(s.managePage(one.Handler))
		all = append(all, route{"GET " + one.Path, h, requires}, route{"POST " + one.Path, h, requires})
	}
	return all
}

// managePage answers a request with a page of package manage, or with a redirect after a
// change.
func (s *Server) managePage(h manage.Handler) handler {
	return func(w http.ResponseWriter, r *http.Request, id identity) error {
		if err := s.paced(r, id, pageOfList); err != nil {
			return err
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxPatch)
		if err := r.ParseForm(); err != nil {
			return unreadableForm(err)
		}
		a, err := h(s.newManageRequest(r, id))
		switch {
		case errors.Is(err, catalog.ErrNotFound):
			return fail(http.StatusNotFound, "not_found", "", "there is no such page: the product, release or token may have been removed")
		case errors.Is(err, manage.ErrNotStored):
			return notChanged()
		case err != nil && !errors.As(err, new(*failure)): // only the store fails in other ways
			s.log.Error("cannot answer with a page that manages", "route", r.Pattern, "err", err)
			return unavailable("not_read", "the page could not be read from the store; try again later")
		case err != nil:
			return err
		case a.Next != "":
			s.setNotice(w, r, a.Notice)
			http.Redirect(w, r, a.Next, http.StatusSeeOther)
			return nil
		}
		a.Page.Notice = s.takeNotice(w, r)
		return s.sendPage(w, r, id, cmp.Or(a.Status, http.StatusOK), func(v pages.Visitor) ([]byte, error) { return pages.Manage(v, a.Page) })
	}
}

func (s *Server) newManageRequest(r *http.Request, id identity) *manage.Request {
	return &manage.Request{Request: r, Token: id.token, Store: s.store.As(id.token.ID),
		Change: func(f func(context.Context, manage.Store) error) error {
			err := s.apply(r, id, f)
			if _, failed := errors.AsType[*failure](err); failed {
				err = manage.ErrNotStored
			}
			return err
		},
		Running: func(product, tag string) (n int64, of string, err error) {
			if id.role != reader {
				return 0, "", nil
			}
			v, err := s.view(r, id, product, func(string) string { return "" })
			if err != nil || v.Known.Days() == 0 {
				return 0, "", err
			}
			counted, _, of := v.Counted()
			for row := range v.Table("versions").All() {
				if row.Text(stats.ColVersion) == tag && row.Known(counted) {
					n = int64(math.Round(row.Count(counted)))
				}
			}
			return n, of, nil
		}}
}

// noticeCookie holds what the last change has done, until the next page shows it. It may
// hold a new token, which the browser has to show once, and which no store has.
const noticeCookie = "relcheck-notice"

// noticeSeconds is how long a browser keeps a notice that it does not show.
const noticeSeconds = 60

// maxNotice is the size of the longest text of a notice in bytes: browsers keep cookies of 4 KB.
const maxNotice = 1500

func (s *Server) setNotice(w http.ResponseWriter, r *http.Request, n pages.Notice) {
	if len(n.Text) > maxNotice {
		n.Text = n.Text[:maxNotice] + "…"
	}
	text, err := json.Marshal(n)
	if err == nil && n.Text != "" {
		s.setCookie(w, r, noticeCookie, base64.RawURLEncoding.EncodeToString(text), noticeSeconds)
	}
}

// takeNotice returns the notice that the browser has, and removes it there.
func (s *Server) takeNotice(w http.ResponseWriter, r *http.Request) (n pages.Notice) {
	c, err := r.Cookie(s.cookieName(r, noticeCookie))
	if err != nil {
		return n
	}
	s.setCookie(w, r, noticeCookie, "", -1)
	text, err := base64.RawURLEncoding.DecodeString(c.Value)
	if err != nil || json.Unmarshal(text, &n) != nil {
		return pages.Notice{}
	}
	return n
}

// listedProducts returns the products that pages list, by title.
func (s *snapshot) listedProducts() []catalog.Product {
	return slices.DeleteFunc(s.productsByTitle(), func(p catalog.Product) bool { return p.Hidden })
}

// newMenu returns the products to switch to.
func (s *snapshot) newMenu() *pages.Menu {
	all := s.listedProducts()
	return &pages.Menu{Products: all[:min(len(all), maxMenu)], More: len(all) > maxMenu}
}
