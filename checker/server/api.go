package server

import (
	"bytes"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"unicode"

	"relcheck/checker/server/pages"
	"relcheck/checker/stats"
)

// statsParameters are the parameters of requests for statistics. The last one is for single
// tables only.
var statsParameters = []string{"days", "from", "to", "version", "os", "arch", "site", "below", "above", "compare", "format"}

// checkParameters refuses parameters that are unknown, duplicate or malformed. Ignoring
// them would return other statistics than those requested.
func checkParameters(h handler, names ...string) handler {
	return func(w http.ResponseWriter, r *http.Request, id identity) error {
		given, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			return fail(http.StatusBadRequest, "invalid_query", "", "cannot parse the query of the URL; encode % & ; and + in values")
		}
		for name, values := range given {
			switch {
			case len(names) == 0:
				return fail(http.StatusBadRequest, "unknown_parameter", name, "this request has no parameters; leave them out")
			case !slices.Contains(names, name):
				return fail(http.StatusBadRequest, "unknown_parameter", name, "unknown parameter: "+suggest(name, names))
			case len(values) > 1:
				return fail(http.StatusBadRequest, "invalid_query", name, name+" is given more than once")
			}
		}
		return h(w, r, id)
	}
}

// parameterOfError returns the parameter that an error of package stats is about. The text
// of such an error begins with its name.
func parameterOfError(err error) string {
	text := err.Error()
	name := text[:max(0, strings.IndexFunc(text, func(r rune) bool { return !unicode.IsLetter(r) }))]
	if slices.Contains(statsParameters, name) {
		return name
	}
	return ""
}

type apiProduct struct {
	Name          string  `json:"name"`
	Title         string  `json:"title"`
	Latest        *string `json:"latest"`        // the latest release, or null
	Preview       *string `json:"preview"`       // the newest pre-release if there is no release, or null
	Instances     any     `json:"instances"`     // in the last 28 days, or null without a token
	Installations any     `json:"installations"` // in the last four weeks that are over, or null
	Stats         string  `json:"stats"`         // URL of the list of its tables
	Public        *string `json:"public"`        // URL of its public figures, or null
}

func (s *Server) apiProducts(w http.ResponseWriter, r *http.Request, id identity) error {
	body := struct {
		Products []apiProduct `json:"products"`
	}{[]apiProduct{}}
	var names []string
	for name := range s.snapshot.Load().products.all() {
		names = append(names, name)
	}
	slices.Sort(names)
	paging, err := s.apiPaging(w, r, len(names))
	if err != nil {
		return err
	}
	from, to := paging.Bounds()
	for _, name := range names[from:to] {
		v, err := s.view(r, id, name, func(string) string { return "" })
		if err != nil {
			return err
		}
		one := apiProduct{name, v.Product.Title, nullIfEmpty(v.Latest), nullIfEmpty(v.Preview), nil, nil, s.statsPath(name, "", nil), nil}
		if id.role == reader {
			one.Instances, one.Installations = recentInstances(v), recentInstallations(v)
		}
		if s.options.PublicStats {
			one.Public = new(s.publicPath(name, ""))
		}
		body.Products = append(body.Products, one)
	}
	return s.sendJSON(w, r, func() any { return body })
}

// recentInstances returns the instances of the last 28 days from the summary.
func recentInstances(v *stats.View) any {
	for r := range v.Table("summary").All() {
		if r.Text(stats.ColPeriod) == stats.Last28Days {
			return r.Value(stats.ColInstances)
		}
	}
	return nil
}

// recentInstallations returns the installations of the last four weeks that are over, or nil
// if they are unknown.
func recentInstallations(v *stats.View) any {
	for r := range v.Table("installations").All() {
		if r.Text(stats.ColPeriod) == stats.FinishedFourWeeks {
			return r.Value(stats.ColInstallations)
		}
	}
	return nil
}

