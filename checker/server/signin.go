package server

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"relcheck/checker/access"
	"relcheck/checker/server/pages"
)

// maxForm is the size of the largest sign-in form, in bytes.
const maxForm = 16 << 10

// askToSignIn answers GET /sign-in: with a link by a form that confirms it, because
// link scanners and other sites can make a GET, else by a form for a token.
func (s *Server) askToSignIn(w http.ResponseWriter, r *http.Request, id identity) error {
	private(w.Header())
	q := r.URL.Query()
	if link := q.Get("link"); link != "" {
		return s.confirmPage(w, r, id, access.Normalize(link), nil)
	}
	if id.role == reader {
		http.Redirect(w, r, local(q.Get("next")), http.StatusSeeOther)
		return nil
	}
	return s.signInPage(w, r, id, nil)
}

// signIn answers POST /sign-in, the form with a token or with the secret of a link.
// The field may hold a whole link.
func (s *Server) signIn(w http.ResponseWriter, r *http.Request, id identity) error {
	private(w.Header())
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return fail(http.StatusBadRequest, "invalid_form", "", "the form cannot be read; send the field token")
	}
	text := r.PostForm.Get("token")
	text = access.Normalize(text[strings.LastIndexByte(text, '=')+1:])
	if f := s.mistrust(r); f != nil {
		return s.confirmPage(w, r, id, text, f)
	}
	link := ""
	look := s.verify
	if access.IsLink(text) {
		link, look = text, s.linked
	}
	t, err := look(r, text)
	if err == nil && !t.Allows(access.Read) {
		err = insufficientScope(t, access.Read)
	}
	if err == nil {
		err = s.startSession(w, r, id, t, link)
	}
	if err != nil {
		return s.refuse(w, r, id, err)
	}
	http.Redirect(w, r, local(r.PostForm.Get("next")), http.StatusSeeOther)
	return nil
}

// signOut answers POST /sign-out. Without a session it leaves the cookie alone: a
// page of another site cannot make the browser send it.
func (s *Server) signOut(w http.ResponseWriter, r *http.Request, id identity) error {
	private(w.Header())
	if s.foreign(r) {
		return crossOrigin()
	}
	if id.session != "" {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), patience)
		defer cancel()
		if err := s.endSession(ctx, id.session); err != nil {
			return s.unchecked(err)
		}
		s.setCookie(w, r, sessionCookie, "", -1)
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

// foreign reports whether a page of another site made a browser send a form. Over
// plain HTTP that is not always known: a browser sends no Sec-Fetch-Site then, and
// "Origin: null" also for forms of this server, whose pages have the referrer policy
// no-referrer. A SameSite=Strict cookie has to decide in that case.
func (s *Server) foreign(r *http.Request) bool {
	if r.Header.Get("Origin") == "null" && r.Header.Get("Sec-Fetch-Site") == "" {
		return false
	}
	return s.gate.crossOrigin.Check(r) != nil
}

// mistrust returns what keeps a sign-in form from being accepted, or nil. The cookie
// that comes with each form shows that the form is this server's, and that the browser
// will return the cookie of the session.
func (s *Server) mistrust(r *http.Request) *failure {
	if s.foreign(r) {
		return crossOrigin()
	}
	if _, err := r.Cookie(s.cookieName(r, formCookie)); err != nil {
		return fail(http.StatusForbidden, "no_cookie", "", "the cookie of the sign-in form was not sent back; open /sign-in in a browser, or send the token as Authorization: Bearer TOKEN")
	}
	return nil
}

// linked returns the valid token of a sign-in link.
func (s *Server) linked(r *http.Request, link string) (*access.Token, error) {
	malformed := !access.IsLink(link)
	t, err := s.try(r, malformed, func(ctx context.Context) (*access.Token, error) {
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
	return fail(http.StatusUnauthorized, "invalid_link", "", "the sign-in link was used already, has expired, or is not whole; relcheck token link prints another one")
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

// confirmPage asks whether to sign in by a link, which it does not use up. f is what
// went wrong before, or nil.
func (s *Server) confirmPage(w http.ResponseWriter, r *http.Request, id identity, link string, f *failure) error {
	if f != nil && (!wantsPage(r) || !access.IsLink(link)) {
		return s.refuse(w, r, id, f)
	}
	t, err := s.linked(r, link)
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

// signInPage shows the form for a token, with what went wrong before, if anything.
func (s *Server) signInPage(w http.ResponseWriter, r *http.Request, id identity, f *failure) error {
	page, status := s.newSignInData(w, r, f)
	if status == http.StatusUnauthorized && r.URL.Path != "/sign-in" && fromElsewhere(r) {
		// Who follows a link from elsewhere may be signed in all the same: the
		// cookie comes with what this page asks for.
		w.Header().Set("Refresh", "0; url=/sign-in?next="+url.QueryEscape(page.Next))
	}
	return s.sendPage(w, r, id, status, func(v pages.Visitor) ([]byte, error) { return pages.SignIn(v, page) })
}

// newSignInData returns what both forms have in common, and the status. It sends the
// cookie that [Server.mistrust] wants to see with the form.
func (s *Server) newSignInData(w http.ResponseWriter, r *http.Request, f *failure) (pages.SignInData, int) {
	page, status := pages.SignInData{Next: "/", Base: s.options.Base}, http.StatusOK
	switch {
	case r.URL.Path == "/sign-in":
		page.Next = local(r.FormValue("next"))
	case r.Method == http.MethodGet:
		page.Next = local(r.URL.RequestURI())
	}
	if f != nil {
		page.Error, status = f.code, f.status
	}
	if s.needsHTTPS(r, f) {
		page.HTTPS = s.options.Base + "/sign-in"
	}
	if _, err := r.Cookie(s.cookieName(r, formCookie)); err != nil {
		s.setCookie(w, r, formCookie, "1", 0)
	}
	return page, status
}

// needsHTTPS reports whether a browser came over plain HTTP, as far as can be told,
// while the base URL is https. It drops the cookies then. Current browsers send
// Sec-Fetch-Site over HTTPS, and most proxies say by X-Forwarded-Proto what they
// were asked by.
func (s *Server) needsHTTPS(r *http.Request, f *failure) bool {
	if r.TLS != nil || !strings.HasPrefix(s.options.Base, "https://") {
		return false
	}
	dropped := f != nil && f.code == "no_cookie"
	return dropped || r.Header.Get("Sec-Fetch-Site") == "" && r.Header.Get("X-Forwarded-Proto") != "https"
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
