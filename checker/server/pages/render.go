// Package pages renders the pages of the service. It gets the data of a page and the
// identity of the client, and knows neither requests nor the store.
package pages

import (
	"bytes"
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"relcheck/checker/catalog"
)

// Visitor describes the client that a page is rendered for.
type Visitor struct {
	Root     string // path of the base URL, which precedes all paths, or empty
	Path     string // escaped path of the request below Root, whose link is marked as current
	Overview bool   // may see the overview, with public figures at least
	Reader   bool   // may see all statistics
	Public   bool   // the server publishes figures
	SignedIn bool   // has a session, and so can sign out
	Releases bool   // may change releases
	Admin    bool   // may change everything
	Menu     *Menu  // products to switch to, or nil
}

// Menu lists products to switch to. Visitors share it until the products change.
type Menu struct {
	Products []catalog.Product
	More     bool // there are more products
}

// pageData is what the base template shows around the body of a page.
type pageData struct {
	Root     string
	Path     string // as in [Visitor]
	Title    string
	Nav      []link
	SignedIn bool
	Releases bool // as in [Visitor]
	Menu     *Menu
	Body     any
}

// link is a link, which is marked if it leads to the page itself.
type link struct {
	Text, URL string
	Current   bool
	Class     string // CSS class, or empty
}

// SwitchURL returns the URL of the page about another product that is of the same kind as this
// page.
func (d pageData) SwitchURL(product string) string {
	parts := strings.Split(d.Path, "/")
	kind := func(at int, known ...string) string {
		if len(parts) > at && slices.Contains(known, parts[at]) {
			return "/" + parts[at]
		}
		return ""
	}
	if parts[min(1, len(parts)-1)] == "manage" {
		return d.Root + ManagePath(product) + cmp.Or(kind(4, "settings", "channels", "upstreams"), "/releases")
	}
	return d.Root + "/products/" + url.PathEscape(product) + kind(3, slices.Concat(Sections, []string{"releases", "connect"})...)
}

func render(name string, v Visitor, title string, body any) ([]byte, error) {
	var b bytes.Buffer
	if err := site().templates[name].ExecuteTemplate(&b, "base", pageData{v.Root, v.Path, title, v.navigation(), v.SignedIn, v.Releases, v.Menu, body}); err != nil {
		return nil, fmt.Errorf("render page %s: %w", name, err)
	}
	return b.Bytes(), nil
}

func (v Visitor) links(all ...link) []link {
	for i, l := range all {
		all[i].Current, all[i].URL = l.URL == v.Path, v.Root+l.URL
	}
	return all
}

func (v Visitor) navigation() []link {
	all := []link{{Text: "Connect", URL: "/connect"}, {Text: "Manual", URL: "/docs"}, {Text: "Privacy", URL: "/privacy", Class: "x"}} // the footer also has a link
	if v.Overview {
		all = append([]link{{Text: "Products", URL: "/"}}, all...)
	}
	if v.Releases {
		all = append(all, link{Text: "Manage", URL: "/manage"})
	}
	if !v.Reader && !v.SignedIn {
		all = append(all, link{Text: "Sign in", URL: "/sign-in"})
	}
	all = v.links(all...)
	for i, l := range all {
		all[i].Current = l.Current || l.Text == "Manage" && strings.HasPrefix(v.Path, "/manage/")
	}
	return all
}

// tabs returns links to the pages of a product. Links to its statistics keep a query.
func (v Visitor) tabs(p *catalog.Product, query url.Values) []link {
	root := "/products/" + url.PathEscape(p.Name)
	all := []link{{Text: "Overview", URL: root}}
	if v.Reader {
		for _, name := range Sections[:len(Sections)-1] {
			all = append(all, link{Text: strings.ToUpper(name[:1]) + name[1:], URL: root + "/" + name})
		}
	}
	statistics := len(all)
	all = append(all, link{Text: "Releases", URL: root + "/releases"}, link{Text: "Connect", URL: root + "/connect"})
	if v.Public && v.Reader {
		all = append(all, link{Text: "Public figures", URL: root + "/public"})
	}
	if v.Releases {
		all = append(all, link{Text: "Manage", URL: ManagePath(p.Name) + "/releases"})
	}
	all = v.links(all...)
	for i := range all[:statistics] {
		all[i].URL = Address(all[i].URL, query)
	}
	return all
}

// ErrorData is the data of a page that shows an error.
type ErrorData struct {
	Status  int
	Message string           // or empty
	Asked   string           // the path, if there is no page at it
	Meant   *catalog.Product // the product that the path probably names, or nil
}

// errorPage is a page that shows an error, and where to go instead.
type errorPage struct {
	ErrorData
	Title, Text, MeantURL string
	Links                 []link
}

// Error renders the page that shows an error.
func Error(v Visitor, d ErrorData) ([]byte, error) {
	page := errorPage{ErrorData: d, Title: "Something went wrong", Text: Sentence(d.Message)}
	switch d.Status {
	case http.StatusNotFound:
		page.Title = "Page not found"
	case http.StatusMethodNotAllowed:
		page.Title = "Not a page"
	}
	start := link{Text: "Sign in", URL: "/sign-in"}
	switch {
	case v.Overview:
		start = link{Text: "Products", URL: "/"}
	case v.Releases:
		start = link{Text: "Products", URL: "/manage"}
	}
	page.Links = v.links(start, link{Text: "Manual", URL: "/docs"}, link{Text: "Connect a client", URL: "/connect"})
	if d.Meant != nil {
		page.MeantURL = v.Root + "/products/" + url.PathEscape(d.Meant.Name)
		if !v.Overview {
			page.MeantURL = v.Root + ManagePath(d.Meant.Name) + "/releases"
		}
	}
	return render("error", v, page.Title, page)
}

// Sentence begins a text with a capital letter and ends it with a full stop.
func Sentence(text string) string {
	if text == "" {
		return ""
	}
	text = strings.ToUpper(text[:1]) + text[1:]
	if !strings.HasSuffix(text, ".") {
		text += "."
	}
	return text
}
