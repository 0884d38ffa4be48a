package server

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"relcheck/checker/catalog"
	"relcheck/checker/server/dialect"
)

// of returns the entries of a product, and why it does not answer other dialects that it lists. Of
// two that overlap, the first is kept. GitHub's forms come last, because those of other
// dialects are more exact: both have paths such as /{owner}/{repo}/releases.atom.
func (es *entries) of(p *catalog.Product) (all []productEntry, hints []string) {
	all = append(all, productEntry{p.Name, es.report})
	for name := range strings.FieldsSeq(p.Dialects) {
		e := es.named[name]
		if e == nil {
			hints = append(hints, fmt.Sprintf("dialect %s is not built in: the folder of relcheck serve --dialects must have a valid file %[1]s.dialect", name))
			continue
		}
		if i := slices.IndexFunc(all, func(other productEntry) bool { return other.overlaps(e) }); i >= 0 {
			hints = append(hints, fmt.Sprintf("dialect %s is not answered: it has paths of dialect %s, which comes first", name, all[i].name))
			continue
		}
		all = append(all, productEntry{p.Name, e})
	}
	return append(all, productEntry{p.Name, es.github}), hints
}

// overlaps reports whether a request can match both entries.
func (e *entry) overlaps(f *entry) bool {
	return slices.ContainsFunc(e.methods, func(method string) bool { return slices.Contains(f.methods, method) }) &&
		slices.ContainsFunc(e.patterns, func(p dialect.Pattern) bool { return slices.ContainsFunc(f.patterns, p.Overlaps) })
}

// choosesProduct reports whether requests say which product they are about, so that several
// products can have the dialect on one host.
func (e *entry) choosesProduct() bool {
	return e.file == nil && e.name == "checkpoint" || e.file != nil && e.file.ChoosesProduct()
}

// maxHints is the maximum number of hints about other products.
const maxHints = 10

// conflicts finds products that answer the same requests on a host.
type conflicts struct {
	first map[string][]productEntry // by host: each dialect, with the first product that has it
	known map[[2]*entry]bool        // whether two dialects overlap
	hints map[string][]string       // by product
}

// add notes that requests of a host belong to an entry. Clients of GitHub's API name a
// repository, and reports are rarely sent to such hosts.
func (c *conflicts) add(host string, e productEntry) {
	if e.name == "report" || e.name == "github" {
		return
	}
	known := false
	for _, first := range c.first[host] {
		known = known || first.entry == e.entry
		if first.product == e.product || !c.overlap(first.entry, e.entry) {
			continue
		}
		hint := fmt.Sprintf("products %s and %s both answer dialect %s on %s: requests go to the product that was added first", first.product, e.product, e.name, host)
		if first.entry != e.entry {
			hint = fmt.Sprintf("dialect %s of product %s has paths of dialect %s of product %s on %s: requests go to the product that was added first", e.name, e.product, first.name, first.product, host)
		}
		for _, product := range []string{first.product, e.product} {
			if len(c.hints[product]) < maxHints {
				c.hints[product] = append(c.hints[product], hint)
			}
		}
	}
	if !known {
		c.first[host] = append(c.first[host], e)
	}
}

func (c *conflicts) overlap(a, b *entry) bool {
	if a == b {
		return !a.choosesProduct()
	}
	pair := [2]*entry{a, b}
	overlap, ok := c.known[pair]
	if !ok {
		overlap = a.overlaps(b)
		c.known[pair] = overlap
	}
	return overlap
}

// dialectHints explains which dialects of a product are not answered.
func (s *snapshot) dialectHints(p *product) []string {
	return slices.Concat(p.unanswered, s.directory.hints[p.Name])
}

// logDialects logs dialects that are not answered, unless an older snapshot has them.
func (s *Server) logDialects(old, next *snapshot) {
	if old.directory == next.directory {
		return
	}
	for _, p := range next.products.all() {
		var known []string
		if was := old.products.get(p.Name); was != nil {
			known = old.dialectHints(was)
		}
		for _, hint := range next.dialectHints(p) {
			if !slices.Contains(known, hint) {
				s.log.Warn("a dialect of a product is not answered as set", "product", p.Name, "why", hint)
			}
		}
	}
}

// DialectHints explains which dialects of a product are not answered by a server that has
// no other dialects than the built-in ones.
func DialectHints(name string, all []catalog.Product) []string {
	es := newEntries(dialect.BuiltIn())
	s := &snapshot{}
	var products []*product
	wanted := &product{}
	for _, p := range all {
		next := &product{Product: p}
		next.entries, next.unanswered = es.of(&p)
		products = append(products, next)
		if p.Name == name {
			wanted = next
		}
	}
	s.directory = newDirectory(products)
	return s.dialectHints(wanted)
}

// DialectInfo describes a dialect that products can list.
type DialectInfo struct {
	Name    string   `json:"name"`
	Title   string   `json:"title"`
	Methods []string `json:"methods"`
	Paths   []string `json:"paths"`
	Hosts   []string `json:"hosts"` // that its clients ask unless they are configured
}

// Dialects describes the files of dialects, and the dialects that are not files, sorted by
// name.
func Dialects(files map[string]*dialect.Dialect) (all []DialectInfo) {
	es := newEntries(files)
	for _, name := range slices.Sorted(maps.Keys(es.named)) {
		e := es.named[name]
		d := DialectInfo{name, connectTexts[name].Title, e.methods, nil, append([]string{}, e.hosts...)}
		if e.file != nil {
			d.Title = e.file.Title
		}
		for _, p := range e.patterns {
			d.Paths = append(d.Paths, p.String())
		}
		all = append(all, d)
	}
	return all
}
