package pages

import (
	"fmt"
	"net"
	"net/url"
	"strings"

	"relcheck/checker/catalog"
	"relcheck/checker/printable"
)

// ConnectData is the data of the page that explains how to point clients to the service.
type ConnectData struct {
	Base     string            // URL of the service
	Product  *catalog.Product  // nil on the page about all products
	OPA      bool              // show how Open Policy Agent connects
	Dialects []Dialect         // that are answered besides reports
	Hosts    []Host            // that are answered if they resolve to the service
	Products []catalog.Product // on the page about all products: those to link to
	More     bool              // there are more products than these
}

// Dialect is how a kind of client asks, with how to point it to the service.
type Dialect struct {
	Name, Title, Text string
	Codes             []Code
	After             string
	Hosts             []string // that the client asks if it is not configured
	Trust             string   // how the client trusts a CA, or empty
}

// Code is a text to copy, with what it is for.
type Code struct{ Text, Code string }

// Host is a host that clients ask and that can resolve to the service.
type Host struct {
	Name    string
	Titles  []string // of the dialects or products that it is for
	Trust   string   // how the clients trust a CA
	Try     string   // path of a sample request, or empty
	Known   bool     // Covered is known
	Covered bool     // the service has a certificate for it
}

type connectPage struct {
	ConnectData
	Tabs    []link
	Clients []client
	DNS     []Code

	Pipeline client
}

// client is a section of the page. Its ID is unique.
type client struct {
	Dialect
	ID    string
	Below bool // is below a heading of the product
}

// Connect renders the page that explains how to point clients to the service. It names
// other products only if the visitor may see the overview.
func Connect(v Visitor, d ConnectData) ([]byte, error) {
	page, title := connectPage{ConnectData: d, DNS: d.dns()}, "Connect a client"
	if d.OPA {
		page.Clients = opaClients(d.Base)
	}
	name, other := "PRODUCT", "Any other product"
	if d.Product != nil {
		name, other, title = d.Product.Name, "Any program in Go", "Connect "+d.Product.Title
		if v.Overview {
			page.Tabs = v.tabs(d.Product, nil)
		}
	}
	reports := reportClients(d.Base, name, other)
	for _, one := range d.Dialects {
		if one.Name == "github" { // is more general than the others, as reports are
			page.Clients, reports = append(page.Clients, reports...), nil
		}
		page.Clients = append(page.Clients, client{Dialect: one, ID: "dialect-" + one.Name})
	}
	page.Clients, page.Pipeline = append(page.Clients, reports...), pipeline(d.Base, name)
	page.Pipeline.Below = d.Product != nil
	for i := range page.Clients {
		page.Clients[i].Below = d.Product != nil
	}
	return render("connect", v, title, page)
}

func opaClients(base string) []client {
	return []client{
		{Dialect: Dialect{Name: "report", Title: "Open Policy Agent v0.20 to v1.12", Text: "Set one variable. Up to v1.6, OPA reports its version, platform, heap usage and a random instance ID. v1.7 to v1.12 only check for the latest release, and send their version and platform.",
			Codes: []Code{{"", fmt.Sprintf("export OPA_TELEMETRY_SERVICE_URL=%s\nopa run --server", printable.QuoteShell(base))}},
			After: "To see the answer at once, run opa version --check."}, ID: "opa-reports"},
		{Dialect: Dialect{Name: "report", Title: "Open Policy Agent v1.13 and later", Text: "The variable has another name. These versions check for the latest release and send nothing about themselves. The path of the URL says their version and platform instead, so that they are counted.",
			Codes: []Code{{"", fmt.Sprintf(`export OPA_VERSION_CHECK_SERVICE_URL=%s/p/opa/as/"$(opa version |
  awk '/^Version:/ {v = $2} /^Platform:/ {p = $2; sub("/", "-", p)} END {print v "/" p}')"
opa run --server`, printable.QuoteShell(base))}, {"In a container, beside the tag of the image:", "env:\n  - name: OPA_VERSION_CHECK_SERVICE_URL\n    value: " + base + "/p/opa/as/1.22.2/linux-amd64"}},
			After: "If you run both generations, set both variables."}, ID: "opa-asks"},
	}
}

