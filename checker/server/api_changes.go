package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"relcheck/checker/catalog"
)

const editTimeout = 10 * time.Second

// Editor changes products and releases on behalf of a token. Its errors wrap those of
// package catalog if the request is at fault, and others if the store is.
type Editor interface {
	// EditRelease changes or adds a release, and returns it.
	EditRelease(ctx context.Context, product, version string, e catalog.ReleasePatch) (catalog.Release, catalog.Outcome, error)
	// Withdraw withdraws or restores a release.
	Withdraw(ctx context.Context, product, version string, withdrawn bool) error
	// EditProduct changes or adds a product, and returns it.
	EditProduct(ctx context.Context, name string, e catalog.ProductPatch) (catalog.Product, catalog.Outcome, error)
	// DropProduct removes a product. If it has recorded reports, they are removed too if
	// reports is true; otherwise that is an error.
	DropProduct(ctx context.Context, name string, reports bool) error
}

func (s *Server) putRelease(w http.ResponseWriter, r *http.Request, id identity) error {
	e, err := readRelease(r)
	if err != nil {
		return err
	}
	product, done := r.PathValue("product"), catalog.Unchanged
	var stored catalog.Release
	err = s.change(r, id, func(ctx context.Context, by Editor) (err error) {
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
	writeJSON(w, statusOf(done), encode(p.newAPIRelease(&stored)))
	return nil
}

// deleteRelease answers DELETE /api/v1/products/{product}/releases/{version}: it withdraws
// the release.
func (s *Server) deleteRelease(w http.ResponseWriter, r *http.Request, id identity) error {
	err := s.change(r, id, func(ctx context.Context, by Editor) error {
		return by.Withdraw(ctx, r.PathValue("product"), r.PathValue("version"), true)
	})
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
	}
	return err
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

	Origins []string `json:"origins"`
}

func (s *Server) putProduct(w http.ResponseWriter, r *http.Request, id identity) error {
	e, err := readProduct(r)
	if err != nil {
		return err
	}
	var p catalog.Product
	var done catalog.Outcome
	err = s.change(r, id, func(ctx context.Context, by Editor) (err error) {
		p, done, err = by.EditProduct(ctx, r.PathValue("product"), e)
		return err
	})
	switch {
	case errors.Is(err, catalog.ErrInUse):
		return fail(http.StatusConflict, "repo_in_use", "repo", "repo belongs to another product; a repository can have only one")
	case err != nil:
		return err
	}
	writeJSON(w, statusOf(done), encode(apiSettings{p.Name, p.Title, p.Repo, p.Module, p.Download, p.Notes, strings.Fields(p.Origins)}))
	return nil
}

func (s *Server) deleteProduct(w http.ResponseWriter, r *http.Request, id identity) error {
	reports := r.URL.Query().Get("reports")
	if reports != "" && reports != "true" && reports != "false" {
		return fail(http.StatusBadRequest, "invalid_query", "reports", "reports must be true or false")
	}
	err := s.change(r, id, func(ctx context.Context, by Editor) error {
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

// change makes a change on behalf of the request's token, and has requests answered
// with it from then on. It does not stop if the client disconnects: changes are
// idempotent, so the client can send the request again. It returns [catalog.ErrInUse] for
// the caller to explain.
func (s *Server) change(r *http.Request, id identity, f func(context.Context, Editor) error) error {
	if s.store.Ready() != nil { // a database file that was replaced would lose the change
		return notChanged()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), editTimeout)
	defer cancel()
	err := f(ctx, s.store.As(id.token.ID))
	switch {
	case errors.Is(err, catalog.ErrInUse):
		return err
	case errors.Is(err, catalog.ErrNotFound):
		return s.unknownRelease(ctx, r.PathValue("product"))
	case errors.Is(err, catalog.ErrLimit):
		return fail(http.StatusConflict, "limit_reached", "", err.Error())
	case errors.As(err, new(*catalog.FieldError)):
		return invalidField(err)
	case err != nil:
		s.log.Error("cannot store a change of the catalog", "err", err)
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
	return fail(http.StatusNotFound, "unknown_release", "", "the product has no such release; GET its releases for a list")
}

func notChanged() *failure {
	return unavailable("not_changed", "the change could not be stored; send it again later")
}

// maxPatch is the size of the largest body of a change, in bytes: a release with a file
// for each platform, at long URLs.
const maxPatch = 64 << 10

// nonNull is a member of an object that may be left out, but not null.
type nonNull[T any] struct{ value *T }

// UnmarshalJSONFrom implements [json.UnmarshalerFrom].
func (n *nonNull[T]) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if d.PeekKind() == 'n' {
		return errors.New("null")
	}
	n.value = new(T)
	return json.UnmarshalDecode(d, n.value)
}

func readRelease(r *http.Request) (p catalog.ReleasePatch, err error) {
	var body struct {
		Date       nonNull[string]             `json:"date"`
		Notes      nonNull[string]             `json:"notes"`
		Prerelease nonNull[bool]               `json:"prerelease"`
		Withdrawn  nonNull[bool]               `json:"withdrawn"`
		Assets     nonNull[map[string]*string] `json:"assets"` // null removes a file
	}
	if err := readPatch(r, &body, "assets, date, notes, prerelease, withdrawn"); err != nil {
		return p, err
	}
	p.Prerelease, p.Withdrawn = body.Prerelease.value, body.Withdrawn.value
	if body.Date.value != nil {
		err = p.SetDate(*body.Date.value)
	}
	if err == nil && body.Notes.value != nil {
		err = p.SetNotes(*body.Notes.value)
	}
	if body.Assets.value != nil {
		for _, platform := range slices.Sorted(maps.Keys(*body.Assets.value)) {
			url := (*body.Assets.value)[platform]
			switch {
			case err != nil:
			case url == nil:
				err = p.RemoveAsset(platform)
			default:
				err = p.SetAsset(platform, *url)
			}
		}
	}
	return p, invalidField(err)
}

func readProduct(r *http.Request) (catalog.ProductPatch, error) {
	var body struct {
		Title    nonNull[string]            `json:"title"`
		Repo     nonNull[string]            `json:"repo"`
		Module   nonNull[string]            `json:"module"`
		Download nonNull[string]            `json:"download"`
		Notes    nonNull[string]            `json:"notes"`
		Origins  nonNull[[]nonNull[string]] `json:"origins"`
	}
	if err := readPatch(r, &body, "download, module, notes, origins, repo, title"); err != nil {
		return nil, err
	}
	p := catalog.ProductPatch{}
	for name, field := range map[string]nonNull[string]{"title": body.Title, "repo": body.Repo, "module": body.Module, "download": body.Download, "notes": body.Notes} {
		if field.value != nil {
			p[name] = *field.value
		}
	}
	if body.Origins.value != nil {
		var list strings.Builder
		for _, origin := range *body.Origins.value {
			list.WriteString(*origin.value + " ")
		}
		p["origins"] = list.String()
	}
	return p, nil
}

// readPatch decodes the body of a request. It refuses unknown fields, because a change
// with a misspelled name would be ignored; fields lists the known ones.
func readPatch(r *http.Request, into any, fields string) error {
	body, err := readBody(r)
	if err != nil {
		return err
	}
	if jsontext.Value(body).Kind() != '{' {
		return fail(http.StatusBadRequest, "invalid_json", "", "the body must be a JSON object; {} changes nothing")
	}
	err = json.Unmarshal(body, into, json.RejectUnknownMembers(true))
	syntactic, semantic := (*jsontext.SyntacticError)(nil), (*json.SemanticError)(nil)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jsontext.ErrDuplicateName) && errors.As(err, &syntactic):
		return fail(http.StatusBadRequest, "invalid_json", firstToken(syntactic.JSONPointer), duplicateKey)
	case errors.Is(err, json.ErrUnknownName) && errors.As(err, &semantic):
		return fail(http.StatusBadRequest, "unknown_field", firstToken(semantic.JSONPointer), "unknown field; use one of "+fields)
	case errors.As(err, &syntactic) || !errors.As(err, &semantic):
		return notJSON(err)
	}
	field := firstToken(semantic.JSONPointer)
	return invalid(field, "must be "+cmp.Or(patchTypes[field], "a string")+"; leave it out to keep its value")
}

// patchTypes describes the fields that are not strings.
var patchTypes = map[string]string{
	"prerelease": "true or false",
	"withdrawn":  "true or false",
	"assets":     `an object such as {"linux/amd64": "https://example.com/file"}`,
	"origins":    `an array of strings such as ["https://app.example.com"]`,
}

// firstToken returns the first part of a pointer: the name of a field, of which it returns
// 50 characters at most.
func firstToken(p jsontext.Pointer) string {
	for name := range p.Tokens() {
		return fmt.Sprintf("%.50s", name)
	}
	return ""
}

func invalidField(err error) error {
	if f := (*catalog.FieldError)(nil); errors.As(err, &f) {
		return fail(http.StatusBadRequest, "invalid_field", f.Field, f.Error())
	}
	return err
}

func readBody(r *http.Request) ([]byte, error) {
	if err := checkType(r.Header); err != nil {
		return nil, err
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxPatch))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, fail(http.StatusRequestEntityTooLarge, "too_large", "", fmt.Sprintf("the body is larger than %d KB", maxPatch>>10))
	}
	if err != nil {
		return nil, incompleteBody()
	}
	return body, nil
}
