package server

import (
	"cmp"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"relcheck/checker/catalog"
	"relcheck/checker/server/pages"
)

// connectTexts describe how to point clients of the dialects in Go to a product.
var connectTexts = map[string]pages.Dialect{
	"github": {Title: "Clients of GitHub's API", Text: "A client that looks up releases on GitHub gets the same answers here. It sends nothing but its User-Agent header.", Codes: []pages.Code{
		{Text: "With curl:", Code: "curl -fsS '{{.URL}}/repos/{{.Repo}}/releases/latest'"},
		{Text: "With google/go-github:", Code: "url := \"{{.URL}}/\"\nclient, err := github.NewClient(github.WithURLs(&url, nil))"},
		{Text: "With creativeprojects/go-selfupdate:", Code: `source, err := selfupdate.NewGitHubSource(selfupdate.GitHubConfig{EnterpriseBaseURL: "{{.URL}}/"})`},
		{Text: "With @octokit/rest:", Code: `const octokit = new Octokit({ baseUrl: "{{.URL}}" })`},
		{Text: "With axoupdater, as in programs that dist has packaged:", Code: "export {{.Variable}}_INSTALLER_GHE_BASE_URL='{{.URL}}/'"},
		{Text: "With gh, over HTTPS, if the base URL of this service has no path. gh requires a token, and any is accepted:",
			Code: "export GH_HOST={{.Host}} GH_ENTERPRISE_TOKEN=none\ngh release view --repo {{.Repo}}\ngh release download --pattern '*' --repo {{.Repo}}"},
		{Text: "With electron-updater and its provider github, if the base URL has no path, in electron-builder.yml, or without the first line in app-update.yml:",
			Code: "publish:\n  provider: github\n  protocol: {{.Scheme}}\n  host: {{.Host}}\n  owner: {{.Owner}}\n  repo: {{.Name}}"},
	}},
	"checkpoint": {Title: "HashiCorp Checkpoint", Text: "Terraform and other programs with go-checkpoint ask https://checkpoint-api.hashicorp.com, which no setting changes.",
		Trust: "Set SSL_CERT_FILE, or add the CA to the certificates of the system."},
	"upgrade-responder": {Title: "Upgrade responder of Longhorn and Rancher Desktop", Text: "Longhorn and Rancher Desktop ask for new versions.", Codes: []pages.Code{
		{Text: "Longhorn has a setting for the address:", Code: `kubectl -n longhorn-system patch settings.longhorn.io upgrade-responder-url \
  --type merge -p '{"value":"{{.URL}}/v1/checkupgrade"}'`},
		{Text: "Rancher Desktop has variables for trials. With them, it downloads an update and does not install it; for more, re-point the host that it asks:",
			Code: "export RD_FORCE_UPDATES_ENABLED=1\nexport RD_UPGRADE_RESPONDER_URL={{.URL}}/v1/checkupgrade\nexport RD_GITHUB_API_URL={{.URL}}"}}},
}

// describe returns how to point clients of a dialect to a product.
func (s *Server) describe(e *entry, p *catalog.Product) pages.Dialect {
	link := s.options.Base + "/p/" + p.Name
	d := connectTexts[e.name]
	if e.file != nil {
		d = pages.Dialect{Title: e.file.Title, Trust: e.file.Trust}
		for i, snippet := range e.file.Connect(link) {
			code := pages.Code(snippet)
			if i == 0 {
				d.Text, code.Text = snippet.Text, ""
			}
			d.Codes = append(d.Codes, code)
		}
	}
	repo := repoOf(p)
	owner, name, _ := strings.Cut(repo, "/")
	fill := strings.NewReplacer("{{.URL}}", link, "{{.Scheme}}", strings.TrimSuffix(s.scheme, "://"), "{{.Host}}", s.host,
		"{{.Repo}}", repo, "{{.Owner}}", owner, "{{.Name}}", name, "{{.Variable}}", pages.Variable(name))
	d.Name, d.Hosts, d.Codes = e.name, e.hosts, slices.Clone(d.Codes)
	for i := range d.Codes {
		d.Codes[i].Code = fill.Replace(d.Codes[i].Code)
	}
	return d
}

