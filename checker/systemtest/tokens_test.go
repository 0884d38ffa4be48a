package systemtest

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// visit sends a request as a browser does that has the cookie of the sign-in form, and
// returns the session cookie in the response.
func (p *process) visit(t *testing.T, method, path string, form url.Values, headers ...string) (*http.Response, *http.Cookie) {
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

// signIn signs in with a token or a link.
func (p *process) signIn(t *testing.T, text string) *http.Cookie {
	t.Helper()
	res, c := p.visit(t, "POST", "/sign-in", url.Values{"token": {text}})
	if res.StatusCode != http.StatusSeeOther || c == nil {
		t.Fatalf("sign-in: got %s, want 303 with a cookie", res.Status)
	}
	return c
}

// signedIn reports whether the server accepts a cookie.
func (p *process) signedIn(t *testing.T, c *http.Cookie) bool {
	res, _ := p.visit(t, "GET", "/sign-in", nil, "Cookie", c.Name+"="+c.Value)
	return res.StatusCode == http.StatusSeeOther
}

// TestTokensAreNotStored checks that no token, link or session is written to the store's
// files or the logs.
func TestTokensAreNotStored(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store := filepath.Join(dir, "relcheck.db")
	s := serve(t, store)
	secretOf := func(link string) string { return link[strings.LastIndexByte(link, '=')+1:] }
	first := strings.TrimPrefix(s.line(t), "sign in at ")
	used, unused := secretOf(first), secretOf(strings.TrimSpace(relcheck(t, "token", "link", "--db", store)))
	token := strings.TrimSpace(relcheck(t, "token", "add", "second", "--db", store))
	secrets, valid := []string{used, unused, token}, []string{unused, token}
	for _, text := range []string{first, token} {
		c := s.signIn(t, text)
		secrets, valid = append(secrets, c.Value), append(valid, c.Value)
		if text == first { // of an admin token
			made := s.newToken(t, c)
			secrets, valid = append(secrets, made), append(valid, made)
		}
		s.visit(t, "GET", "/sign-in?link="+secretOf(text)+"x", nil, "Authorization", "Bearer "+text, "Cookie", "relcheck="+c.Value, "Referer", first)
	}
	for _, text := range secrets {
		s.visit(t, "GET", "/sign-in?link="+text, nil)
		s.visit(t, "GET", "/sign-in/"+text, nil)
	}
	waitFor(t, "last use of a token", func() bool {
		return lastUse.MatchString(relcheck(t, "token", "list", "--db", store))
	})
	checkSecrets(t, dir, secrets, valid)
	out := s.stop(t)
	checkSecrets(t, dir, secrets, valid)
	for i, text := range secrets {
		if secret := text[strings.LastIndexByte(text, '_')+1:]; strings.Contains(s.errs.String(), secret) || strings.Contains(out, secret) && i > 0 {
			t.Errorf("got secret %d in the output or log: %s%s", i, out, s.errs.String())
		}
	}
	if !strings.Contains(s.errs.String(), `"msg":"stopped"`) {
		t.Errorf("got a log without its end: %s", s.errs.String())
	}
}

// newToken adds a token on the page of tokens, and returns it.
func (p *process) newToken(t *testing.T, session *http.Cookie) string {
	t.Helper()
	res, notice := p.visit(t, "POST", "/manage/tokens", url.Values{"form": {"add"}, "name": {"third"}, "scope": {"read"}}, "Cookie", session.Name+"="+session.Value)
	if notice == nil {
		t.Fatalf("add a token: got %s, want a cookie with it", res.Status)
	}
	text, err := base64.RawURLEncoding.DecodeString(notice.Value)
	token := regexp.MustCompile(`rcr_\w+`).FindString(string(text))
	if err != nil || token == "" {
		t.Fatalf("add a token: got cookie %s and error %v, want a token in it", text, err)
	}
	return token
}

// lastUse matches the hour of the last use in the list of tokens.
var lastUse = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\dh`)

// checkSecrets searches all files of a store for secrets. It also checks that the hashes
// of valid ones are found.
func checkSecrets(t *testing.T, dir string, secrets, valid []string) {
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
			t.Errorf("got secret %s in one of %v, want it in none", text, files)
		}
	}
	for _, text := range valid { // otherwise, the search is wrong
		if hash := sha256.Sum256([]byte(text)); !bytes.Contains(all, hash[:]) {
			t.Errorf("got the hash of %s in none of %v, want it in one", text, files)
		}
	}
}

// TestServersShareSessions checks servers with one store: one of them prints the first
// link, and a link works on any of them, once, and signs in on all. All notice when a
// session ends, by signing out or because its token was revoked.
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
	if res, _ := servers[2].visit(t, "POST", "/sign-in", url.Values{"token": {link}}); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("link used on another server: got %s, want 401", res.Status)
	}
	for i, s := range servers {
		if !s.signedIn(t, out) || !s.signedIn(t, cookie) {
			t.Errorf("server %d: got a session of another server rejected, want it accepted", i)
		}
	}
	if res, _ := servers[2].visit(t, "POST", "/sign-out", url.Values{}, "Cookie", out.Name+"="+out.Value); res.StatusCode != http.StatusSeeOther {
		t.Errorf("sign-out: got %s, want 303", res.Status)
	}
	for i, s := range servers {
		waitFor(t, fmt.Sprintf("end of the session on server %d", i), func() bool { return !s.signedIn(t, out) })
		if !s.signedIn(t, cookie) {
			t.Errorf("server %d: got another session of the token rejected, want it accepted", i)
		}
	}
	revoked, id := newLink(), ""
	for _, line := range strings.Split(relcheck(t, "token", "list", "--db", name), "\n") {
		if f := strings.Fields(line); len(f) > 1 && f[1] == "shared" {
			id += f[0]
		}
	}
	relcheck(t, "token", "revoke", id, "--db", name)
	if res, _ := servers[0].visit(t, "POST", "/sign-in", url.Values{"token": {revoked}}); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("link of a revoked token: got %s, want 401", res.Status)
	}
	var links []string
	for i, s := range servers {
		waitFor(t, fmt.Sprintf("end of the revoked token's session on server %d", i), func() bool { return !s.signedIn(t, cookie) })
		if line, ok := strings.CutPrefix(s.stop(t), "sign in at "); ok {
			links = append(links, line)
		}
	}
	if len(links) != 1 || !strings.Contains(links[0], "/sign-in?link=rcl_") {
		t.Errorf("got links %q, want one", links)
	}
}

// tokenHints runs a command about tokens and returns its standard error.
func tokenHints(t *testing.T, store string, args ...string) string {
	t.Helper()
	cmd := exec.Command(os.Args[0], append([]string{"token", "--db", store}, args...)...)
	cmd.Env = environment("relcheck")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, &errs)
	}
	return errs.String()
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
		hints := tokenHints(t, store, c.args...)
		if got := strings.Contains(hints, "--base-url"); got != c.base {
			t.Errorf("%v: got hints %s, want %+v", c.args, hints, c)
		}
		if got := strings.Contains(hints, "added token"); got != c.added {
			t.Errorf("%v: got hints %s, want %+v", c.args, hints, c)
		}
	}
}
