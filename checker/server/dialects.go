package server

import (
	"cmp"
	"errors"
	"net/http"
	"net/textproto"
	"net/url"
	"path"
	"strings"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/download"
	"relcheck/checker/server/dialect"
	"relcheck/checker/useragent"
)

// maxRequestBody is the size of the largest body of a request in a dialect.
const maxRequestBody = 16 << 10

// render answers a request in a dialect that is a file.
func (s *Server) render(w http.ResponseWriter, r *http.Request, c *call) error {
	d := c.entry.file
	if err := d.Read(r, &c.vars); err != nil {
		return fail(http.StatusBadRequest, "invalid_request", "", err.Error())
	}
	if d.Declares("product") {
		if err := c.setNamed(); err != nil {
			s.log.Debug("no product with this dialect has the name in the request", "dialect", d.Name)
			return err
		}
	}
	caller, latest := s.check(w, r, c)
	q := dialect.Request{Base: c.base, Caller: caller, Vars: &c.vars}
	k := answerKey{entry: c.entry, channel: c.channel, latest: latest, base: c.base, rest: d.Key(&q)}
	return s.answer(w, r, c, k, func() (*answer, error) {
		q := q // so that only new answers allocate it
		a, err := d.Render(s.model(c, latest), &q)
		if errors.Is(err, dialect.ErrNotFound) {
			s.log.Debug("a look-up of a dialect finds nothing", "dialect", d.Name, "product", c.Name, "err", err)
			return nil, errNoAnswer
		}
		if err != nil {
			s.metrics.dialectFailures.WithLabelValues(d.Name).Inc()
			s.log.Error("cannot render the answer of a dialect", "dialect", d.Name, "product", c.Name, "err", err)
			return nil, internal()
		}
		h := http.Header{}
		for _, field := range a.Header {
			name := textproto.CanonicalMIMEHeaderKey(field[0])
			h[name] = append(h[name], field[1])
		}
		made := newAnswer(a.Status, h, a.Body)
		made.keep = a.Reusable
		return made, nil
	})
}

// setNamed sets the product that the variable product names.
func (c *call) setNamed() error {
	p := c.snap.named(c.vars.Get("product"), c.entry)
	if p == nil {
		return errNoAnswer
	}
	if p != c.product {
		c.product, c.channel = p, p.channels[""]
	}
	return nil
}

// errNoAnswer is the failure if a product has nothing to answer. No release may be named then:
// clients would install it.
var errNoAnswer = fail(http.StatusNotFound, "not_found", "", "not found")

// check counts a request as a check. It returns what is known about the client, and the
// release that it is offered, or nil.
func (s *Server) check(w http.ResponseWriter, r *http.Request, c *call) (dialect.Caller, *catalog.Ranked) {
	caller := s.callerOf(r, c)
	s.count(w, r, c, caller)
	if caller.Version == "" {
		return caller, c.channel.Latest
	}
	o, v := c.judge(c.channel, caller.Release, caller.Version)
	caller.Verdict = dialect.Verdict(v)
	return caller, o.release
}

// callerOf returns what is known about a client: from the variables of the dialect, else from
// the User-Agent header, else from the prefix of the path.
func (s *Server) callerOf(r *http.Request, c *call) (caller dialect.Caller) {
	version, platform := useragent.Parse(r.UserAgent())
	os, arch := c.vars.Get("os"), c.vars.Get("arch")
	if both := c.vars.Get("platform"); both != "" {
		os, arch = both, ""
	}
	if os != "" || arch != "" {
		platform = download.Normalize(os, arch)
	}
	if platform == checker.Other && c.prefix.Platform != (checker.Platform{}) {
		platform = c.prefix.Platform
	}
	if declared := c.vars.Get("version"); checker.ValidVersion(declared) {
		version = declared
	}
	caller.Version, caller.Platform = cmp.Or(version, c.prefix.Version), platform
	if caller.Version != "" {
		caller.Release = c.find(caller.Version)
	}
	return caller
}