// reportClients describes the clients that send reports.
func reportClients(base, name, title string) []client {
	url, variable := base+"/p/"+name, Variable(name)
	return []client{
		{Dialect: Dialect{Name: "report", Title: title, Text: "The Go package reports in the background and can announce newer releases. It depends only on the standard library, google/uuid and x/mod/semver.",
			Codes: []Code{{"", fmt.Sprintf(`import "relcheck/checker"

client := &checker.Client{
	Product:    %q,
	Version:    version,
	DefaultURL: %q,
}
client.Start(ctx) // returns at once`, name, base)}, {"The module cannot be fetched with go get. Use a clone of its repository, or copy the folder checker as the manual shows:", `go mod edit -replace relcheck=/path/to/relcheck
go get relcheck/checker`}},
			After: fmt.Sprintf("Users can choose another service with %[1]s_TELEMETRY_SERVICE_URL, and turn reports off with %[1]s_DISABLE_TELEMETRY=1 or DO_NOT_TRACK=1.", variable)}, ID: "package"},
		{Dialect: Dialect{Name: "report", Title: "A report with curl", Text: "This report is like that of any client. The answer names the latest release.",
			Codes: []Code{{"", fmt.Sprintf(`curl %s \
  -H 'Content-Type: application/json' \
  -d '{"id":"'$(uuidgen)'","version":"v1.0.0","os":"linux","arch":"amd64"}'`, printable.QuoteShell(url+"/v1/version"))}},
			After: "The fields os and arch are for clients that cannot send their platform as in User-Agent: App/1.0 (linux, amd64). To follow a channel, add @ and its name to the product, as in " + url + "@stable."}, ID: "curl"},
	}
}

// pipeline describes how to publish releases.
func pipeline(base, name string) client {
	return client{Dialect: Dialect{Title: "A release pipeline", Text: "Publish a release with a token of scope release. Clients are then offered the release. Fields that you leave out keep their values or come from the product's templates. DELETE withdraws the release.",
		Codes: []Code{{"", fmt.Sprintf(`curl -X PUT %s \
  -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \
  -d '{"date":"2026-01-31","assets":{"linux/amd64":"https://example.com/1.2.3/linux-amd64"}}'`, printable.QuoteShell(base+"/api/v1/products/"+name+"/releases/v1.2.3"))}},
		After: "Create the token with relcheck token add pipeline --scope release."}, ID: "pipeline"}
}

// dns returns the entries of the name server, and commands that check the answers.
func (d *ConnectData) dns() []Code {
	base, err := url.Parse(d.Base)
	if err != nil || len(d.Hosts) == 0 {
		return nil
	}
	to, port := base.Hostname(), "443"
	if base.Scheme == "https" && base.Port() != "" {
		port = base.Port()
	}
	zone, check := Code{Text: "In a response policy zone of BIND or Unbound:"}, Code{Text: "To check the answers before that:"}
	format := "%[1]s CNAME %[2]s.\n"
	if address := strings.Replace(to, "localhost", "127.0.0.1", 1); net.ParseIP(address) != nil {
		zone.Text, format, to = "In /etc/hosts:", "%[2]s %[1]s\n", address
	}
	for _, h := range d.Hosts {
		name, asked, found := strings.Cut(h.Name, ":")
		if !found {
			asked = "443"
		}
		if line := fmt.Sprintf(format, name, to); !strings.Contains(zone.Code, line) {
			zone.Code += line
		}
		if h.Try != "" {
			check.Code += fmt.Sprintf("curl -sSi --connect-to %s %s\n", printable.QuoteShell(name+":"+asked+":"+net.JoinHostPort(to, port)), printable.QuoteShell("https://"+h.Name+h.Try))
		}
	}
	return []Code{zone, check}
}

// Variable returns the name of a product as environment variables spell it.
func Variable(name string) string {
	return strings.ToUpper(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, name))
}
