package manage

import (
	"context"
	"slices"
	"time"

	"relcheck/checker/access"
	"relcheck/checker/catalog"
	"relcheck/checker/server/pages"
)

// scopes are the options for the scope of a token.
var scopes = []pages.Option{
	{Value: string(access.Read), Text: "Read: see statistics"},
	{Value: string(access.Release), Text: "Release: publish and withdraw releases, but see no statistics"},
	{Value: string(access.Admin), Text: "Admin: do everything"},
}

// tokens lists the tokens, and adds tokens and sign-in links.
func (s *Service) tokens(r *Request) (*Answer, error) {
	all, err := r.Store.Tokens(r.Context())
	if err != nil {
		return nil, err
	}
	invite, add, link := newForm(r, "invite", "Create a sign-in link"), newForm(r, "add", "Create a token"), newForm(r, "link", "Create a link for the token")
	name, scope := tokenFields(invite, "Name of the colleague or browser", "The audit log shows it.")
	if invite.wasSent() {
		if a := s.invite(r, all, invite, name, scope); a != nil {
			return a, nil
		}
	}
	name, scope = tokenFields(add, "What the token is for", "Enter a name such as release pipeline. The audit log shows it.")
	if add.wasSent() {
		if a := s.addToken(r, add, name, scope); a != nil {
			return a, nil
		}
	}
	options := []pages.Option{}
	for _, t := range slices.Backward(all) {
		if t.Valid() {
			options = append(options, pages.Option{Value: t.ID, Text: t.Name + " (" + t.ID + ", " + string(t.Scope) + ")"})
		}
	}
	id := link.add(pages.Field{Name: "token", Label: "Token", Kind: pages.Choice, Options: options})
	if link.wasSent() {
		if t := access.Named(all, id.Value); t == nil {
			id.Error = "Choose one of the tokens that are valid."
		} else if a := s.addLink(r, link, *t); a != nil {
			return a, nil
		}
	}
	return page("Tokens", nil,
		pages.ManageSection{Texts: []string{"A token gives access to a program, or to the browser that signs in with it. Its scope decides what it permits."}, Manual: s.manual("tokens", "Manual: tokens and signing in"),
			Grid: s.tokenGrid(all, r.Token.ID), Empty: "There are no tokens."},
		invite.section("Invite a colleague", "The link signs one browser in. It works once, within an hour. The session lasts 30 days, or until its token is revoked."),
		add.section("Add a token for a program", "The program sends the token as Authorization: Bearer TOKEN. The token is shown once."),
		link.section("Sign in another browser", "The browser gets a session of the chosen token.")), nil
}

func tokenFields(f *form, label, hint string) (name, scope *pages.Field) {
	return f.add(pages.Field{Name: "name", Label: label, Hint: hint, Required: true}),
		f.add(pages.Field{Name: "scope", Label: "Scope", Kind: pages.Choice, Value: string(access.Read), Options: scopes})
}

// newToken returns the token that a form describes. It reports false if the form shows an
// error.
func newToken(f *form, name, scope *pages.Field) (t access.Token, text string, ok bool) {
	if err := access.CheckName(name.Value); err != nil {
		name.Error = pages.Sentence(err.Error())
	}
	parsed, err := access.ParseScope(scope.Value)
	if err != nil {
		scope.Error = pages.Sentence(err.Error())
	}
	t, text = access.NewToken(name.Value, parsed, time.Now())
	return t, text, !f.Invalid()
}

// addToken adds a token. It returns nil if the form shows an error.
func (s *Service) addToken(r *Request, f *form, name, scope *pages.Field) *Answer {
	t, text, ok := newToken(f, name, scope)
	if !ok || !f.refuse(r.Change(func(ctx context.Context, by Store) error { return by.AddToken(ctx, t) })) {
		return nil
	}
	a := done(s.Root+"/manage/tokens", "Added token "+t.ID+" ("+t.Name+"). Copy it now: it is not shown again.")
	a.Notice.Secret = text
	return a
}

