package server_test

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"relcheck/checker/catalog"
	"relcheck/checker/server"
	"relcheck/db"
)

var dataDialect = regexp.MustCompile(`data-dialect="([^"]*)"`)

// shownDialects returns the dialects that a page explains.
func shownDialects(page string) []string {
	shown := map[string]bool{}
	for _, m := range dataDialect.FindAllStringSubmatch(page, -1) {
		shown[m[1]] = true
	}
	return slices.Sorted(maps.Keys(shown))
}

func TestConnectPage(t *testing.T) {
	dialects := map[string]string{"opa": "openpolicyagent", "grafana": "grafana grafana-plugins", "k3s": "channels", "npm": "npm npm-dist-tags"}
	s := newServiceWith(t, serviceOptions{
		Options: server.Options{Base: "https://example.com/releases", Covers: func(host string) bool { return host == "grafana.com" }},
		fill: func(store *db.Store) {
			for _, p := range []catalog.Product{{Name: "grafana", Title: "Grafana"}, {Name: "k3s", Title: "k3s", Repo: "k3s-io/k3s", Hosts: "update.k3s.io:8443"}, {Name: "npm", Upstreams: "github:npm/cli"}, {Name: "plain"}} {
				p.Dialects = dialects[p.Name]
				if err := store.AddProduct(t.Context(), p); err != nil {
					t.Fatal(err)
				}
			}
		},
	})
	for _, product := range []string{"opa", "grafana", "k3s", "npm", "plain"} {
		page := s.browse(t, "/products/"+product+"/connect").body
		want := append(strings.Fields(dialects[product]), "github", "report")
		slices.Sort(want)
		if got := shownDialects(page); !slices.Equal(got, want) || !slices.Equal(want, s.handler.Dialects(product)) {
			t.Errorf("product %s: got dialects %v, want %v, as the front door has: %v", product, got, want, s.handler.Dialects(product))
		}
		if strings.Contains(page, "{{") || strings.Contains(page, `id="dns"`) != slices.Contains([]string{"opa", "grafana", "k3s"}, product) {
			t.Errorf("product %s: got a page with double braces, or with DNS names although there are none, or without: %s", product, page)
		}
	}
	for path, want := range map[string][]string{
		"/products/grafana/connect": {
			"GF_GRAFANA_COM_API_URL=https://example.com/releases/p/grafana", ">certificate loaded<", "To trust your CA: Add the CA", "grafana.com CNAME example.com.\n",
			"curl -sSi --connect-to grafana.com:443:example.com:443 https://grafana.com/",
		},
		"/products/k3s/connect": {
			"INSTALL_K3S_CHANNEL_URL=https://example.com/releases/p/k3s/v1-release/channels ", "<dt>update.k3s.io:8443<br><span class=\"state bad\">no certificate</span></dt><dd><bdi>k3s</bdi>", "update.k3s.io CNAME example.com.\n",
			"--connect-to update.k3s.io:8443:example.com:443 https://update.k3s.io:8443/v1-release/channels/stable", "&#39;https://example.com/releases/p/k3s/repos/k3s-io/k3s/releases/latest&#39;", "K3S_INSTALLER_GHE_BASE_URL=",
			"export GH_HOST=example.com GH_ENTERPRISE_TOKEN=none\ngh release view --repo k3s-io/k3s\n", "publish:\n  provider: github\n  protocol: https\n  host: example.com\n",
		},
		"/products/opa/connect":   {"OPA_VERSION_CHECK_SERVICE_URL=https://example.com/releases/p/opa/as/", "openpolicyagent.org CNAME example.com.\n"},
		"/products/npm/connect":   {"/p/npm/repos/npm/cli/releases/latest"},
		"/products/plain/connect": {"/p/plain/repos/plain/plain/releases/latest"}, // any repository is answered
		"/connect":                {"openpolicyagent.org CNAME example.com.\n", "/p/opa/repos/open-policy-agent/opa/releases/latest"},
	} {
		page := s.browse(t, path).body
		for _, text := range want {
			if !strings.Contains(page, text) {
				t.Errorf("%s: got no %q: %s", path, text, page)
			}
		}
	}
	if page := s.browse(t, "/connect").body; strings.Contains(page, "grafana") {
		t.Errorf("/connect without sign-in: got the name of a product: %s", page)
	}
	_, token := s.token(t)
	if page := s.page(t, "/connect", token).body; !strings.Contains(page, "<dt>grafana.com<br>") || !strings.Contains(page, `href="/releases/products/k3s/connect"`) {
		t.Errorf("/connect with a token: got no hosts or links of all products: %s", page)
	}
	if got, want := s.handler.UncoveredHosts(), []string{"openpolicyagent.org", "update.k3s.io:8443", "www.openpolicyagent.org"}; !slices.Equal(got, want) {
		t.Errorf("hosts without a certificate: got %v, want %v", got, want)
	}
}

var (
	contentsNav    = regexp.MustCompile(`(?s)<nav class="contents".*?</nav>`)
	contentsLink   = regexp.MustCompile(`<a href="#([^"]*)">([^<]*)</a>`)
	sectionHeading = regexp.MustCompile(`<section aria-labelledby="([^"]*)"[^>]*>\s*<h\d id="([^"]*)">([^<]*)</h`)
)

// TestConnectContents checks that the contents of the page list its sections.
func TestConnectContents(t *testing.T) {
	s := newService(t)
	_, token := s.token(t)
	for _, path := range []string{"/connect", "/products/opa/connect", "/products/relcheck/connect"} {
		for _, page := range []string{s.browse(t, path).body, s.page(t, path, token).body} {
			var got, want []string
			for _, m := range contentsLink.FindAllStringSubmatch(contentsNav.FindString(page), -1) {
				got = append(got, m[1]+" "+m[2])
			}
			for _, m := range sectionHeading.FindAllStringSubmatch(page, -1) {
				want = append(want, m[1]+" "+m[3])
			}
			if len(want) < 4 || !slices.Equal(got, want) {
				t.Errorf("%s: got contents %q, want %q", path, got, want)
			}
		}
	}
}

// TestConnectTexts checks that each dialect in Go has a text.
func TestConnectTexts(t *testing.T) {
	for _, name := range newService(t).handler.DialectsInGo() {
		if server.ConnectTexts[name].Title == "" && name != "report" {
			t.Errorf("dialect %s has no text for the connect page", name)
		}
	}
}
