package command_test

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

// signIn opens a link of the first server at this one, and returns the cookie.
func (p *process) signIn(t *testing.T, link string, headers ...string) (*http.Response, *http.Cookie) {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequest("GET", p.url+u.RequestURI(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
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

// signedIn asks whether the cookie counts at this server.
func (p *process) signedIn(t *testing.T, c *http.Cookie) bool {
	res, _ := p.signIn(t, "/sign-in", "Cookie", c.Name+"="+c.Value)
	return res.StatusCode == http.StatusSeeOther
}

// Of the bytes of a token nothing is ever in the store's files, nor in the logs.
func TestTokenIsKeptNowhere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store := filepath.Join(dir, "relcheck.db")
	s := serve(t, store)
	link := strings.TrimPrefix(s.line(t), "sign in at ")
	first := link[strings.LastIndexByte(link, '=')+1:]
	second := strings.TrimSpace(relcheck(t, "token", "add", "second", "--db", store))
	for _, token := range []string{first, second} {
		if res, c := s.signIn(t, "/sign-in?token="+token); res.StatusCode != http.StatusSeeOther || c == nil {
			t.Fatalf("signing in gives %s", res.Status)
		}
		s.signIn(t, "/sign-in?token="+token+"x", "Authorization", "Bearer "+token, "Cookie", "relcheck="+token, "Referer", link)
		s.signIn(t, "/sign-in/"+token)
	}
	time.Sleep(1500 * time.Millisecond) // until it is kept that they were used
	search(t, dir, first, second)
	out := s.stop(t)
	search(t, dir, first, second)
	for _, token := range []string{first, second} {
		if secret := token[13:]; strings.Contains(out, secret) || strings.Contains(s.errs.String(), secret) {
			t.Errorf("it is logged: %s%s", out, s.errs.String())
		}
	}
	if !strings.Contains(s.errs.String(), `"msg":"stopped"`) {
		t.Errorf("the log is not whole: %s", s.errs.String())
	}
}

// search looks for tokens in all files of a store. Another process has them open.
func search(t *testing.T, dir string, tokens ...string) {
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
	for _, token := range tokens {
		secret, hash := token[13:], sha256.Sum256([]byte(token))
		bits, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ToUpper(secret))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(all, []byte(secret)) || bytes.Contains(bytes.ToLower(all), []byte(secret)) || bytes.Contains(all, bits) {
			t.Errorf("the token %s is in one of %v", token, files)
		}
		if !bytes.Contains(all, hash[:]) { // so that this looks where it should
			t.Errorf("the hash of token %s is in none of %v", token, files)
		}
	}
}

// Of servers that share a store one prints the link. It signs in at all of them,
// and all of them notice when it is revoked.
func TestServersShareTokens(t *testing.T) {
	name := database(t)
	servers := make([]*process, 3)
	var wg sync.WaitGroup
	for i := range servers {
		wg.Go(func() { servers[i] = serve(t, name) })
	}
	wg.Wait()
	id := ""
	var cookie *http.Cookie
	var links []string
	for deadline := time.Now().Add(eventually); id == "" && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if lines := strings.Split(relcheck(t, "token", "list", "--db", name), "\n"); len(lines) > 2 {
			id = strings.Fields(lines[1])[0]
		}
	}
	link := strings.TrimSpace(relcheck(t, "token", "add", "shared", "--link", "--db", name))
	shared := strings.Split(link, "_")[1]
	if _, cookie = servers[0].signIn(t, link); cookie == nil {
		t.Fatal("the link does not sign in")
	}
	for i, s := range servers {
		if !s.signedIn(t, cookie) {
			t.Errorf("server %d does not know who signed in at another", i)
		}
	}
	relcheck(t, "token", "revoke", shared, "--db", name)
	for i, s := range servers {
		until(t, fmt.Sprintf("server %d knows that the token was revoked", i), func() bool { return !s.signedIn(t, cookie) })
		if line, ok := strings.CutPrefix(s.stop(t), "sign in at "); ok {
			links = append(links, line)
		}
	}
	if len(links) != 1 || !strings.Contains(links[0], "rcr_"+id+"_") {
		t.Errorf("the links of token %s: %q", id, links)
	}
}

// notes adds a token, and returns what is said about it beside the token.
func notes(t *testing.T, store string, args ...string) string {
	t.Helper()
	cmd := exec.Command(os.Args[0], append([]string{"token", "add", "--db", store}, args...)...)
	cmd.Env = environment("relcheck")
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, &said)
	}
	return said.String()
}

// Nobody is surprised by where a link leads, or by two tokens of one name.
func TestTokenNotes(t *testing.T) {
	store := filepath.Join(t.TempDir(), "relcheck.db")
	for _, c := range []struct {
		args         []string
		base, tokens bool
	}{
		{[]string{"ann"}, false, false},
		{[]string{"bob", "--link"}, true, false},
		{[]string{"eve", "--link", "--base-url", "http://localhost:8080"}, false, false},
		{[]string{"ann"}, false, true},
	} {
		said := notes(t, store, c.args...)
		if got := strings.Contains(said, "--base-url"); got != c.base {
			t.Errorf("%v: %s", c.args, said)
		}
		if got := strings.Contains(said, "another token of this name"); got != c.tokens {
			t.Errorf("%v: %s", c.args, said)
		}
	}
	for _, line := range strings.Split(relcheck(t, "token", "list", "--db", store), "\n") {
		if f := strings.Fields(line); len(f) > 1 && f[1] == "ann" {
			relcheck(t, "token", "revoke", f[0], "--db", store)
		}
	}
	if said := notes(t, store, "ann"); strings.Contains(said, "another token") {
		t.Errorf("one that was revoked counts: %s", said)
	}
}