func nullIfEmpty(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func (s *Server) statsPath(product, table string, query url.Values) string {
	return pages.Address(s.root+path.Join("/api/v1/products", product, "stats", table), query)
}

type apiTable struct {
	Name    string      `json:"name"`
	Title   string      `json:"title"`
	Columns []apiColumn `json:"columns"`
	JSON    string      `json:"json"`
	CSV     string      `json:"csv"`
}

type apiColumn struct {
	Name string `json:"name"`
	Kind string `json:"kind"`
}

// apiTables answers GET /api/v1/products/{product}/stats. The URLs that it lists have the
// parameters of the request.
func (s *Server) apiTables(w http.ResponseWriter, r *http.Request, id identity) error {
	v, err := s.view(r, id, r.PathValue("product"), r.URL.Query().Get)
	if err != nil {
		return err
	}
	body := struct {
		Product string     `json:"product"`
		Title   string     `json:"title"`
		Latest  *string    `json:"latest"`
		Tables  []apiTable `json:"tables"`
	}{v.Product.Name, v.Product.Title, nullIfEmpty(v.Latest), []apiTable{}}
	asJSON, asCSV := v.Query.Values(), v.Query.Values()
	asCSV.Set("format", "csv")
	return s.sendJSON(w, r, func() any {
		for _, t := range v.Tables() {
			listed := apiTable{t.Name, t.Title, nil, s.statsPath(v.Product.Name, t.Name, asJSON), s.statsPath(v.Product.Name, t.Name, asCSV)}
			for _, c := range t.Columns {
				listed.Columns = append(listed.Columns, apiColumn{c.Name, c.Kind.String()})
			}
			body.Tables = append(body.Tables, listed)
		}
		return body
	})
}

// apiTable answers GET /api/v1/products/{product}/stats/{table}.
func (s *Server) apiTable(w http.ResponseWriter, r *http.Request, id identity) error {
	asCSV, err := wantsCSV(w, r)
	if err != nil {
		return err
	}
	v, err := s.view(r, id, r.PathValue("product"), r.URL.Query().Get)
	if err != nil {
		return err
	}
	c, err := s.encoding.build(r, func() (content, error) {
		var b bytes.Buffer
		t := v.Table(r.PathValue("table")) // may be larger than the answer
		switch {
		case t == nil:
			return content{}, noTable(v, r.PathValue("table"))
		case asCSV:
			err = t.WriteCSV(&b)
		default:
			err = v.Document(t).WriteJSON(&b)
		}
		return content{body: b.Bytes()}, err
	})
	if err != nil {
		return err
	}
	h := w.Header()
	h["Content-Type"] = jsonType
	if asCSV {
		h.Set("Content-Type", "text/csv; charset=utf-8; header=present")
		h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{
			"filename": fmt.Sprintf("%s-%s-%s-%s.csv", v.Product.Name, r.PathValue("table"), v.Query.From, v.Query.To)}))
	}
	h["X-Content-Type-Options"] = noSniff
	c.send(w, r, http.StatusOK)
	return nil
}

// wantsCSV reports whether a table is requested as CSV. The parameter format takes
// precedence over the header Accept.
func wantsCSV(w http.ResponseWriter, r *http.Request) (bool, error) {
	w.Header().Set("Vary", "Accept")
	switch format := r.URL.Query().Get("format"); format {
	case "csv":
		return true, nil
	case "json":
		return false, nil
	case "":
		return strings.Contains(r.Header.Get("Accept"), "text/csv"), nil
	default:
		return false, fail(http.StatusBadRequest, "invalid_query", "format", fmt.Sprintf("format=%.20q is not csv or json", format))
	}
}

// noTable returns the error for a table that does not exist.
func noTable(v *stats.View, name string) error {
	var names []string
	for _, t := range v.Tables() {
		names = append(names, t.Name)
	}
	return fail(http.StatusNotFound, "unknown_table", "", fmt.Sprintf("there is no table %.80q: %s", name, suggest(name, names)))
}
