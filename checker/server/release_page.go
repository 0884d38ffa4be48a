package server

import (
	"errors"
	"net/http"
	"time"

	"relcheck/checker/catalog"
	"relcheck/checker/server/markdown"
	"relcheck/checker/server/pages"
)

// releasePage answers GET /products/{product}/releases/{tag}. If answers link to the page,
// it needs no token.
func (s *Server) releasePage(w http.ResponseWriter, r *http.Request, id identity) error {
	tag := r.PathValue("tag")
	private(w.Header())
	p := s.snapshot.Load().products.get(r.PathValue("product"))
	forbidden := id.check(viewPublic)
	if forbidden != nil && (p == nil || !p.NotesOnPage()) {
		return s.refuse(w, r, id, forbidden)
	}
	if p == nil {
		return unknownProduct(r.PathValue("product"))
	}
	release := p.tagged(tag)
	if release == nil || id.role != reader && release.Date.After(time.Now()) {
		return noRelease()
	}
	if err := s.paced(r, id, pageOfList); err != nil {
		return err
	}
	_, layers, err := s.store.Release(r.Context(), p.Name, release.Tag)
	switch {
	case errors.Is(err, catalog.ErrNotFound):
		return noRelease()
	case err != nil:
		s.log.Error("cannot read the notes of a release", "err", err)
		return unavailable("not_read", "the release could not be read; try again later")
	}
	data := pages.ReleaseData{Product: p.Product, Release: release, Elsewhere: p.NotesURL(&release.Release),
		HasTabs: forbidden == nil, Serves: s.files != nil, OnDemand: s.fetcher != nil}
	if p.Links == catalog.LinksHostedOnly {
		data.Elsewhere = ""
	}
	if latest := p.latest().release; latest != nil {
		data.Latest = latest.Tag
	}
	return s.sendPage(w, r, id, http.StatusOK, func(v pages.Visitor) ([]byte, error) {
		data.Notes = markdown.Render(notesText(layers))
		return pages.ReleasePage(v, data)
	})
}

// notesText returns the release notes in Markdown. The operator's take precedence.
func notesText(layers [2]*catalog.Layer) (text string) {
	for _, l := range layers {
		if l != nil && l.Text != nil {
			text = *l.Text
		}
	}
	return text
}
