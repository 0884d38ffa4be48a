package server

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"relcheck/checker/access"
	"relcheck/checker/server/pages"
)

// maxForm is the size of the largest form for signing in, in bytes: that of a token, with the
// values of a form that was refused without a session.
const maxForm = 16<<10 + maxPatch

// showSignIn answers GET /sign-in. A sign-in link leads to a form that confirms it, because
// link scanners and other sites can also send a GET request. Without a link, the form asks
// for a token.
func (s *Server) showSignIn(w http.ResponseWriter, r *http.Request, id identity) error {
	private(w.Header())
	q := r.URL.Query()
	if link := q.Get("link"); link != "" {
		return s.confirmPage(w, r, id, access.Normalize(link), nil)
	}
	if id.role == reader {
		http.Redirect(w, r, s.localURL(q.Get("next")), http.StatusSeeOther)
		return nil
	}
	return s.signInPage(w, r, id, nil)
}

// signIn answers POST /sign-in: the form with a token or the secret of a link. The field
// may also contain the URL of a link.
func (s *Server) signIn(w http.ResponseWriter, r *http.Request, id identity) error {
	private(w.Header())
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return unreadableForm(err)
	}
	text := r.PostForm.Get("token")
	text = access.Normalize(text[strings.LastIndexByte(text, '=')+1:])
	if f := s.checkForm(r); f != nil {
		return s.confirmPage(w, r, id, text, f)
	}
	link := ""
	look := s.verifyToken
	if access.IsLink(text) {
		link, look = text, s.verifyLink
	}
	t, err := look(r, text)
	if err == nil && !canSignIn(t) {
		err = insufficientScope(t, access.Read)
	}
	if err == nil {
		err = s.startSession(w, r, id, t, link)
	}
	if err != nil {
		return s.refuse(w, r, id, err)
	}
	next := s.localURL(r.PostForm.Get("next"))
	if next == s.root+"/" && !t.Allows(access.Read) {
		next = s.root + "/manage"
	}
	if page := (pages.SignInData{Next: next, Kept: keptValues(pages.KeptPrefix, r.PostForm)}); len(page.Kept) > 0 {
		signedIn := identity{token: t, signedIn: true}
		return s.sendPage(w, r, signedIn, http.StatusOK, func(v pages.Visitor) ([]byte, error) { return pages.SendForm(v, page) })
	}
	http.Redirect(w, r, next, http.StatusSeeOther)
	return nil
}

// maxFormValues is the maximum number of values of a form that is kept: some more than the largest
// form of package manage has.
const maxFormValues = 100

// keptValues returns the values of a form whose names begin with a prefix, without it.
func keptValues(prefix string, sent url.Values) (all []pages.KeptValue) {
	if len(sent) > maxFormValues {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(sent)) {
		if kept, ok := strings.CutPrefix(name, prefix); ok {
			all = append(all, pages.KeptValue{Name: kept, Value: sent.Get(name)})
		}
	}
	return all
}

// refusedValues returns the values of a form of package manage that was refused without a
// session. One of another origin is refused before, so it is not kept.
func refusedValues(w http.ResponseWriter, r *http.Request) []pages.KeptValue {
	r.Body = http.MaxBytesReader(w, r.Body, maxPatch)
	if r.Method != http.MethodPost || r.ParseForm() != nil {
		return nil
	}
	return keptValues("", r.PostForm)
}

// signOut answers POST /sign-out. It removes the cookie only if the browser has sent it,
// which a page of another site cannot make it do.
func (s *Server) signOut(w http.ResponseWriter, r *http.Request, id identity) error {
	private(w.Header())
	if s.isForeignForm(r) {
		return crossOrigin()
	}
	if id.session != "" {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), storeTimeout)
		defer cancel()
		if err := s.endSession(ctx, id.session); err != nil {
			return s.cannotVerify(err)
		}
		s.setCookie(w, r, sessionCookie, "", -1)
	}
	http.Redirect(w, r, s.root+"/", http.StatusSeeOther)
	return nil
}

// isForeignForm reports whether a page of another site made a browser send a form. Over
// plain HTTP it cannot always know: browsers then send no Sec-Fetch-Site, and they send
// "Origin: null" also for forms of this server, because its pages have the referrer policy
// no-referrer. In that case the SameSite cookies protect.
func (s *Server) isForeignForm(r *http.Request) bool {
	if r.Header.Get("Origin") == "null" && r.Header.Get("Sec-Fetch-Site") == "" {
		return false
	}
	return s.auth.crossOrigin.Check(r) != nil
}

// checkForm returns why a sign-in form is not accepted, or nil. The cookie of the form
// shows that this server has sent the form, and that the browser will return the cookie
// of the session.
func (s *Server) checkForm(r *http.Request) *failure {
	if s.isForeignForm(r) {
		return crossOrigin()
	}
	if _, err := r.Cookie(s.cookieName(r, formCookie)); err != nil {
		return fail(http.StatusForbidden, "no_cookie", "", "the browser did not return the cookie of the sign-in form; open "+s.options.Base+"/sign-in in a browser, or send the token as Authorization: Bearer TOKEN")
	}
	return nil
}

