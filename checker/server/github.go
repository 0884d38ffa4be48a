package server

import (
	"cmp"
	"net/http"
	"path"
	"slices"
	"strings"

	"relcheck/checker"
	"relcheck/checker/catalog"
)

// githubRelease is a release in the form of GitHub's REST API
// (https://docs.github.com/rest/releases), with the fields that clients use.
type githubRelease struct {
	TagName     string        `json:"tag_name"`
	Name        string        `json:"name"`
	HTMLURL     string        `json:"html_url"`
	Draft       bool          `json:"draft"`
	Prerelease  bool          `json:"prerelease"`
	CreatedAt   *string       `json:"created_at"`
	PublishedAt *string       `json:"published_at"`
	Assets      []githubAsset `json:"assets"`
}

type githubAsset struct {
	Name               string `json:"name"`
	BrowserDownloadURL string `json:"browser_download_url"`
}

func newGitHubRelease(p *catalog.Product, r *catalog.Release) githubRelease {
	g := githubRelease{
		TagName: r.Version, Name: r.Version, HTMLURL: notesURL(p, r), Prerelease: r.Prerelease,
		CreatedAt: formatTime(r.Date), PublishedAt: formatTime(r.Date), Assets: []githubAsset{},
	}
	for _, link := range r.Assets {
		g.Assets = append(g.Assets, githubAsset{path.Base(link), link})
	}
	slices.SortFunc(g.Assets, func(a, b githubAsset) int {
		return cmp.Compare(a.BrowserDownloadURL, b.BrowserDownloadURL)
	})
	g.Assets = slices.Compact(g.Assets)
	return g
}

// latestRelease answers GET /repos/{owner}/{repo}/releases/latest, the check of Open
// Policy Agent since v1.7. Under /p/{product}, the repository in the path is ignored.
func (s *Server) latestRelease(w http.ResponseWriter, r *http.Request, _ identity) error {
	snap := s.snapshot.Load()
	p, name := snap.repos[strings.ToLower(r.PathValue("owner")+"/"+r.PathValue("repo"))], r.PathValue("product")
	if name != "" {
		p = snap.products[name]
	}
	switch {
	case p == nil && name != "":
		return githubNotFound(unknownProduct(name))
	case p == nil:
		return githubNotFound(fail(http.StatusNotFound, "not_found", "", "no product has this repository; add one with relcheck product add NAME --repo OWNER/REPO"))
	}
	if version, platform := checker.ParseUserAgent(r.UserAgent()); version != "" && r.Method == http.MethodGet && s.mayRecord(w, r, p, kindCheck) {
		release, _ := p.find(version)
		s.store.Count(p.Name, s.countedVersion(r, p, version, release.published(version), platform), platform)
		s.metrics.checks.Inc()
	}
	if p.stable.github == nil {
		return githubNotFound(fail(http.StatusNotFound, "not_found", "", "no release of this product is known yet"))
	}
	writeJSON(w, http.StatusOK, p.stable.github)
	return nil
}

func githubNotFound(f *failure) error {
	f.github = "Not Found"
	return f
}
