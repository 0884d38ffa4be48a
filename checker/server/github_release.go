package server

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"relcheck/checker/catalog"
	"relcheck/checker/server/dialect"
	"relcheck/checker/server/hosting"
)

// githubRelease is a release in the form of GitHub's REST API. No field is null and no date
// is empty, because some clients refuse that.
type githubRelease struct {
	ID              int64         `json:"id"`
	NodeID          string        `json:"node_id"`
	URL             string        `json:"url"`
	HTMLURL         string        `json:"html_url"`
	AssetsURL       string        `json:"assets_url"`
	UploadURL       string        `json:"upload_url"`
	TagName         string        `json:"tag_name"`
	TargetCommitish string        `json:"target_commitish"`
	Name            string        `json:"name"`
	Body            string        `json:"body"`
	Draft           bool          `json:"draft"`
	Prerelease      bool          `json:"prerelease"`
	CreatedAt       string        `json:"created_at"`
	PublishedAt     string        `json:"published_at"`
	Author          githubAuthor  `json:"author"`
	TarballURL      string        `json:"tarball_url"`
	ZipballURL      string        `json:"zipball_url"`
	Assets          []githubAsset `json:"assets"`
}

type githubAuthor struct {
	ID    int64  `json:"id"`
	Login string `json:"login"`
}

// githubAsset is a file of a release. An unknown checksum is left out.
type githubAsset struct {
	ID                 int64  `json:"id"`
	NodeID             string `json:"node_id"`
	URL                string `json:"url"`
	Name               string `json:"name"`
	Label              string `json:"label"`
	State              string `json:"state"`
	ContentType        string `json:"content_type"`
	Size               int64  `json:"size"`
	Digest             string `json:"digest,omitempty"`
	DownloadCount      int64  `json:"download_count"`
	CreatedAt          string `json:"created_at"`
	UpdatedAt          string `json:"updated_at"`
	BrowserDownloadURL string `json:"browser_download_url"`
}

// githubTag is a tag. Its commit is unknown.
type githubTag struct {
	Name       string `json:"name"`
	ZipballURL string `json:"zipball_url"`
	TarballURL string `json:"tarball_url"`
	Commit     struct {
		SHA string `json:"sha"`
		URL string `json:"url"`
	} `json:"commit"`
	NodeID string `json:"node_id"`
}

func (g *githubCall) newRelease(r *catalog.Ranked, notes string) githubRelease {
	id := strconv.FormatInt(r.ID, 10)
	url := g.api + "/releases/" + id
	tar, zip := g.archives(r)
	return githubRelease{
		ID: r.ID, NodeID: "RE_" + id, URL: url, HTMLURL: g.links.Notes(r), AssetsURL: url + "/assets", UploadURL: url + "/assets{?name,label}",
		TagName: r.Tag, Name: cmp.Or(r.Title, r.Tag), Body: notes, Prerelease: r.Prerelease,
		CreatedAt: githubTime(cmp.Or(r.Created, r.Date)), PublishedAt: githubTime(r.Date), Author: githubAuthor{Login: g.owner},
		TarballURL: tar, ZipballURL: zip, Assets: g.assets(r),
	}
}

func (g *githubCall) newTag(r *catalog.Ranked) githubTag {
	tar, zip := g.archives(r)
	return githubTag{Name: r.Tag, ZipballURL: zip, TarballURL: tar, NodeID: "REF_" + strconv.FormatInt(r.ID, 10)}
}

// archives returns links to the source code, which this server does not have.
func (g *githubCall) archives(r *catalog.Ranked) (tar, zip string) {
	tag := escapeTag(r.Tag)
	return g.api + "/tarball/" + tag, g.api + "/zipball/" + tag
}

// assets returns the files of a release that have a link. Their names are unique.
func (g *githubCall) assets(r *catalog.Ranked) []githubAsset {
	assets, names := []githubAsset{}, map[string]bool{}
	for i := range r.Files {
		if a := g.newAsset(r, &r.Files[i]); a.BrowserDownloadURL != "" && !names[a.Name] {
			assets = append(assets, a)
			names[a.Name] = true
		}
	}
	return assets
}

// newAsset returns the asset of a file. Without a link, it is not to be listed.
func (g *githubCall) newAsset(r *catalog.Ranked, f *catalog.File) (a githubAsset) {
	name := f.FileName()
	if name == "" || strings.Contains(name, "/") { // clients store a file under its name
		return a
	}
	id, date := dialect.FileID(r.Tag, f), githubTime(r.Date)
	text := strconv.FormatInt(id, 10)
	a = githubAsset{
		ID: id, NodeID: "RA_" + text, URL: g.api + "/releases/assets/" + text, Name: name, State: "uploaded",
		ContentType: hosting.MediaType(name, f.MediaType), Size: f.Size, CreatedAt: date, UpdatedAt: date, BrowserDownloadURL: g.links.File(r, f),
	}
	sum := f.SHA256
	if h := catalog.FindHosted(r.Hosted, name); f.Here != "" && h.State(f) == catalog.FileHosted {
		a.Size, sum = h.Size, h.SHA256
	}
	if sum != "" {
		a.Digest = "sha256:" + sum
	}
	return a
}

// githubTime returns a time in the format of GitHub. An unknown one is the start of 1970.
func githubTime(t time.Time) string {
	if t.IsZero() {
		t = time.Unix(0, 0)
	}
	return t.UTC().Format(time.RFC3339)
}