func (s *Server) verifyLink(r *http.Request, link string) (*access.Token, error) {
	malformed := !access.IsLink(link)
	t, err := s.lookUp(r, malformed, func(ctx context.Context) (*access.Token, error) {
		if malformed {
			return nil, nil
		}
		return s.store.Link(ctx, access.HashOf(link))
	})
	if err == nil && t == nil {
		err = invalidLink()
	}
	return t, err
}

func invalidLink() *failure {
	return fail(http.StatusUnauthorized, "invalid_link", "", "the sign-in link was used, has expired or is incomplete; create one with relcheck token link")
}

// localURL returns the URL to go to after signing in: next if every browser treats it as
// a URL of this server, otherwise the start page.
func (s *Server) localURL(next string) string {
	u, err := url.Parse(next)
	clean := ""
	if err == nil {
		clean = path.Clean(u.Path)
	}
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" || strings.ContainsRune(next, '\\') ||
		!strings.HasPrefix(next, "/") || strings.HasPrefix(u.Path, "//") || !strings.HasPrefix(clean+"/", s.root+"/") || clean == s.root+"/sign-in" || clean == s.root+"/sign-out" {
		return s.root + "/"
	}
	return u.RequestURI()
}

// confirmPage sends the form that asks whether to sign in with a link. It does not use the
// link. f is the error of the previous attempt, or nil.
func (s *Server) confirmPage(w http.ResponseWriter, r *http.Request, id identity, link string, f *failure) error {
	if f != nil && (!wantsPage(r) || !access.IsLink(link)) {
		return s.refuse(w, r, id, f)
	}
	t, err := s.verifyLink(r, link)
	if err != nil {
		return s.refuse(w, r, id, err)
	}
	page, status := s.newSignInData(w, r, f)
	page.Link, page.Token = link, t
	if page.HTTPS != "" {
		page.HTTPS += "?" + url.Values{"link": {link}, "next": {page.Next}}.Encode()
	}
	return s.sendPage(w, r, id, status, func(v pages.Visitor) ([]byte, error) { return pages.ConfirmSignIn(v, page) })
}

// signInPage sends the form for a token, with the error of the previous attempt if there
// is one.
func (s *Server) signInPage(w http.ResponseWriter, r *http.Request, id identity, f *failure) error {
	page, status := s.newSignInData(w, r, f)
	return s.sendPage(w, r, id, status, func(v pages.Visitor) ([]byte, error) { return pages.SignIn(v, page) })
}

// newSignInData returns the data of both forms, and the status. It sets the cookie that
// [Server.checkForm] expects.
func (s *Server) newSignInData(w http.ResponseWriter, r *http.Request, f *failure) (pages.SignInData, int) {
	page, status := pages.SignInData{Next: s.root + "/", Base: s.options.Base}, http.StatusOK
	switch {
	case r.URL.Path == "/sign-in":
		page.Next, page.Kept = s.localURL(r.FormValue("next")), keptValues(pages.KeptPrefix, r.PostForm)
	case r.Method == http.MethodGet, strings.HasPrefix(r.URL.Path, "/manage"): // a form has the URL of its page
		page.Next, page.Kept = s.localURL(s.root+r.URL.RequestURI()), refusedValues(w, r)
	}
	if f != nil {
		page.Error, status = f.code, f.status
	}
	if page.Error == "insufficient_scope" {
		page.Text = f.message
	}
	switch {
	case f != nil && f.scope != "":
		page.Scope = f.scope
	case strings.HasPrefix(page.Next, s.root+"/manage"):
		page.Scope = access.Admin
	}
	if s.needsHTTPS(r, f) {
		page.HTTPS = s.options.Base + "/sign-in"
	}
	if _, err := r.Cookie(s.cookieName(r, formCookie)); err != nil {
		s.setCookie(w, r, formCookie, "1", 0)
	}
	return page, status
}

// needsHTTPS reports whether a browser seems to use plain HTTP although the base URL is
// https. The browser then drops the cookies. Current browsers send Sec-Fetch-Site over
// HTTPS only, and most proxies send the scheme in X-Forwarded-Proto.
func (s *Server) needsHTTPS(r *http.Request, f *failure) bool {
	if r.TLS != nil || !strings.HasPrefix(s.options.Base, "https://") {
		return false
	}
	if _, err := r.Cookie(s.cookieName(r, formCookie)); err == nil { // browsers return it over HTTPS only
		return false
	}
	dropped := f != nil && f.code == "no_cookie"
	return dropped || r.Header.Get("Sec-Fetch-Site") == "" && r.Header.Get("X-Forwarded-Proto") != "https"
}