// repoOf returns the repository with which clients of GitHub's API ask for a product. Below
// the prefix of a product, any is answered.
func repoOf(p *catalog.Product) string {
	if p.Repo != "" {
		return p.Repo
	}
	for _, text := range p.UpstreamList() {
		if name, err := catalog.ParseUpstream(text); err == nil && name.Repo != "" {
			return name.Repo
		}
	}
	return p.Name + "/" + p.Name
}

// describeAll returns how to point clients to a product. Reports are not included.
func (s *Server) describeAll(p *product) (all []pages.Dialect) {
	for _, e := range p.entries {
		if e.name != "report" {
			all = append(all, s.describe(e.entry, &p.Product))
		}
	}
	return all
}

// hosts returns the declared hosts of a product, or of all products if p is nil.
func (s *Server) hosts(snap *snapshot, p *product) (all []pages.Host) {
	for _, name := range slices.Sorted(maps.Keys(snap.directory.hosts)) {
		h := pages.Host{Name: name, Trust: "Add the CA to the certificates of the system or image."}
		releases := "" // in GitHub's form, which is answered if all dialects of a product are
		for _, e := range snap.directory.hosts[name].entries {
			if e.product == "" || p != nil && e.product != p.Name {
				continue
			}
			of := snap.products.get(e.product)
			title := of.Title
			if slices.Contains(e.hosts, name) {
				d := s.describe(e.entry, &of.Product)
				title, h.Trust = d.Title, cmp.Or(d.Trust, h.Trust)
			}
			if !slices.Contains(h.Titles, title) {
				h.Titles = append(h.Titles, title)
			}
			if e.file != nil && slices.Contains(e.methods, http.MethodGet) {
				if r, err := e.file.NewRequest(map[string]string{"product": of.Name}); err == nil {
					h.Try = cmp.Or(h.Try, r.URL.RequestURI())
				}
			}
			if e.name == "checkpoint" {
				h.Try = cmp.Or(h.Try, "/v1/check/"+e.product+"?version=0.0.1")
			}
			if e.name == "report" && of.Repo != "" {
				releases = cmp.Or(releases, "/repos/"+of.Repo+"/releases/latest")
			}
		}
		h.Try = cmp.Or(h.Try, releases)
		if c := s.options.Covers; c != nil {
			h.Known, h.Covered = true, c(withoutPort(name))
		}
		if h.Titles != nil {
			all = append(all, h)
		}
	}
	return all
}

// UncoveredHosts returns the declared hosts that the certificates of the server do not cover.
func (s *Server) UncoveredHosts() (all []string) {
	for _, h := range s.hosts(s.snapshot.Load(), nil) {
		if h.Known && !h.Covered {
			all = append(all, h.Name)
		}
	}
	return all
}

func withoutPort(host string) string { return (&url.URL{Host: host}).Hostname() }

func (s *Server) connectPage(w http.ResponseWriter, r *http.Request, id identity) error {
	snap, name := s.snapshot.Load(), r.PathValue("product")
	data := pages.ConnectData{Base: s.options.Base, OPA: name == "" || name == DefaultProduct}
	p := snap.products.get(cmp.Or(name, DefaultProduct))
	switch {
	case name != "" && p == nil:
		return unknownProduct(name)
	case name != "":
		data.Product = &p.Product
	case id.role != anonymous: // others may not know which products there are
		all := snap.listedProducts()
		data.Products, data.More = all[:min(len(all), productsPerPage)], len(all) > productsPerPage
		data.Hosts = s.hosts(snap, nil)
	}
	if p != nil {
		data.Dialects = s.describeAll(p)
		if data.Hosts == nil {
			data.Hosts = s.hosts(snap, p)
		}
	}
	if p == nil { // the forms of GitHub are explained for any product
		data.Dialects = append(data.Dialects, s.describe(snap.entries.github, &catalog.Product{Name: "PRODUCT", Repo: "OWNER/REPO"}))
	}
	return s.sendPage(w, r, id, http.StatusOK, func(v pages.Visitor) ([]byte, error) { return pages.Connect(v, data) })
}
