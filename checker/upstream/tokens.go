package upstream

import (
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"strings"
)

// Tokens are the access tokens of upstreams, by host. The host includes the port if the
// upstream's URL has one. A token is never sent to another host.
type Tokens map[string]string

// gitHubHost is the host of [GitHubAPI].
const gitHubHost = "api.github.com"

var (
	tokenPattern = regexp.MustCompile(`^[!-~]{1,1000}$`)
	hostPattern  = regexp.MustCompile(`^[A-Za-z0-9.\-:\[\]]{1,255}$`)
)

// ParseTokens parses a file of tokens. Each line is HOST TOKEN, or only the token of
// GitHub. Empty lines and lines that begin with # are ignored. Errors do not contain
// tokens.
func ParseTokens(text string) (Tokens, error) {
	tokens := Tokens{}
	number := 0
	for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		number++
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		host, token := gitHubHost, fields[len(fields)-1]
		if len(fields) == 2 {
			host = strings.ToLower(fields[0])
		}
		switch {
		case len(fields) > 2, !hostPattern.MatchString(host), !tokenPattern.MatchString(token):
			return nil, fmt.Errorf("line %d is neither HOST TOKEN nor the token of %s", number, gitHubHost)
		case tokens[host] != "":
			return nil, fmt.Errorf("line %d is a second token for the same host", number)
		}
		tokens[host] = token
	}
	return tokens, nil
}

// With returns the tokens and adds a token of GitHub, unless it is empty or t has one.
func (t Tokens) With(gitHub string) (Tokens, error) {
	if gitHub = strings.TrimSpace(gitHub); gitHub == "" || t[gitHubHost] != "" {
		return t, nil
	}
	if !tokenPattern.MatchString(gitHub) {
		return t, fmt.Errorf("the token of %s contains a space or another invalid character", gitHubHost)
	}
	all := Tokens{gitHubHost: gitHub}
	maps.Copy(all, t)
	return all, nil
}

// of returns the token for a URL, or "".
func (t Tokens) of(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return t[strings.ToLower(u.Host)]
}
