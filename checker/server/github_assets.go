package server

import (
	"net/http"
	"strconv"
	"strings"

	"relcheck/checker/catalog"
	"relcheck/checker/server/dialect"
)

// sendAssets answers with a page of the files of a release.
func (g *githubCall) sendAssets(r *catalog.Ranked) error {
	if r == nil {
		return errNotOffered
	}
	assets := g.assets(r)
	p := g.page("/releases/"+strconv.FormatInt(r.ID, 10)+"/assets", len(assets))
	return g.send(githubAnswer{page: p, body: func(map[string]string) ([]byte, error) {
		return encodeList(assets[p.from:p.to], func(a githubAsset) any { return a })
	}})
}

// sendAsset answers with the description of a file, or with the file if the client accepts
// only that.
func (g *githubCall) sendAsset(id string) error {
	g.w.Header()["Vary"] = varyByAccept
	r, f := g.asset(id)
	if f == nil {
		return errNotOffered
	}
	if strings.Contains(strings.Join(g.r.Header["Accept"], ","), "application/octet-stream") {
		return g.sendFile(r, f)
	}
	a := g.newAsset(r, f)
	if a.BrowserDownloadURL == "" {
		return errNotOffered
	}
	return g.send(githubAnswer{key: "asset " + id, body: func(map[string]string) ([]byte, error) { return encode(a), nil }})
}

// asset returns the file with an ID, and its release, or nil.
func (g *githubCall) asset(text string) (*catalog.Ranked, *catalog.File) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id <= 0 {
		return nil, nil
	}
	for _, r := range g.c.channel.offered() {
		for i := range r.Files {
			if f := &r.Files[i]; (f.ID == id || f.ID == 0) && dialect.FileID(r.Tag, f) == id {
				return r, f
			}
		}
	}
	return nil, nil
}

// download answers /{owner}/{repo}/releases/download/{tag}/{name}. The tag may contain
// slashes.
func (g *githubCall) download(file string) error {
	i := strings.LastIndexByte(file, '/')
	r := g.tagged(file[:max(i, 0)])
	if r == nil {
		return errNotOffered
	}
	for j := range r.Files {
		if f := &r.Files[j]; f.FileName() == file[i+1:] && f.URL != "" {
			return g.sendFile(r, f)
		}
	}
	return errNotOffered
}

// sendFile sends a file if this server has or fetches it, or else a redirect to it.
func (g *githubCall) sendFile(r *catalog.Ranked, f *catalog.File) error {
	link := g.c.FileURL(f)
	if rest, ok := strings.CutPrefix(link, g.s.options.Base+"/files/"+g.c.Name+"/"); ok {
		return g.s.sendFile(g.w, g.r, g.c.Name, rest)
	}
	if link = g.links.foreign(link); link == "" {
		return errNotOffered
	}
	return newAnswer(http.StatusFound, http.Header{"Location": {link}}, nil).send(g.w, g.r)
}
