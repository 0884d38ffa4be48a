package server

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"relcheck/checker/access"
	"relcheck/checker/server/inbound"
)

const (
	// sessionDays is how long a browser stays signed in.
	sessionDays = 30
	// maxForm bounds the form by which people sign in, in bytes.
	maxForm = 16 << 10
)

// sessions makes and reads the cookies of those who have signed in. A cookie
// says which token its owner had and until when that counts, and is keyed with
// the store's secret: every server on the store knows it as its own.
type sessions struct{ key []byte }

// cookie returns a cookie's value.
func (s sessions) cookie(id string, until time.Time) string {
	says := id + "." + strconv.FormatInt(until.Unix(), 10)
	return says + "." + base64.RawURLEncoding.EncodeToString(s.sign(says))
}

func (s sessions) sign(says string) []byte {
	h := hmac.New(sha256.New, s.key)
	h.Write([]byte("relcheck session 1\x00" + says))
	return h.Sum(nil)
}

// read returns the id of the token that a cookie was given for, or "" when it
// is not one of ours, or no longer counts.
func (s sessions) read(cookie string, now time.Time) string {
	end := strings.LastIndexByte(cookie, '.')
	if end < 0 {
		return ""
	}
	sum, err := base64.RawURLEncoding.Strict().DecodeString(cookie[end+1:])
	if err != nil || !hmac.Equal(sum, s.sign(cookie[:end])) {
		return ""
	}
	id, until, _ := strings.Cut(cookie[:end], ".")
	if at, err := strconv.ParseInt(until, 10, 64); err != nil || now.Unix() >= at {
		return ""
	}
	return id
}

// What the cookie is called. Browsers take one whose name begins with __Host-
// over TLS only, and from the host itself only.
const (
	plainCookie  = "relcheck"
	secureCookie = "__Host-relcheck"
)

// secure tells whether the browser reaches the server over TLS, be it by a proxy.
func (s *Server) secure(r *http.Request) bool {
	return r.TLS != nil || strings.HasPrefix(s.options.Base, "https://")
}

func (s *Server) cookieName(r *http.Request) string {
	if s.secure(r) {
		return secureCookie
	}
	return plainCookie
}

// session returns the id of the token that a request's cookie was given for, or "".
func (s *Server) session(r *http.Request) string {
	for _, c := range r.CookiesNamed(s.cookieName(r)) {
		if id := s.gate.sessions.read(c.Value, time.Now()); id != "" {
			return id
		}
	}
	return ""
}

// setCookie gives the cookie to a browser; one without a value is taken back.
func (s *Server) setCookie(w http.ResponseWriter, r *http.Request, value string) {
	c := http.Cookie{
		Name: s.cookieName(r), Value: value, Path: "/", MaxAge: sessionDays * 24 * 60 * 60,
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: s.secure(r),
	}
	if value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, &c)
}

// signInByLink answers GET /sign-in: with a token it signs in, else it shows
// the form.
func (s *Server) signInByLink(w http.ResponseWriter, r *http.Request) error {
	private(w.Header())
	q := r.URL.Query()
	if text := q.Get("token"); text != "" && r.Method == http.MethodGet {
		return s.signIn(w, r, text, local(q.Get("next")))
	}
	if s.audience(r) == reader {
		http.Redirect(w, r, local(q.Get("next")), http.StatusSeeOther)
		return nil
	}
	return s.signInPage(w, r, http.StatusOK)
}

// signInByForm answers POST /sign-in. The field may hold the whole link.
func (s *Server) signInByForm(w http.ResponseWriter, r *http.Request) error {
	private(w.Header())
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return fail(http.StatusBadRequest, "invalid_form", "", "the form cannot be read; send the field token")
	}
	inbound.Received(r.Context())
	text := r.PostForm.Get("token")
	text = text[strings.LastIndexByte(text, '=')+1:]
	return s.signIn(w, r, text, local(r.PostForm.Get("next")))
}

func (s *Server) signIn(w http.ResponseWriter, r *http.Request, text, next string) error {
	t, err := s.verify(r, text)
	if err == nil && !t.Allows(access.Read) {
		err = tooSmall(t, access.Read)
	}
	if err != nil {
		return s.refuse(w, r, err)
	}
	s.setCookie(w, r, s.gate.sessions.cookie(t.ID, time.Now().AddDate(0, 0, sessionDays)))
	if fromElsewhere(r) { // a redirect would be followed without the cookie, for it is strict
		w.Header().Set("Refresh", "0; url="+next)
		return s.render(w, r, http.StatusOK, "signedin", "Signed in", signInData{Next: next})
	}
	http.Redirect(w, r, next, http.StatusSeeOther)
	return nil
}

// signOut answers POST /sign-out.
func (s *Server) signOut(w http.ResponseWriter, r *http.Request) error {
	private(w.Header())
	s.setCookie(w, r, "")
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

// fromElsewhere tells whether a browser follows a link on a page of another
// site. It then sends no strict cookies, and none either where it is redirected to.
func fromElsewhere(r *http.Request) bool {
	if r.Method != http.MethodGet {
		return false
	}
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" { // over TLS and on loopback
		return site != "same-origin" && site != "none"
	}
	from, err := url.Parse(r.Referer())
	return err == nil && from.Host != "" && from.Host != r.Host
}

// local returns where to go on after signing in: next if that is a place on this
// server, whichever way a browser may read it, or else the root.
func local(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" || strings.ContainsRune(next, '\\') ||
		!strings.HasPrefix(next, "/") || strings.HasPrefix(u.Path, "//") || u.Path == "/sign-in" || u.Path == "/sign-out" {
		return "/"
	}
	return u.RequestURI()
}

// signInData is what the page on which people sign in is made from.
type signInData struct {
	Message string
	Next    string // where to go on
}

// signInPage shows the page on which people sign in, with what is wrong if the
// status tells so.
func (s *Server) signInPage(w http.ResponseWriter, r *http.Request, status int) error {
	page, given := signInData{Next: "/"}, r.URL.Path == "/sign-in"
	switch {
	case given:
		page.Next = local(r.FormValue("next"))
	case r.Method == http.MethodGet:
		page.Next = local(r.URL.RequestURI())
	}
	switch {
	case status == http.StatusUnauthorized && given:
		page.Message = "This token is not valid, or was revoked."
	case status == http.StatusForbidden:
		page.Message = "This token is for releases, and lets see no figures."
	case status == http.StatusTooManyRequests:
		page.Message = "Too many tokens from your address were not valid. Try again in a minute."
	case status == http.StatusServiceUnavailable:
		page.Message = "The token cannot be looked up just now. Try again soon."
	}
	if status == http.StatusUnauthorized && !given && fromElsewhere(r) {
		// Who follows a link from elsewhere may be signed in all the same: the
		// cookie comes with what this page asks for.
		w.Header().Set("Refresh", "0; url=/sign-in?next="+url.QueryEscape(page.Next))
	}
	return s.render(w, r, status, "signin", "Sign in", page)
}
