package server

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"relcheck/checker/server/dialect"
)

// reportPath is the path of reports, below the prefix of a product or alone.
const reportPath = "/v1/version"

// entry is a dialect as the front door sees it.
type entry struct {
	name     string
	methods  []string
	patterns []dialect.Pattern
	hosts    []string
	file     *dialect.Dialect // nil for the dialects in Go
	counter  *routeCounter

	// serve answers a request, or returns an error for fail to answer.
	serve func(*Server, http.ResponseWriter, *http.Request, *call) error
	fail  func(*Server, http.ResponseWriter, error)
}

// match reports whether a pattern of the entry matches a normalized path, and adds its
// variables to vars.
func (e *entry) match(path string, vars *dialect.Vars) bool {
	return slices.ContainsFunc(e.patterns, func(p dialect.Pattern) bool { return p.Match(path, vars) })
}

// allows reports whether the entry has the method. Web pages ask with OPTIONS first.
func (e *entry) allows(method string) bool {
	switch method {
	case http.MethodHead:
		method = http.MethodGet
	case http.MethodOptions:
		return e.file == nil || e.file.AnyOrigin || e.file.Credentials
	}
	return slices.Contains(e.methods, method)
}

var (
	anyOrigin     = []string{"*"}
	trueValue     = []string{"true"}
	varyByOrigin  = []string{"Origin"}
	allowedFields = "Accept, Content-Type, User-Agent, X-GitHub-Api-Version"
)

// allowOrigin lets web pages read the answer. Dialects read no credentials, so an answer
// does not depend on them.
func (e *entry) allowOrigin(h http.Header, r *http.Request) {
	switch {
	case e.file == nil || e.file.AnyOrigin:
		h["Access-Control-Allow-Origin"] = anyOrigin
	case e.file.Credentials:
		h["Vary"] = varyByOrigin
		origin := r.Header["Origin"]
		if len(origin) != 1 {
			return
		}
		if u, err := url.Parse(origin[0]); err == nil && u.Host != "" && origin[0] == u.Scheme+"://"+u.Host {
			h["Access-Control-Allow-Origin"], h["Access-Control-Allow-Credentials"] = origin, trueValue
		}
	}
}

// allMethods returns the methods for which allows reports true.
func (e *entry) allMethods() (all []string) {
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPost} {
		if e.allows(method) {
			all = append(all, method)
		}
	}
	return all
}

// preflight sets the headers that answer the OPTIONS request before that of a web page.
func (e *entry) preflight(h http.Header) {
	fields := allowedFields
	if e.file != nil {
		fields = e.file.AllowHeaders
	}
	h.Set("Access-Control-Allow-Methods", strings.Join(slices.DeleteFunc(e.allMethods(), func(m string) bool { return m == http.MethodOptions }), ", "))
	h.Set("Access-Control-Allow-Headers", fields)
	h.Set("Access-Control-Max-Age", "86400")
	h.Set("Allow", strings.Join(e.allMethods(), ", "))
}

// productEntry is an entry that answers for a product. Without a product, the repository in
// the path decides.
type productEntry struct {
	product string
	*entry
}

// entries are the dialects that products can have.
type entries struct {
	root           []productEntry    // at the base URL itself
	named          map[string]*entry // the files of dialects, and those in Go that a product must list
	report, github *entry
}

func newEntries(files map[string]*dialect.Dialect) *entries {
	es := &entries{named: map[string]*entry{}}
	es.report = &entry{name: "report", methods: []string{http.MethodPost}, patterns: patterns(reportPath), serve: (*Server).countedReport, fail: failReport}
	both := []string{http.MethodGet, http.MethodPost}
	es.github = &entry{name: "github", methods: both, patterns: patterns(githubPatterns...), serve: (*Server).github, fail: failGitHub}
	es.root = []productEntry{{DefaultProduct, es.report}, {"", es.github}}
	es.named["checkpoint"] = &entry{name: "checkpoint", methods: both, patterns: patterns(checkpointPatterns...), hosts: []string{"checkpoint-api.hashicorp.com"},
		serve: (*Server).checkpoint, fail: failDialect}
	es.named["upgrade-responder"] = &entry{name: "upgrade-responder", methods: both[1:], patterns: patterns("/v1/checkupgrade"),
		serve: (*Server).upgradeResponder, fail: failDialect}
	for name, d := range files {
		es.named[name] = &entry{name: name, methods: d.Methods, patterns: d.Patterns, hosts: d.Hosts, file: d, serve: (*Server).render, fail: failDialect}
	}
	return es
}

