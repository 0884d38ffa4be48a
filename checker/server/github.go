package server

import (
	"cmp"
	"net/http"
	"slices"

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

func (p *product) newGitHubRelease(r *catalog.Ranked) githubRelease {
	g := githubRelease{
		TagName: r.Tag, Name: cmp.Or(r.Title, r.Tag), HTMLURL: p.links.notes(&p.Product, &r.Release), Prerelease: r.Prerelease,
		CreatedAt: cmp.Or(formatTime(r.Created), formatTime(r.Date)), PublishedAt: formatTime(r.Date), Assets: []githubAsset{},
	}
	for _, f := range r.Files {
		if link := p.FileURL(&f); link != "" {
			g.Assets = append(g.Assets, githubAsset{f.FileName(), link})
		}
	}
	slices.SortFunc(g.Assets, func(a, b githubAsset) int {
		return cmp.Compare(a.BrowserDownloadURL, b.BrowserDownloadURL)
	})
	g.Assets = slices.Compact(g.Assets)
	return g
}

// latestRelease answers GET /repos/{owner}/{repo}/releases/latest, the check of Open
// Policy Agent since v1.7. Under /p/{product}, the repository in the path is ignored.
func (s *Server) latestRelease(w http.ResponseWriter, r *http.Request, c *call) error {
	s.count(w, r, c, s.callerOf(r, c))
	if c.channel.latest.github == nil {
		return fail(http.StatusNotFound, "not_found", "", c.channel.noRelease())
	}
	writeJSON(w, http.StatusOK, c.channel.latest.github)
	return nil
}

// noRelease explains why there is no latest release.
func (c *channel) noRelease() string {
	if len(c.Previews) > 0 {
		return "only pre-releases of this product are known, such as " + c.Previews[0].Tag
	}
	return "no release can be offered yet"
}
