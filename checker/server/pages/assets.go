package pages

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"io/fs"
	"path"
	"strings"
	"sync"

	"relcheck/checker/printable"
)

//go:embed web
var webFiles embed.FS

// siteFiles are the parsed templates, by file name without its extension, and the
// assets, by the name that they are served under.
type siteFiles struct {
	templates map[string]*template.Template
	assets    map[string][]byte
}

// Assets returns the style sheet, script and icon of the pages, by their names below
// /assets/.
func Assets() map[string][]byte { return site().assets }

// site parses the templates when the first page is rendered, not in programs that only
// link this package.
var site = sync.OnceValue(func() *siteFiles {
	s := &siteFiles{map[string]*template.Template{}, map[string][]byte{}}
	names := map[string]string{}
	for _, name := range []string{"page.css", "page.js", "icon.svg"} {
		body, err := webFiles.ReadFile("web/" + name)
		if err != nil {
			panic(err)
		}
		// With a hash of the content in its name, browsers may cache the file without asking again.
		ext, sum := path.Ext(name), sha256.Sum256(body)
		names[name] = strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:6]) + ext
		s.assets[names[name]] = body
	}
	base := template.New("").Funcs(template.FuncMap{
		"asset": func(root, name string) string { return root + "/assets/" + names[name] },
		"quote": printable.QuoteShell,

		"addReleases": addReleases,
	})
	template.Must(base.ParseFS(webFiles, "web/base.html"))
	pages, err := fs.Glob(webFiles, "web/*.html")
	if err != nil {
		panic(err)
	}
	for _, file := range pages {
		s.templates[strings.TrimSuffix(path.Base(file), ".html")] = template.Must(template.Must(base.Clone()).ParseFS(webFiles, file))
	}
	return s
})