// countIn sets the counters of requests.
func (es *entries) countIn(m *metrics) *entries {
	for e := range es.all() {
		e.counter = m.route("dialect " + e.name)
	}
	es.report.counter = m.route("POST " + reportPath)
	return es
}

func patterns(texts ...string) (all []dialect.Pattern) {
	for _, text := range texts {
		p, err := dialect.ParsePattern(text)
		if err != nil {
			panic(err)
		}
		all = append(all, p)
	}
	return all
}

func (es *entries) all() func(func(*entry) bool) {
	return func(yield func(*entry) bool) {
		_ = yield(es.report) && yield(es.github)
		for _, e := range es.named {
			if !yield(e) {
				return
			}
		}
	}
}

// standard returns the entries that each product has.
func (es *entries) standard(product string) []productEntry {
	return []productEntry{{product, es.report}, {product, es.github}}
}

// directory finds products by declared hosts and by aliases.
type directory struct {
	hosts   map[string]*declaredHost
	aliases map[string][]string // names of products, by alias in lower case
	hints   map[string][]string // by product: which other products answer the same requests
}

// declaredHost is a host whose requests belong to products.
type declaredHost struct {
	name    string
	entries []productEntry
}

// host returns a declared host by the Host header of a request, with or without its port, or
// nil.
func (d *directory) host(name string) *declaredHost {
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	if h := d.hosts[name]; h != nil {
		return h
	}
	if i := strings.LastIndexByte(name, ':'); i >= 0 {
		return d.hosts[strings.TrimSuffix(name[:i], ".")]
	}
	return nil
}

// newDirectory returns the directory of products.
func newDirectory(products []*product) *directory {
	d := &directory{map[string]*declaredHost{}, map[string][]string{}, map[string][]string{}}
	same := &conflicts{map[string][]productEntry{}, map[[2]*entry]bool{}, d.hints}
	declare := func(host string, e productEntry) {
		if d.hosts[host] == nil {
			d.hosts[host] = &declaredHost{name: host}
		}
		d.hosts[host].entries = append(d.hosts[host].entries, e)
		same.add(host, e)
	}
	slices.SortFunc(products, func(a, b *product) int { return int(a.id - b.id) }) // the older one wins
	for _, p := range products {
		for host := range strings.FieldsSeq(p.Hosts) {
			for _, e := range p.entries {
				if e.file == nil && e.name == "github" { // several products can share a host, as on api.github.com
					e.product = ""
				}
				declare(host, e)
			}
		}
		for _, e := range p.entries {
			for _, host := range e.hosts {
				declare(host, e)
			}
		}
		for alias := range strings.FieldsSeq(p.Aliases) {
			alias = strings.ToLower(alias)
			d.aliases[alias] = append(d.aliases[alias], p.Name)
		}
	}
	return d
}

// named returns the product that has a name or alias and lists the dialect, or nil.
func (s *snapshot) named(name string, e *entry) *product {
	name = strings.ToLower(name)
	for _, candidate := range append([]string{name}, s.directory.aliases[name]...) {
		if p := s.products.get(candidate); p != nil && (e == nil || slices.ContainsFunc(p.entries, func(have productEntry) bool { return have.entry == e })) {
			return p
		}
	}
	return nil
}

// failReport answers with an error as JSON.
func failReport(s *Server, w http.ResponseWriter, err error) { writeError(w, failureOf(err)) }

// failDialect answers in plain text: some clients take the fields of any JSON for those of a
// release.
func failDialect(s *Server, w http.ResponseWriter, err error) {
	f := failureOf(err)
	f.setRetryAfter(w.Header())
	sendText(w, f.status, f.message)
}

func sendText(w http.ResponseWriter, status int, message string) {
	if message == "" {
		message = strings.ToLower(http.StatusText(status))
	}
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h["X-Content-Type-Options"] = noSniff
	h.Set("Content-Length", strconv.Itoa(len(message)+1))
	w.WriteHeader(status)
	w.Write([]byte(message + "\n")) // an error means that the client has closed the connection
}