// invite adds a token and a sign-in link for it. It returns nil if the form shows an error.
func (s *Service) invite(r *Request, all []access.Token, f *form, name, scope *pages.Field) *Answer {
	t, _, ok := newToken(f, name, scope) // its text is not needed
	if access.Named(all, t.Name) != nil {
		name.Error, ok = "There is a token with this name: choose another name, or create a link for the token below.", false
	}
	if !ok || !f.refuse(r.Change(func(ctx context.Context, by Store) error { return by.AddToken(ctx, t) })) {
		return nil
	}
	return s.addLink(r, f, t)
}

// addLink adds a sign-in link for a token. It returns nil if the form shows an error.
func (s *Service) addLink(r *Request, f *form, t access.Token) *Answer {
	link, secret := access.NewLink(t.ID, time.Now())
	if !f.refuse(r.Change(func(ctx context.Context, by Store) error { return by.AddLink(ctx, link) })) {
		return nil
	}
	a := done(s.Root+"/manage/tokens", "This link signs a browser in with token "+t.ID+" ("+t.Name+", scope "+string(t.Scope)+"). It works once, until "+
		link.Expires.UTC().Format("15:04 UTC")+". Copy it now: it is not shown again.")
	a.Notice.Secret = access.SignInURL(s.Base, secret)
	return a
}

func (s *Service) tokenGrid(all []access.Token, own string) *pages.Grid {
	g := &pages.Grid{Caption: "Tokens", Head: []pages.Column{{Text: "Name", Long: true}, {Text: "ID"}, {Text: "Scope"}, {Text: "Created"}, {Text: "Last used"}, {Text: "State"}}}
	for _, t := range slices.Backward(all) {
		used, state := "", pages.Cell{Of: t.ID, Links: []pages.Action{{Text: "Revoke", URL: s.Root + "/manage/tokens/" + t.ID + "/revoke", Danger: true}}}
		if !t.LastUsed.IsZero() {
			used = t.LastUsed.UTC().Format("2006-01-02 15h")
		}
		if !t.Valid() {
			state = pages.Cell{Text: "revoked " + formatDate(t.Revoked), Class: "quiet"}
		}
		name := pages.Cell{Text: t.Name}
		if t.ID == own {
			name.Note = "yours"
		}
		g.Rows = append(g.Rows, []pages.Cell{name, {Text: t.ID, Code: true}, {Text: string(t.Scope)}, {Text: formatDate(t.Created)}, {Text: used}, state})
	}
	return g
}

// revokeToken revokes a token after a confirmation.
func (s *Service) revokeToken(r *Request) (*Answer, error) {
	all, err := r.Store.Tokens(r.Context())
	if err != nil {
		return nil, err
	}
	id, next := r.PathValue("id"), s.Root+"/manage/tokens"
	i := slices.IndexFunc(all, func(t access.Token) bool { return t.ID == id })
	if i < 0 {
		return nil, catalog.ErrNotFound
	}
	t := all[i]
	if !t.Valid() {
		return done(next, "Token "+t.ID+" is revoked already."), nil
	}
	c := confirmation{title: "Revoke token " + t.ID + "?", button: "Revoke " + t.ID, danger: true, cancel: next, next: next, done: "Revoked token " + t.ID + " (" + t.Name + ").",
		what: []string{"Revokes token " + t.ID + " (" + t.Name + ") with scope " + string(t.Scope) + ".", "Ends its sessions, and its unused sign-in links.", "Programs with the token are refused within seconds. This cannot be undone."}}
	if t.ID == r.Token.ID {
		c.what = append(c.what, "This is the token of your session: you will be signed out.")
		c.next = s.Root + "/"
	}
	if !t.LastUsed.IsZero() {
		c.now = []string{"It was last used on " + t.LastUsed.UTC().Format("2006-01-02 at 15h UTC") + "."}
	}
	c.change = func() error {
		return r.Change(func(ctx context.Context, by Store) error { return by.RevokeToken(ctx, t.ID, time.Now()) })
	}
	return s.confirm(r, nil, c), nil
}
