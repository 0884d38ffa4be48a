package pages

import (
	"fmt"
	"strings"

	"relcheck/checker/catalog"
	"relcheck/checker/printable"
)

// ConnectData is the data of the page that explains how to point clients to the service.
type ConnectData struct {
	Base     string            // URL of the service
	Product  *catalog.Product  // nil on the page about all products
	OPA      bool              // show how Open Policy Agent connects
	Products []catalog.Product // on the page about all products: those to link to
	More     bool              // there are more products than these
	Serves   bool              // the service serves files of releases
}

type connectPage struct {
	ConnectData
	Tabs    []link
	Clients []client
}

// client is a kind of client, with how to configure it.
type client struct{ ID, Title, Text, Code, After string }

// Connect renders the page that explains how to point clients to the service. It names
// other products only if the visitor may see the overview.
func Connect(v Visitor, d ConnectData) ([]byte, error) {
	page, title := connectPage{ConnectData: d}, "Connect a client"
	if d.OPA {
		page.Clients = opaClients(d.Base)
	}
	if d.OPA && d.Serves {
		page.Clients = append(page.Clients, opaDownloads)
	}
	if d.Product == nil {
		page.Clients = append(page.Clients, otherClients(d.Base, "PRODUCT", "Any other product")...)
	} else {
		title = "Connect " + d.Product.Title
		page.Clients = append(page.Clients, otherClients(d.Base, d.Product.Name, "Any program in Go")...)
		if v.Overview {
			page.Tabs = v.tabs(d.Product)
		}
	}
	return render("connect", v, title, page)
}

func opaClients(base string) []client {
	return []client{
		{"opa-reports", "Open Policy Agent v0.20 to v1.12", "Set one variable. Up to v1.6, OPA reports its version, platform, heap usage and a random instance ID. v1.7 to v1.12 only check for the latest release, and send their version and platform.",
			fmt.Sprintf("export OPA_TELEMETRY_SERVICE_URL=%s\nopa run --server", printable.QuoteShell(base)), "To see the answer at once, run opa version --check."},
		{"opa-asks", "Open Policy Agent v1.13 and later", "The variable has another name. These versions check for the latest release and send nothing about themselves.",
			fmt.Sprintf("export OPA_VERSION_CHECK_SERVICE_URL=%s\nopa run --server", printable.QuoteShell(base)), "If you run both generations, set both variables."},
	}
}

// opaDownloads explains how a service can answer the download links that Open Policy Agent
// makes itself.
var opaDownloads = client{"opa-downloads", "Download links of Open Policy Agent v1.7 and later",
	"These versions make the download link themselves: https://openpolicyagent.org/downloads/TAG/FILE. In a closed network, let your DNS resolve openpolicyagent.org to this service. It answers requests below /downloads/ with the files of the product opa. The service or its proxy needs a certificate for openpolicyagent.org that your machines trust.",
	`relcheck file fetch opa --platform linux/amd64 --files /srv/relcheck
relcheck serve --files /srv/relcheck --listen :443 \
  --tls-cert openpolicyagent.org.pem --tls-key openpolicyagent.org.key
curl -O https://openpolicyagent.org/downloads/v1.7.0/opa_linux_amd64`,
	"The link to the release notes comes from the answer of the service. To show the notes here, run relcheck product set opa --notes-here."}

func otherClients(base, name, title string) []client {
	url, variable := base+"/p/"+name, strings.ToUpper(strings.Map(envRune, name))
	return []client{
		{"package", title, "The Go package reports in the background and can announce newer releases. It depends only on the standard library, google/uuid and x/mod/semver.",
			fmt.Sprintf(`import "relcheck/checker"

client := &checker.Client{
	Product:    %q,
	Version:    version,
	DefaultURL: %q,
}
client.Start(ctx) // returns at once`, name, base),
			fmt.Sprintf("Users can choose another service with %[1]s_TELEMETRY_SERVICE_URL, and turn reports off with %[1]s_DISABLE_TELEMETRY=1 or DO_NOT_TRACK=1.", variable)},
		{"github", "Clients of GitHub's API", "A client that looks up the latest release on GitHub gets an answer in the same format here. It sends nothing but its User-Agent header.",
			"curl " + printable.QuoteShell(url+"/repos/OWNER/REPO/releases/latest"), ""},
		{"curl", "With curl", "This report is like that of any client. The answer names the latest release.",
			fmt.Sprintf(`curl %s \
  -H 'Content-Type: application/json' \
  -d '{"id":"'$(uuidgen)'","version":"v1.0.0","os":"linux","arch":"amd64"}'`, printable.QuoteShell(url+"/v1/version")),
			"The fields os and arch are for clients that cannot send their platform as in User-Agent: App/1.0 (linux, amd64). To follow a channel, add @ and its name to the product, as in " + url + "@stable."},
		{"pipeline", "A release pipeline", "Publish a release with a token of scope release. Clients are then offered the release. Fields that you leave out keep their values or come from the product's templates. DELETE withdraws the release.",
			fmt.Sprintf(`curl -X PUT %s \
  -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \
  -d '{"date":"2026-01-31","assets":{"linux/amd64":"https://example.com/1.2.3/linux-amd64"}}'`, printable.QuoteShell(base+"/api/v1/products/"+name+"/releases/v1.2.3")),
			"Create the token with relcheck token add pipeline --scope release."},
	}
}

// envRune replaces runes that may not be in the name of an environment variable.
func envRune(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
		return r
	}
	return '_'
}
