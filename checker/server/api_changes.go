package server

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"relcheck/checker/catalog"
	"relcheck/checker/server/manage"
)

const editTimeout = 10 * time.Second

func (s *Server) putRelease(w http.ResponseWriter, r *http.Request, id identity) error {
	e, err := readRelease(r)
	if err != nil {
		return err
	}
	product, done := r.PathValue("product"), catalog.Unchanged
	var stored catalog.Release
	err = s.change(r, id, func(ctx context.Context, by manage.Store) (err error) {
		stored, done, err = by.EditRelease(ctx, product, r.PathValue("version"), e)
		return err
	})
	if err != nil {
		return err
	}
	p, err := s.product(product)
	if err != nil { // removed in the meantime
		return err
	}
	release := p.stored(stored)
	body := struct {
		apiRelease
		Hints []string `json:"hints,omitempty"` // what may be unexpected
	}{p.newAPIRelease(release), p.EditHints(&e, release, s.now())}
	writeJSON(w, statusOf(done), encode(body))
	return nil
}

// deleteRelease answers DELETE /api/v1/products/{product}/releases/{version}: it withdraws
// the release.
func (s *Server) deleteRelease(w http.ResponseWriter, r *http.Request, id identity) error {
	err := s.change(r, id, func(ctx context.Context, by manage.Store) error {
		_, _, err := by.Withdraw(ctx, r.PathValue("product"), r.PathValue("version"), true)
		return err
	})
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
	}
	return err
}

// stored returns the release of the snapshot with the tag of a stored one, or a new one if
// the snapshot does not have it yet.
func (p *product) stored(r catalog.Release) *catalog.Ranked {
	if known := p.find(r.Tag); known != nil && known.Tag == r.Tag {
		return known
	}
	return p.rank(r)
}

// rank returns a release of the product as the snapshot would contain it.
func (p *product) rank(r catalog.Release) *catalog.Ranked {
	p.links.add(&p.Product, &r)
	return p.Rank([]catalog.Release{r})[0]
}

func statusOf(done catalog.Outcome) int {
	if done == catalog.Added {
		return http.StatusCreated
	}
	return http.StatusOK
}

// apiSettings is the editable representation of a product.
type apiSettings struct {
	Name     string `json:"name"`
	Title    string `json:"title"`
	Repo     string `json:"repo"`
	Module   string `json:"module"`
	Download string `json:"download"`
	Notes    string `json:"notes"`
	File     string `json:"file"`

	Origins       []string     `json:"origins"`
	TagPrefixes   []string     `json:"tag_prefixes"`
	ReleaseSuffix string       `json:"release_suffix"`
	Match         string       `json:"match"`
	MinAge        string       `json:"min_age"` // such as 24h
	RequireFiles  bool         `json:"require_files"`
	Channels      []apiChannel `json:"channels"`
	Upstreams     []string     `json:"upstreams"`
	NotesHere     bool         `json:"notes_here"`
	Links         string       `json:"links"` // one of catalog.LinkChoices
	Aliases       []string     `json:"aliases"`
	Hosts         []string     `json:"hosts"`
	Dialects      []string     `json:"dialects"`
	Hidden        bool         `json:"hidden"`
}

// apiChannel is the representation of a channel in the API.
type apiChannel struct {
	Name        string `json:"name"`
	Match       string `json:"match"` // empty for all versions
	Prereleases bool   `json:"prereleases"`
}

func newAPISettings(p catalog.Product) apiSettings {
	s := apiSettings{Name: p.Name, Title: p.Title, Repo: p.Repo, Module: p.Module, Download: p.Download, Notes: p.Notes, File: p.File,
		Origins: strings.Fields(p.Origins), TagPrefixes: strings.Fields(p.Prefixes), ReleaseSuffix: p.Suffix, Match: p.Match,
		MinAge: catalog.FormatAge(p.MinAge), RequireFiles: p.RequireFiles, Channels: []apiChannel{},
		Upstreams: strings.Fields(p.Upstreams), NotesHere: p.NotesHere, Links: p.Field("links"),
		Aliases: strings.Fields(p.Aliases), Hosts: strings.Fields(p.Hosts), Dialects: strings.Fields(p.Dialects), Hidden: p.Hidden}
	for _, c := range p.ChannelList() {
		s.Channels = append(s.Channels, apiChannel(c))
	}
	return s
}

