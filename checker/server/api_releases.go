package server

import (
	"errors"
	"net/http"

	"relcheck/checker"
	"relcheck/checker/catalog"
)

// apiRelease is the representation of a release in the API.
type apiRelease struct {
	ID         int64             `json:"id"`
	Version    string            `json:"version"` // the tag
	Title      string            `json:"title"`
	Date       *string           `json:"date"`    // of publication, RFC 3339, or null if not known
	Created    *string           `json:"created"` // of the tagged commit
	Notes      *string           `json:"notes"`   // null if the product's template applies
	Prerelease bool              `json:"prerelease"`
	Withdrawn  bool              `json:"withdrawn"`
	Reason     *string           `json:"reason"` // why it is withdrawn, or null
	Assets     map[string]string `json:"assets"` // URLs of the downloads, by platform: linux/amd64
	Files      []apiFile         `json:"files"`  // all files
	Latest     bool              `json:"latest"` // offered to clients that do not run a pre-release
}

// apiFile is the representation of a file in the API. An unknown size or checksum is left out.
type apiFile struct {
	ID        int64   `json:"id"`
	Name      string  `json:"name"`
	Platform  *string `json:"platform"` // null if the name determines it
	URL       string  `json:"url"`
	Size      int64   `json:"size,omitzero"` // in bytes
	SHA256    string  `json:"sha256,omitzero"`
	SHA512    string  `json:"sha512,omitzero"`
	MediaType *string `json:"media_type"`
	Hosted    string  `json:"hosted,omitzero"` // see [catalog.NamedFile.Status], or missing in the folder
}

// newAPIRelease returns the representation of a release of the product.
func (p *product) newAPIRelease(r *catalog.Ranked) apiRelease {
	assets, files := map[string]string{}, []apiFile{}
	for platform, f := range r.Downloads(&p.Product).ByPlatform() {
		if link := p.FileURL(f); link != "" {
			assets[platform.String()] = link
		}
	}
	hosted := hostedFiles(p, r)
	for _, f := range r.Files {
		if f.URL == "" { // a platform without a file
			continue
		}
		listed := apiFile{f.ID, f.Name, nil, p.FileURL(&f), f.Size, f.SHA256, f.SHA512, nullIfEmpty(f.MediaType), hosted[f.URL]}
		if f.Platform != (checker.Platform{}) {
			listed.Platform = nullIfEmpty(f.Platform.String())
		}
		files = append(files, listed)
	}
	return apiRelease{r.ID, r.Tag, r.Title, formatTime(r.Date), formatTime(r.Created), nullIfEmpty(r.Notes), r.Prerelease, r.Withdrawn, nullIfEmpty(r.Reason),
		assets, files, r == p.latest().release}
}

// hostedFiles returns the states of the hosted files of a release, by the URLs of files.
func hostedFiles(p *product, r *catalog.Ranked) map[string]string {
	if len(r.Hosted) == 0 {
		return nil
	}
	hosted := map[string]string{}
	for _, f := range r.NamedFiles(&p.Product) {
		status := f.Status()
		if f.State == catalog.FileHosted && f.Here == "" && p.links != nil { // a command does not know the folder
			status = "missing"
		}
		hosted[f.Listed.URL], hosted[f.Here] = status, status
	}
	return hosted
}

func (s *Server) apiReleases(w http.ResponseWriter, r *http.Request, _ identity) error {
	p, err := s.product(r.PathValue("product"))
	if err != nil {
		return err
	}
	paging, err := s.apiPaging(w, r, len(p.releases))
	if err != nil {
		return err
	}
	from, to := paging.Bounds()
	return s.sendJSON(w, r, func() any { return p.list(p.releases[from:to]) })
}

// releaseList is a list of releases in the API.
type releaseList struct {
	Product  string       `json:"product"`
	Releases []apiRelease `json:"releases"`
}

func (p *product) list(releases []*catalog.Ranked) releaseList {
	body := releaseList{p.Name, []apiRelease{}}
	for _, r := range releases {
		body.Releases = append(body.Releases, p.newAPIRelease(r))
	}
	return body
}

// releaseDetails is everything that is known about a release.
type releaseDetails struct {
	apiRelease
	Body     string         `json:"body"`     // the release notes in Markdown
	Upstream *catalog.Layer `json:"upstream"` // what upstream says, or null
	Operator *catalog.Layer `json:"operator"` // what the operator has decided, or null
}

func (p *product) details(stored catalog.Release, layers [2]*catalog.Layer) releaseDetails {
	d := releaseDetails{p.newAPIRelease(p.rank(stored)), notesText(layers), layers[catalog.Upstream], layers[catalog.Operator]}
	d.Latest = p.latest().release != nil && p.latest().release.Tag == stored.Tag
	return d
}

// apiReleaseDetails answers GET /api/v1/products/{product}/releases/{version} with
// everything that is known about a release.
func (s *Server) apiReleaseDetails(w http.ResponseWriter, r *http.Request, _ identity) error {
	p, err := s.product(r.PathValue("product"))
	if err != nil {
		return err
	}
	stored, layers, err := s.store.Release(r.Context(), p.Name, r.PathValue("version"))
	switch {
	case errors.Is(err, catalog.ErrNotFound):
		return noRelease()
	case err != nil:
		s.log.Error("cannot read a release", "err", err)
		return fail(http.StatusServiceUnavailable, "not_read", "", "the release could not be read; send the request again later")
	}
	writeJSON(w, http.StatusOK, encode(p.details(stored, layers)))
	return nil
}

func noRelease() *failure {
	return fail(http.StatusNotFound, "unknown_release", "", "the product has no such release; GET its releases for a list")
}
