// Package manage answers the pages on which people manage products, releases, channels,
// upstreams, tokens and sites. It knows neither cookies nor permissions: package server
// calls it for tokens that permit a change.
package manage

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"relcheck/checker/access"
	"relcheck/checker/bundle"
	"relcheck/checker/catalog"
	"relcheck/checker/server/pages"
	"relcheck/checker/stats/rollup"
	"relcheck/checker/syncer"
)

// Store reads and changes on behalf of a token. If the request is at fault, its errors wrap
// errors of package catalog.
type Store interface {
	// Release returns a release with what upstream and the operator say about it.
	Release(ctx context.Context, product, tag string) (catalog.Release, [2]*catalog.Layer, error)
	// EditRelease changes or adds a release, and returns it.
	EditRelease(ctx context.Context, product, tag string, e catalog.ReleasePatch) (catalog.Release, catalog.Outcome, error)
	// Withdraw withdraws or restores a release.
	Withdraw(ctx context.Context, product, tag string, withdrawn bool) (catalog.Release, catalog.Outcome, error)
	// ResetRelease removes what the operator has decided about a release.
	ResetRelease(ctx context.Context, product, tag string) (r catalog.Release, removed bool, err error)
	// AddProduct adds a product that does not exist yet.
	AddProduct(ctx context.Context, p catalog.Product) error
	// EditProduct changes or adds a product, and returns it.
	EditProduct(ctx context.Context, name string, e catalog.ProductPatch) (catalog.Product, catalog.Outcome, error)
	// DropProduct removes a product. If it has recorded reports, they are removed too if
	// reports is true; otherwise that is an error.
	DropProduct(ctx context.Context, name string, reports bool) error
	// Tokens returns all tokens, including revoked ones, by time of creation.
	Tokens(ctx context.Context) ([]access.Token, error)
	AddToken(ctx context.Context, t access.Token) error
	AddLink(ctx context.Context, link access.Grant) error
	// RevokeToken revokes a token and removes its links and sessions.
	RevokeToken(ctx context.Context, id string, now time.Time) error
	// AuditPage returns the newest n changes with IDs below before, or the newest n if that is
	// 0. If product is not empty, it returns only changes of that product.
	AuditPage(ctx context.Context, product string, before int64, n int) ([]access.AuditEntry, error)
	// Sites returns all sites, by name.
	Sites(ctx context.Context) ([]rollup.Site, error)
	RenameSite(ctx context.Context, name, to string) error
	// DropSite removes a site. Its counts are removed later.
	DropSite(ctx context.Context, name string) error
	// TrustedKeys returns all keys that were ever trusted, by name.
	TrustedKeys(ctx context.Context) ([]bundle.TrustedKey, error)
	// TrustKey trusts a key for releases of some products, or of all if there are none, and
	// TrustCountsKey for the counts of a site.
	TrustKey(ctx context.Context, key string, products []string, now time.Time) error
	TrustCountsKey(ctx context.Context, key string, products []string, now time.Time) error
	RevokeKey(ctx context.Context, key string, now time.Time) error
}

// Product is a product with its releases, newest first.
type Product struct {
	catalog.Product
	Releases []*catalog.Ranked
}

// Service answers the pages.
type Service struct {
	Base string // URL of the service
	Root string // its path, which precedes all paths

	// Product returns a product, or nil. Products returns all of them by title.
	Product  func(name string) *Product
	Products func() []catalog.Product

	// Sync reads the releases of a product from its upstreams on behalf of a token; nil if
	// the server does not.
	Sync func(ctx context.Context, tokenID, product string) ([]syncer.Result, error)

	// Hints explains what may be unexpected about the settings of a product.
	Hints func(product string) []string

	StaleAfter       time.Duration // see [catalog.Product.Freshness]
	Serves, OnDemand bool          // the server serves hosted files, and fetches missing ones

	syncs syncs
}

