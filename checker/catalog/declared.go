package catalog

import (
	"regexp"
	"slices"
	"strings"
)

const (
	maxAliases  = 20
	maxHosts    = 20
	maxHost     = 253 // bytes of a DNS name
	maxDialects = 30
)

var (
	aliasPattern   = regexp.MustCompile(`^[A-Za-z0-9@._/-]{1,100}$`)
	dnsNamePattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*(:[0-9]{1,5})?$`)
)

// cleanDeclared sets the aliases, hosts and dialects of p to their canonical form, without
// duplicates.
func (p *Product) cleanDeclared() (err error) {
	p.Aliases, err = cleanList("aliases", p.Aliases, maxAliases, func(alias string) (string, error) {
		if !aliasPattern.MatchString(alias) {
			return "", fieldErrorf("aliases", "%q cannot be an alias: use 1 to 100 of A-Z a-z 0-9 @ . _ / -", alias)
		}
		return alias, nil
	})
	if err != nil {
		return err
	}
	if p.Hosts, err = cleanList("hosts", p.Hosts, maxHosts, cleanHost); err != nil {
		return err
	}
	p.Dialects, err = cleanList("dialects", p.Dialects, maxDialects, func(name string) (string, error) {
		switch {
		case name == "report" || name == "github":
			return "", fieldErrorf("dialects", "every product answers %s: leave it out", name)
		case !namePattern.MatchString(name):
			return "", fieldErrorf("dialects", "%q cannot be the name of a dialect: list them with relcheck dialect list", name)
		}
		return name, nil
	})
	return err
}

// cleanHost returns a host in lower case, without a final dot and a default port.
func cleanHost(text string) (string, error) {
	host := strings.ToLower(text)
	if name, port, _ := strings.Cut(host, ":"); port == "80" || port == "443" {
		host = name
	}
	host = strings.TrimSuffix(host, ".")
	if len(host) > maxHost || !dnsNamePattern.MatchString(host) {
		return "", fieldErrorf("hosts", "%q is not a host: give a DNS name such as updates.example.com, with a port if clients send one", text)
	}
	return host, nil
}

// cleanList returns the items of a list as clean returns them, each once. They are separated
// by spaces, and there are at most n.
func cleanList(field, list string, n int, clean func(string) (string, error)) (string, error) {
	var all []string
	for text := range strings.FieldsSeq(list) {
		item, err := clean(text)
		if err != nil {
			return "", err
		}
		if !slices.Contains(all, item) {
			all = append(all, item)
		}
	}
	if len(all) > n {
		return "", fieldErrorf(field, "there are %d; give at most %d", len(all), n)
	}
	return strings.Join(all, " "), nil
}
