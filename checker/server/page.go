package server

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"sync"
)

//go:embed web
var webFiles embed.FS

// web is what pages are made from.
type web struct {
	templates map[string]*template.Template // by their file, without its ending
	assets    map[string]*keptContent       // by the name that they are served under
}

// website parses the templates at the first page that is asked for.
var website = sync.OnceValue(func() *web {
	files, err := fs.Sub(webFiles, "web")
	if err != nil {
		panic(err)
	}
	w := &web{map[string]*template.Template{}, map[string]*keptContent{}}
	names := map[string]string{}
	for _, name := range []string{"page.css", "page.js", "icon.svg"} {
		body, err := fs.ReadFile(files, name)
		if err != nil {
			panic(err)
		}
		names[name] = hashed(name, body)
		w.assets[names[name]] = newKeptContent(body)
	}
	base := template.New("").Funcs(template.FuncMap{
		"asset": func(name string) string { return "/assets/" + names[name] },
		"drawn": func() template.HTML { return `<span class="unseen">Drawn</span>` }, // heads a column of drawings
	})
	template.Must(base.ParseFS(files, "base.html"))
	pages, err := fs.Glob(files, "*.html")
	if err != nil {
		panic(err)
	}
	for _, name := range pages {
		w.templates[strings.TrimSuffix(name, ".html")] = template.Must(template.Must(base.Clone()).ParseFS(files, name))
	}
	return w
})

// hashed puts what a file holds into its name, so that browsers may keep it for good.
func hashed(name string, body []byte) string {
	sum := sha256.Sum256(body)
	ending := path.Ext(name)
	return strings.TrimSuffix(name, ending) + "." + hex.EncodeToString(sum[:6]) + ending
}

// asset answers GET /assets/{name}.
func (s *Server) asset(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("name")
	body, ok := website().assets[name]
	if !ok {
		return fail(http.StatusNotFound, "not_found", "", "there is nothing at this path")
	}
	h := w.Header()
	h.Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("ETag", `"`+name+`"`)
	h.Set("Vary", "Accept-Encoding")
	h["X-Content-Type-Options"] = noSniff
	body.content(r).send(w, r, http.StatusOK)
	return nil
}

// sheet is what the frame around every page shows.
type sheet struct {
	Title    string
	Nav      []link
	SignedIn bool
	Body     any
}

// link is one that may be the page itself.
type link struct {
	Text, URL string
	Here      bool
}

// policy lets a page load from this server only, and run nothing that stands in it.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// render sends a page.
func (s *Server) render(w http.ResponseWriter, r *http.Request, status int, name, title string, body any) error {
	who, err := s.identify(r)
	if err == nil && who != reader && s.session(r) != "" {
		s.setCookie(w, r, sessionCookie, "", -1) // it has ended
	}
	c, err := s.drawing.build(r, func() (content, error) {
		plain, err := draw(name, sheet{title, navigation(r, who), who == reader && signedIn(r), body})
		return zippedFor(r, plain), err
	})
	if err != nil {
		return err
	}
	pageHeaders(w.Header())
	c.send(w, r, status)
	return nil
}

func pageHeaders(h http.Header) {
	private(h)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("Vary", "Accept, Accept-Encoding, Cookie")
	h["X-Content-Type-Options"] = noSniff
}

func draw(name string, page sheet) ([]byte, error) {
	var b bytes.Buffer
	if err := website().templates[name].ExecuteTemplate(&b, "base", page); err != nil {
		return nil, fmt.Errorf("make the page %s: %w", name, err)
	}
	return b.Bytes(), nil
}

// signedIn tells whether it is a cookie that lets somebody in.
func signedIn(r *http.Request) bool { return r.Header.Get("Authorization") == "" }

func navigation(r *http.Request, who audience) (all []link) {
	add := func(text, url string) { all = append(all, link{text, url, r.URL.Path == url}) }
	if who != nobody {
		add("Products", "/")
	}
	add("Connect", "/connect")
	add("Privacy", "/privacy")
	if who != reader {
		add("Sign in", "/sign-in")
	}
	return all
}

// page answers people with a page also where something is wrong.
func (s *Server) page(h handler) handler {
	timed := s.timed(h)
	return func(w http.ResponseWriter, r *http.Request) error {
		err := timed(w, r)
		if err == nil || !wantsPage(r) {
			return err
		}
		f := (*failure)(nil)
		if !errors.As(err, &f) {
			s.log.Error("a page could not be made", "path", r.Pattern, "err", err)
			f = internal()
		}
		f.setRetryAfter(w.Header())
		return s.problemPage(w, r, f)
	}
}

// problem is a page that says what is wrong.
type problem struct {
	Status      int
	Title, Text string
}

// problemPage tells a person what is wrong.
func (s *Server) problemPage(w http.ResponseWriter, r *http.Request, f *failure) error {
	title := "This did not work"
	if f.status == http.StatusNotFound {
		title = "There is nothing here"
	}
	return s.render(w, r, f.status, "missing", title, problem{f.status, title, sentence(f.message)})
}

// sentence makes one of an error's text.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	text = strings.ToUpper(text[:1]) + text[1:]
	if !strings.HasSuffix(text, ".") {
		text += "."
	}
	return text
}