// Request is a request that its token permits.
type Request struct {
	*http.Request
	Token *access.Token
	Store Store // to read

	// Change makes a change. Its error is that of the store if the request is at fault,
	// and otherwise [ErrNotStored].
	Change func(func(context.Context, Store) error) error

	// Running returns how many instances or installations have run a release in the last 28
	// days, and the name of what it counts. The name is empty if the number is unknown, or
	// the token does not permit it.
	Running func(product, tag string) (n int64, of string, err error)
}

// ErrNotStored is returned for a change that the store has not made.
var ErrNotStored = errors.New("nothing was changed, because the store did not accept the change: what you typed is kept, so send it again later")

// Answer is a page, or the path of the page to go to after a change.
type Answer struct {
	Page   pages.ManageData
	Status int // default: 200
	Next   string
	Notice pages.Notice // to show on the next page
}

// Handler answers a request. Its error wraps [catalog.ErrNotFound] if there is no such page.
type Handler func(*Request) (*Answer, error)

// Route is the pattern of a page, with the scope of the tokens that permit it.
type Route struct {
	Path    string
	Scope   access.Scope
	Handler Handler
}

// Routes returns the routes of all pages. Each answers GET and POST.
func (s *Service) Routes() []Route {
	const product = "/manage/products/{product}"
	return []Route{
		{"/manage", access.Release, s.products},
		{product + "/releases", access.Release, s.releases},
		{product + "/release", access.Release, s.release},
		{product + "/release/withdraw", access.Release, s.withdraw},
		{product + "/release/restore", access.Release, s.restore},
		{product + "/release/reset", access.Release, s.reset},
		{"/manage/products", access.Admin, s.newProduct},
		{product + "/settings", access.Admin, s.settings},
		{product + "/remove", access.Admin, s.removeProduct},
		{product + "/channels", access.Admin, s.channels},
		{product + "/channels/remove", access.Admin, s.removeChannel},
		{product + "/upstreams", access.Admin, s.upstreams},
		{"/manage/tokens", access.Admin, s.tokens},
		{"/manage/tokens/{id}/revoke", access.Admin, s.revokeToken},
		{"/manage/audit", access.Admin, s.audit},
		{"/manage/sites", access.Admin, s.sites},
		{"/manage/sites/{site}/rename", access.Admin, s.renameSite},
		{"/manage/sites/{site}/remove", access.Admin, s.removeSite},
		{"/manage/keys/revoke", access.Admin, s.revokeKey},
	}
}

// admin reports whether a request may change everything.
func (s *Service) admin(r *Request) bool { return r.Token.Allows(access.Admin) }

// page returns the answer with a page.
func page(title string, p *Product, sections ...pages.ManageSection) *Answer {
	a := &Answer{Page: pages.ManageData{Title: title, Sections: sections}}
	if p != nil {
		a.Page.Product = &p.Product
	}
	for _, section := range sections {
		switch {
		case section.Form == nil:
		case section.Form.Failed:
			a.Status = http.StatusServiceUnavailable
		case section.Form.Invalid():
			a.Status = http.StatusUnprocessableEntity
		}
	}
	return a
}

// manual returns a link to a page of the manual. The topic can have an anchor.
func (s *Service) manual(topic, text string) pages.Action {
	return pages.Action{Text: text, URL: s.Root + "/docs/" + topic}
}

// done returns the answer after a change.
func done(next, text string) *Answer {
	return &Answer{Next: next, Notice: pages.Notice{Text: text}}
}

// product returns the product in the path of a request.
func (s *Service) product(r *Request) (*Product, error) {
	if p := s.Product(r.PathValue("product")); p != nil {
		return p, nil
	}
	return nil, catalog.ErrNotFound
}

// of returns the URL of a page about a product. The query is a list of names and values.
func (s *Service) of(p *Product, page string, query ...string) string {
	link := s.Root + pages.ManagePath(p.Name) + "/" + page
	values := url.Values{}
	for i := 0; i+1 < len(query); i += 2 {
		values.Set(query[i], query[i+1])
	}
	return pages.Address(link, values)
}
