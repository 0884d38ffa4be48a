package server

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"relcheck/checker/server/dialect"
)

// call is a request that the front door has assigned to a product.
type call struct {
	*product
	snap    *snapshot
	channel *channel
	entry   *entry
	prefix  dialect.Prefix // or zero
	base    string         // what links in the answer begin with
	path    string         // behind the prefix
	vars    dialect.Vars   // of the entry's pattern, and of the rest of the request
}

// setProduct sets the product of a name, or of the repository in the path if the name is
// empty, and the channel of the prefix.
func (c *call) setProduct(name string) (err error) {
	if name == "" && c.prefix.Text == "" {
		if c.vars.Get("owner") == "" { // GraphQL, whose answer depends on no product
			return nil
		}
		if c.product = c.snap.repos.get(strings.ToLower(c.vars.Get("owner") + "/" + c.vars.Get("repo"))); c.product == nil {
			return fail(http.StatusNotFound, "not_found", "", "no product has this repository; add one with relcheck product add NAME --repo OWNER/REPO")
		}
		c.channel = c.channels[""]
		return nil
	}
	c.product, c.channel, err = c.snap.channel(name, c.prefix.Channel, c.prefix.Named)
	return err
}

// frontDoor assigns requests to products, and leaves the others to the routes of this server.
// It works on the escaped path, and never redirects: clients read a version from the target of
// a redirect.
//
// A request belongs to the first of these that matches:
//   - an entry of its Host, if a product or dialect declares that host;
//   - an entry of the product in the prefix /p/NAME;
//   - a route of this server;
//   - reports of the default product, and GitHub's forms by repository;
//   - an entry of its Host, if that is also the host of the base URL.
//
// The path of the base URL may precede all but the first.
type frontDoor struct {
	*Server
	own     *http.ServeMux // the routes of this server; the others lead to unmatched
	refused http.Handler   // answers what matches nothing
}

func (d *frontDoor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	snap, escaped := d.snapshot.Load(), r.URL.EscapedPath()
	path, ok := dialect.SplitPath(escaped)
	host := snap.directory.host(r.Host)
	if !ok {
		d.refusePath(w, r, host, escaped)
		return
	}
	if host != nil && !slices.Contains(d.ownHosts, host.name) {
		if !d.enter(w, r, &call{snap: snap, base: d.scheme + host.name}, host.entries, path) {
			d.refuse(w, http.StatusNotFound, "")
		}
		return
	}
	if rest, ok := cutRoot(escaped, d.root); ok {
		escaped = rest
		path, _ = dialect.SplitPath(rest)
	}
	if path == reportPath {
		d.enterReport(w, r, snap)
		return
	}
	if prefix, ok := dialect.CutPrefix(escaped); ok {
		d.enterPrefix(w, r, &call{snap: snap, base: d.options.Base}, prefix)
		return
	}
	if r = withPath(r, path); strings.HasPrefix(path, "/repos/") { // which no route of this server has; searching them would take as long as the rest
		d.unmatched(w, r)
		return
	}
	d.own.ServeHTTP(w, r)
}

// enterReport answers a request at the path of reports. It allocates nothing.
func (d *frontDoor) enterReport(w http.ResponseWriter, r *http.Request, snap *snapshot) {
	if e := snap.report.entry; !e.allows(r.Method) {
		d.refuseMethod(w, r, reportPath, e.allMethods())
		return
	}
	d.serve(w, r, snap.report, snap.reportErr)
}

// unmatched answers a request that no route of this server matches.
func (d *frontDoor) unmatched(w http.ResponseWriter, r *http.Request) {
	snap, path := d.snapshot.Load(), r.URL.EscapedPath()
	c, host := &call{snap: snap, base: d.options.Base}, snap.directory.host(r.Host)
	if !d.enter(w, r, c, snap.entries.root, path) && (host == nil || !d.enter(w, r, c, host.entries, path)) {
		d.refused.ServeHTTP(w, r)
	}
}

// cutRoot removes the path of the base URL from the start of an escaped path.
func cutRoot(path, root string) (rest string, ok bool) {
	if root == "" {
		return path, false
	}
	rest = path
	for segment := range strings.SplitSeq(root[1:], "/") {
		if rest, ok = strings.CutPrefix(strings.TrimLeft(rest, "/"), segment); !ok || rest != "" && rest[0] != '/' {
			return path, false
		}
	}
	return rest, true
}