// apiProductSettings answers GET /api/v1/products/{product} with the settings of the product.
func (s *Server) apiProductSettings(w http.ResponseWriter, r *http.Request, _ identity) error {
	p, err := s.product(r.PathValue("product"))
	if err != nil {
		return err
	}
	return s.sendJSON(w, r, func() any { return newAPISettings(p.Product) })
}

func (s *Server) putProduct(w http.ResponseWriter, r *http.Request, id identity) error {
	e, err := readProduct(r)
	if err != nil {
		return err
	}
	var old catalog.Product
	if known := s.snapshot.Load().products.get(r.PathValue("product")); known != nil {
		old = known.Product
	}
	if err := e.CheckRemote(old); err != nil {
		return invalidField(err)
	}
	var p catalog.Product
	var done catalog.Outcome
	err = s.change(r, id, func(ctx context.Context, by manage.Store) (err error) {
		p, done, err = by.EditProduct(ctx, r.PathValue("product"), e)
		return err
	})
	switch {
	case errors.Is(err, catalog.ErrInUse):
		return fail(http.StatusConflict, "repo_in_use", "repo", "repo belongs to another product; a repository can have only one")
	case err != nil:
		return err
	}
	writeJSON(w, statusOf(done), encode(newAPISettings(p)))
	return nil
}

func (s *Server) deleteProduct(w http.ResponseWriter, r *http.Request, id identity) error {
	reports := r.URL.Query().Get("reports")
	if reports != "" && reports != "true" && reports != "false" {
		return fail(http.StatusBadRequest, "invalid_query", "reports", "reports must be true or false")
	}
	err := s.change(r, id, func(ctx context.Context, by manage.Store) error {
		return by.DropProduct(ctx, r.PathValue("product"), reports == "true")
	})
	switch {
	case errors.Is(err, catalog.ErrInUse):
		return fail(http.StatusConflict, "has_reports", "reports", "the product has recorded reports; add ?reports=true to remove them too")
	case err != nil:
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// change makes a change, and returns the error for the client. It returns
// [catalog.ErrInUse] for the caller to explain.
func (s *Server) change(r *http.Request, id identity, f func(context.Context, manage.Store) error) error {
	err := s.apply(r, id, f)
	switch {
	case errors.Is(err, catalog.ErrNotFound):
		return s.unknownRelease(r.Context(), r.PathValue("product"))
	case errors.Is(err, catalog.ErrLimit):
		return fail(http.StatusConflict, "limit_reached", "", err.Error())
	case errors.As(err, new(*catalog.FieldError)):
		return invalidField(err)
	}
	return err
}

// apply makes a change on behalf of the request's token. Later requests are answered with
// it. It does not stop if the client disconnects: changes are idempotent, so the client can
// send the request again. If the request is at fault, the error wraps one of package
// catalog; otherwise it is a failure.
func (s *Server) apply(r *http.Request, id identity, f func(context.Context, manage.Store) error) error {
	if s.store.Ready() != nil { // a database file that was replaced would lose the change
		return notChanged()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), editTimeout)
	defer cancel()
	err := f(ctx, s.store.As(id.token.ID))
	switch {
	case errors.Is(err, catalog.ErrInUse), errors.Is(err, catalog.ErrNotFound), errors.Is(err, catalog.ErrLimit), errors.As(err, new(*catalog.FieldError)):
		return err
	case err != nil:
		s.log.Error("cannot store a change", "err", err)
		return notChanged()
	}
	if err := s.refresh(ctx); err != nil {
		s.log.Error("cannot read the stored change; it takes effect later", "err", err)
	}
	return nil
}

// unknownRelease returns the error for a change of a release that does not exist, or whose
// product does not.
func (s *Server) unknownRelease(ctx context.Context, product string) error {
	s.refresh(ctx) // another process may have removed the product
	if _, err := s.product(product); err != nil {
		return err
	}
	return noRelease()
}

func notChanged() *failure {
	return unavailable("not_changed", "the change could not be stored; send it again later")
}
