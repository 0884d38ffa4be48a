package systemtest

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// getOnNewConn sends a request as a browser does that has a sign-in form, and returns the cookie
// of the session that it starts.
func (p *process) ask(t *testing.T, method, path string, form url.Values, headers ...string) (*http.Response, *http.Cookie) {
	t.Helper()
	r, err := http.NewRequest(method, p.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.Header.Set("Cookie", "relcheck-form=1")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	for _, c := range res.Cookies() {
		return res, c
	}
	return res, nil
}

// signIn signs in by a token or a link.
func (p *process) signIn(t *testing.T, text string) *http.Cookie {
	t.Helper()
	res, c := p.ask(t, "POST", "/sign-in", url.Values{"token": {text}})
	if res.StatusCode != http.StatusSeeOther || c == nil {
		t.Fatalf("signing in gives %s", res.Status)
	}
	return c
}

// signedIn asks whether the cookie counts at this server.
func (p *process) signedIn(t *testing.T, c *http.Cookie) bool {
	res, _ := p.ask(t, "GET", "/sign-in", nil, "Cookie", c.Name+"="+c.Value)
	return res.StatusCode == http.StatusSeeOther
}

// Of the bytes of a token, a link or a session nothing is ever in the store's files,
// nor in the logs.
func TestTokensAreNotStored(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store := filepath.Join(dir, "relcheck.db")
	s := serve(t, store)
	secretOf := func(link string) string { return link[strings.LastIndexByte(link, '=')+1:] }
	first := strings.TrimPrefix(s.line(t), "sign in at ")
	used, unused := secretOf(first), secretOf(strings.TrimSpace(relcheck(t, "token", "link", "--db", store)))
	token := strings.TrimSpace(relcheck(t, "token", "add", "second", "--db", store))
	secrets, kept := []string{used, unused, token}, []string{unused, token}
	for _, text := range []string{first, token} {
		c := s.signIn(t, text)
		secrets, kept = append(secrets, c.Value), append(kept, c.Value)
		s.ask(t, "GET", "/sign-in?link="+secretOf(text)+"x", nil, "Authorization", "Bearer "+text, "Cookie", "relcheck="+c.Value, "Referer", first)
	}
	for _, text := range secrets {
		s.ask(t, "GET", "/sign-in?link="+text, nil)
		s.ask(t, "GET", "/sign-in/"+text, nil)
	}
	time.Sleep(1500 * time.Millisecond) // until it is kept that they were used
	checkSecrets(t, dir, secrets, kept)
	out := s.stop(t)
	checkSecrets(t, dir, secrets, kept)
	for i, text := range secrets {
		if secret := text[strings.LastIndexByte(text, '_')+1:]; strings.Contains(s.errs.String(), secret) || strings.Contains(out, secret) && i > 0 {
			t.Errorf("it is logged: %s%s", out, s.errs.String())
		}
	}
	if !strings.Contains(s.errs.String(), `"msg":"stopped"`) {
		t.Errorf("the log is not whole: %s", s.errs.String())
	}
}

// checkSecrets looks for secrets and their hashes in all files of a store.
func checkSecrets(t *testing.T, dir string, secrets, kept []string) {
	t.Helper()
	var all []byte
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	for _, text := range secrets {
		secret := text[strings.LastIndexByte(text, '_')+1:]
		bits, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ToUpper(secret))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(bytes.ToLower(all), []byte(secret)) || bytes.Contains(all, bits) {
			t.Errorf("the secret %s is in one of %v", text, files)
		}
	}
	for _, text := range kept { // so that this looks where it should
		if hash := sha256.Sum256([]byte(text)); !bytes.Contains(all, hash[:]) {
			t.Errorf("the hash of %s is in none of %v", text, files)
		}
	}
}

// Of servers that share a store one prints the link. A link can be used at any of them,
// once, and signs in at all of them. All notice that a session ends by signing out, or by
// revoking its token.
func TestServersShareSessions(t *testing.T) {
	name := database(t)
	servers := make([]*process, 3)
	var wg sync.WaitGroup
	for i := range servers {
		wg.Go(func() { servers[i] = serve(t, name) })
	}
	wg.Wait()
	newLink := func() string { return strings.TrimSpace(relcheck(t, "token", "link", "shared", "--db", name)) }
	link := newLink()
	out, cookie := servers[0].signIn(t, link), servers[1].signIn(t, newLink())
	if res, _ := servers[2].ask(t, "POST", "/sign-in", url.Values{"token": {link}}); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("a link that was used at one server gives %s at another one", res.Status)
	}
	for i, s := range servers {
		if !s.signedIn(t, out) || !s.signedIn(t, cookie) {
			t.Errorf("server %d does not know who signed in at another", i)
		}
	}
	if res, _ := servers[2].ask(t, "POST", "/sign-out", url.Values{}, "Cookie", out.Name+"="+out.Value); res.StatusCode != http.StatusSeeOther {
		t.Errorf("signing out gives %s", res.Status)
	}
	for i, s := range servers {
		waitFor(t, fmt.Sprintf("server %d knows that the session was ended", i), func() bool { return !s.signedIn(t, out) })
		if !s.signedIn(t, cookie) {
			t.Errorf("server %d has ended another session of the token", i)
		}
	}
	revoked, id := newLink(), ""
	for _, line := range strings.Split(relcheck(t, "token", "list", "--db", name), "\n") {
		if f := strings.Fields(line); len(f) > 1 && f[1] == "shared" {
			id += f[0]
		}
	}
	relcheck(t, "token", "revoke", id, "--db", name)
	if res, _ := servers[0].ask(t, "POST", "/sign-in", url.Values{"token": {revoked}}); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("a link of a revoked token gives %s", res.Status)
	}
	var links []string
	for i, s := range servers {
		waitFor(t, fmt.Sprintf("server %d knows that the token was revoked", i), func() bool { return !s.signedIn(t, cookie) })
		if line, ok := strings.CutPrefix(s.stop(t), "sign in at "); ok {
			links = append(links, line)
		}
	}
	if len(links) != 1 || !strings.Contains(links[0], "/sign-in?link=rcl_") {
		t.Errorf("the links are %q", links)
	}
}

// tokenHints runs a command about tokens, and returns what it prints beside the result.
func tokenHints(t *testing.T, store string, args ...string) string {
	t.Helper()
	cmd := exec.Command(os.Args[0], append([]string{"token", "--db", store}, args...)...)
	cmd.Env = environment("relcheck")
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, &said)
	}
	return said.String()
}

// TestTokenHints checks the hints about the URL of a link, and about a new token.
func TestTokenHints(t *testing.T) {
	store := filepath.Join(t.TempDir(), "relcheck.db")
	for _, c := range []struct {
		args        []string
		base, added bool
	}{
		{[]string{"add", "ann"}, false, true},
		{[]string{"link", "ann"}, true, false},
		{[]string{"link", "bob"}, true, true},
		{[]string{"link", "bob", "--base-url", "http://localhost:8080"}, false, false},
		{[]string{"link"}, true, true},
		{[]string{"add", "ann"}, false, true},
	} {
		said := tokenHints(t, store, c.args...)
		if got := strings.Contains(said, "--base-url"); got != c.base {
			t.Errorf("%v: %s", c.args, said)
		}
		if got := strings.Contains(said, "added token"); got != c.added {
			t.Errorf("%v: %s", c.args, said)
		}
	}
}