// withPath returns the request with a normalized path, so that the mux does not redirect it.
func withPath(r *http.Request, path string) *http.Request {
	if path == r.URL.EscapedPath() {
		return r
	}
	u := *r.URL
	u.Path, _ = url.PathUnescape(path)
	u.RawPath = path
	changed := *r
	changed.URL = &u
	return &changed
}

// enterPrefix answers a request whose path names a product.
func (d *frontDoor) enterPrefix(w http.ResponseWriter, r *http.Request, c *call, prefix dialect.Prefix) {
	if prefix.Invalid {
		d.metrics.invalidVersions.Inc()
	}
	c.prefix, c.base = prefix, c.base+prefix.Text
	entries := c.snap.entries.standard(prefix.Product)
	if p := c.snap.products.get(prefix.Product); p != nil {
		entries = p.entries
	}
	switch {
	case d.enter(w, r, c, entries, prefix.Rest):
	case wantsPage(r):
		d.refused.ServeHTTP(w, r)
	default:
		why, page := "there is no product with this name", "/connect"
		if p := c.snap.products.get(prefix.Product); p != nil {
			why, page = "product "+p.Name+" does not answer this path", "/products/"+p.Name+"/connect"
		}
		d.refuse(w, http.StatusNotFound, why+"; see "+d.options.Base+page)
	}
}

// enter answers a request with the first of the entries that match it. It reports false if
// none does.
func (d *frontDoor) enter(w http.ResponseWriter, r *http.Request, c *call, entries []productEntry, path string) bool {
	var allowed []string
	for _, e := range entries {
		switch {
		case !e.match(path, &c.vars):
			continue
		case !e.allows(r.Method):
			allowed, c.vars = append(allowed, e.allMethods()...), dialect.Vars{}
			continue
		}
		c.entry, c.path = e.entry, path
		d.serve(w, r, c, c.setProduct(e.product))
		return true
	}
	if len(allowed) > 0 {
		d.refuseMethod(w, r, path, allowed)
	}
	return len(allowed) > 0
}

// serve answers a request with its entry. If err is not nil, it has no product.
func (d *frontDoor) serve(w http.ResponseWriter, r *http.Request, c *call, err error) {
	c.entry.counter.count(w, func(w http.ResponseWriter) {
		c.entry.allowOrigin(w.Header(), r)
		if r.Method == http.MethodOptions {
			c.entry.preflight(w.Header())
			w.WriteHeader(http.StatusNoContent)
			return
		}
		if err == nil {
			err = c.entry.serve(d.Server, w, r, c)
		}
		if err != nil {
			c.entry.fail(d.Server, w, err)
		}
	})
}

// refuseMethod answers a request whose path matches entries with other methods.
func (d *frontDoor) refuseMethod(w http.ResponseWriter, r *http.Request, path string, allowed []string) {
	slices.Sort(allowed)
	allow := strings.Join(slices.Compact(allowed), ", ")
	w.Header().Set("Allow", allow)
	if path == reportPath {
		d.metrics.unrouted.add(http.StatusMethodNotAllowed)
		d.refuseRequest(w, r, wrongMethod(allow))
		return
	}
	d.refuse(w, http.StatusMethodNotAllowed, "use one of the methods: "+allow)
}

// refusePath answers a request with an invalid path.
func (d *frontDoor) refusePath(w http.ResponseWriter, r *http.Request, host *declaredHost, path string) {
	if host != nil || strings.Contains(path, "/p/") {
		d.refuse(w, http.StatusNotFound, "")
		return
	}
	d.metrics.unrouted.add(http.StatusNotFound)
	d.refuseRequest(w, r, notFound(r))
}

// refuse answers in plain text: some clients take the fields of any JSON for a release.
func (d *frontDoor) refuse(w http.ResponseWriter, status int, message string) {
	d.metrics.unrouted.add(status)
	sendText(w, status, message)
}

// setBase sets the scheme, host and path of the base URL.
func (s *Server) setBase(base string) {
	u, err := url.Parse(base)
	if err != nil {
		return
	}
	s.scheme, s.host, s.root = u.Scheme+"://", strings.ToLower(u.Host), u.EscapedPath()
	name := strings.TrimSuffix(s.host, ":"+u.Port())
	s.ownHosts = []string{name, s.host, name + ":" + cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme])}
}
