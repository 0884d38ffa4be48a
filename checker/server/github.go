package server

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"relcheck/checker/catalog"
	"relcheck/checker/useragent"
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
func (s *Server) latestRelease(w http.ResponseWriter, r *http.Request, _ identity) error {
	snap := s.snapshot.Load()
	p, c := snap.repos.get(strings.ToLower(r.PathValue("owner")+"/"+r.PathValue("repo"))), (*channel)(nil)
	switch name := r.PathValue("product"); {
	case name != "":
		var err error
		if p, c, err = s.channel(name); err != nil {
			return githubNotFound(failureOf(err))
		}
	case p == nil:
		return githubNotFound(fail(http.StatusNotFound, "not_found", "", "no product has this repository; add one with relcheck product add NAME --repo OWNER/REPO"))
	default:
		c = p.channels[""]
	}
	if version, platform := useragent.Parse(r.UserAgent()); version != "" && r.Method == http.MethodGet && s.mayRecord(w, r, p, kindCheck) {
		s.store.Count(p.Name, s.countedVersion(r, p, version, p.find(version) != nil, platform), platform)
		s.metrics.checks.Inc()
	}
	if c.latest.github == nil {
		return githubNotFound(fail(http.StatusNotFound, "not_found", "", c.noRelease()))
	}
	writeJSON(w, http.StatusOK, c.latest.github)
	return nil
}

func githubNotFound(f *failure) error {
	f.github = "Not Found"
	return f
}

// noRelease explains why there is no latest release.
func (c *channel) noRelease() string {
	if len(c.Previews) > 0 {
		return "only pre-releases of this product are known, such as " + c.Previews[0].Tag
	}
	return "no release can be offered yet"
}