// count counts the check of a client that says its version.
func (s *Server) count(w http.ResponseWriter, r *http.Request, c *call, caller dialect.Caller) {
	if caller.Version == "" || r.Method == http.MethodHead {
		return
	}
	if from := s.sender(r, c.product); s.mayRecord(w, from, kindCheck) {
		s.store.Count(c.Name, s.countedVersion(from, c.product, caller.Version, caller.Release != nil, caller.Platform), caller.Platform)
		s.metrics.checks.Inc()
	}
}

// model returns what templates see of the call's channel.
func (s *Server) model(c *call, latest *catalog.Ranked) *dialect.Model {
	p := c.product
	m := &dialect.Model{
		Product: &p.Product, Scheme: p.scheme, Latest: latest, Prereleases: c.channel.prereleases,
		Offered: c.channel.offered, Withdrawn: p.withdrawn, Links: callLinks{s, c},
		Find: func(name string) *dialect.Model {
			found := c.snap.named(name, c.entry)
			if found == nil {
				return nil
			}
			other := *c
			other.product, other.channel = found, found.channels[""]
			return s.model(&other, other.channel.Latest)
		},
		Channel: func(name string) *dialect.Model {
			ch := p.channels[name]
			if ch == nil || name == "" {
				return nil
			}
			other := *c
			other.channel = ch
			return s.model(&other, ch.Latest)
		},
	}
	for _, ch := range p.ChannelList() {
		m.Channels = append(m.Channels, ch.Name)
	}
	return m
}

// callLinks makes the links in an answer.
type callLinks struct {
	s *Server
	c *call
}

func (l callLinks) File(r *catalog.Ranked, f *catalog.File) string {
	return l.withName(r, f.FileName(), l.c.FileURL(f))
}

func (l callLinks) Download(r *catalog.Ranked, platform checker.Platform) string {
	return l.foreign(l.c.links.download(&l.c.Product, r, platform))
}

// withName returns a link that ends in the name of the file, without a query: clients choose
// and unpack a file by the end of its link. Another link is hidden behind a redirect.
func (l callLinks) withName(r *catalog.Ranked, name, link string) string {
	u, err := url.Parse(link)
	switch {
	case err != nil || link == "" || l.foreign(link) == "":
		return ""
	case path.Base(u.Path) == name && u.RawQuery == "" && !u.ForceQuery:
		return link
	}
	tag := escapeTag(r.Tag)
	if tag == "" {
		return ""
	}
	product := l.c.Name
	for name, ch := range l.c.channels {
		if name != "" && ch == l.c.channel {
			product += "@" + url.PathEscape(name)
		}
	}
	return l.s.options.Base + "/p/" + product + "/o/r/releases/download/" + tag + "/" + url.PathEscape(name)
}

// foreign returns the link, or "" if it leads to the declared host of the request, at which
// clients reach this server instead of upstream: it would redirect them in a circle.
func (l callLinks) foreign(link string) string {
	u, err := url.Parse(link)
	if err != nil || u.Host == "" || strings.HasPrefix(link, l.s.options.Base+"/") {
		return link
	}
	if h := l.c.snap.directory.host(u.Host); h != nil && l.c.base == l.s.scheme+h.name {
		return ""
	}
	return link
}

func (l callLinks) Hosted(tag, name string) string {
	r := l.c.tagged(tag)
	if r == nil || r.Withdrawn || r.Date.After(l.s.now()) || l.c.links == nil {
		return ""
	}
	if f := r.NamedFile(&l.c.Product, name); f != nil {
		return l.c.links.to(&l.c.Product, &r.Release, f)
	}
	return ""
}

func (l callLinks) Page(r *catalog.Ranked) string {
	return l.s.options.Base + releasePath(l.c.Name, r.Tag)
}

func (l callLinks) Notes(r *catalog.Ranked) string {
	return cmp.Or(l.foreign(l.c.links.notes(&l.c.Product, &r.Release)), l.Page(r))
}
