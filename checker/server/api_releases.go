package server

import (
	"net/http"

	"relcheck/checker"
	"relcheck/checker/catalog"
)

type apiRelease struct {
	Version    string            `json:"version"`
	Date       *string           `json:"date"`  // RFC 3339, or null if not known
	Notes      *string           `json:"notes"` // null if the product's template applies
	Prerelease bool              `json:"prerelease"`
	Withdrawn  bool              `json:"withdrawn"`
	Retracted  *string           `json:"retracted"` // reason given upstream, or null
	Assets     map[string]string `json:"assets"`    // by platform: linux/amd64
	Latest     bool              `json:"latest"`    // offered to clients that run no pre-release
}

func (p *product) newAPIRelease(r *catalog.Release) apiRelease {
	assets := map[string]string{}
	for platform, link := range r.Assets {
		assets[platform.String()] = link
	}
	return apiRelease{r.Version, formatTime(r.Date), nullIfEmpty(r.Notes), r.Prerelease, r.Withdrawn, nullIfEmpty(r.Retracted), assets,
		checker.Canonical(r.Version) == p.stable.version}
}

func (s *Server) apiReleases(w http.ResponseWriter, r *http.Request, _ identity) error {
	p, err := s.product(r.PathValue("product"))
	if err != nil {
		return err
	}
	paging, err := s.apiPaging(w, r, len(p.releases.sorted))
	if err != nil {
		return err
	}
	return s.sendJSON(w, r, func() any {
		body := struct {
			Product  string       `json:"product"`
			Releases []apiRelease `json:"releases"`
		}{p.Name, []apiRelease{}}
		from, to := paging.Bounds()
		for _, one := range p.releases.sorted[from:to] {
			body.Releases = append(body.Releases, p.newAPIRelease(&one.Release))
		}
		return body
	})
}
