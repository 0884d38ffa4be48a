package server

import (
	_ "embed"
	"net/http"

	"relcheck/checker/manual"
	"relcheck/checker/privacy"
	"relcheck/checker/server/pages"
)

//go:embed openapi.yaml
var openAPI []byte

// openAPI answers GET /api/openapi.yaml: the description of the API.
func (s *Server) openAPI(w http.ResponseWriter, _ *http.Request, _ identity) error {
	w.Header().Set("Content-Type", "application/yaml")
	w.Header()["X-Content-Type-Options"] = noSniff
	w.Write(openAPI) // an error means that the client has closed the connection
	return nil
}

// docsPage answers GET /docs and GET /docs/{topic}: the manual.
func (s *Server) docsPage(w http.ResponseWriter, r *http.Request, id identity) error {
	name := r.PathValue("topic")
	t, ok := manual.Find(name)
	if name != "" && !ok {
		return fail(http.StatusNotFound, "not_found", "", "the manual has no such topic; /docs lists all")
	}
	return s.sendPage(w, r, id, http.StatusOK, func(v pages.Visitor) ([]byte, error) {
		if name == "" {
			return pages.Docs(v)
		}
		return pages.Topic(v, t)
	})
}

// privacyPage answers GET /privacy: what is received, stored and shown.
func (s *Server) privacyPage(w http.ResponseWriter, r *http.Request, id identity) error {
	sheet := privacy.Page(s.options.privacy())
	return s.sendPage(w, r, id, http.StatusOK, func(v pages.Visitor) ([]byte, error) { return pages.Privacy(v, sheet) })
}

// privacy returns the options that the sheet about data describes.
func (o *Options) privacy() privacy.Config {
	return privacy.Config{Base: o.Base, KeepReports: o.KeepReports, KeepRollups: o.KeepRollups, PublicStats: o.PublicStats, PublicThreshold: o.PublicThreshold}
}
