package command

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"relcheck/checker/access"
	"relcheck/checker/printable"
	"relcheck/db"
)

func tokenCommand(streams IO) *cobra.Command {
	return group("token", "Manage tokens and sign-in links.", `
  relcheck token link "Ann's laptop"
  relcheck token add prometheus > token
  relcheck token add pipeline --scope release > token
  relcheck token list
  relcheck token revoke k2x7q4mw`,
		tokenAdd(streams), tokenLink(streams), tokenList(streams), tokenRevoke(streams))
}

func tokenAdd(streams IO) *cobra.Command {
	var path, scope string
	c := &cobra.Command{
		Use:   "add NAME",
		Short: "Add a token and print it.",
		Long: `Add a token and print it. It cannot be printed again, because only its hash is
stored. Programs send it in the header "Authorization: Bearer TOKEN"; people can also
enter it on the sign-in page.

Scopes:

  read     read statistics
  release  list, publish and withdraw releases, but not read statistics
  admin    read and release, and also add, change and remove products`,
		Example: `  relcheck token add prometheus > token
  relcheck token add pipeline --scope release > token`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkTokenName(args[0]); err != nil {
				return err
			}
			parsed, err := access.ParseScope(scope)
			if err != nil {
				return usageError("--scope: %w", err)
			}
			return withStore(cmd.Context(), path, streams, func(s *db.Store) error {
				token, text := access.NewToken(args[0], parsed, time.Now())
				if err := s.AddToken(cmd.Context(), token); err != nil {
					return err
				}
				fmt.Fprintf(streams.Err, "added token %s; it cannot be printed again\n", token.ID)
				fmt.Fprintln(streams.Out, text)
				return nil
			})
		},
	}
	dbFlag(c, &path)
	c.Flags().StringVar(&scope, "scope", string(access.Read), "`scope` of the token: read, release or admin")
	return c
}

func checkTokenName(name string) error {
	if err := access.CheckName(name); err != nil {
		return usageError("invalid token name %q: %v", name, err)
	}
	return nil
}

// linkName is the name of the token that relcheck token link uses without an argument.
const linkName = "browser"

func tokenLink(streams IO) *cobra.Command {
	var path, base, scope string
	c := &cobra.Command{
		Use:   "link [NAME]",
		Short: "Print a link that signs a browser in.",
		Long: `Print a link that signs a browser in. The link can be used once, within an hour. The
session can do what the scope of its token allows, see relcheck token add. It ends after
30 days, when the browser signs out, or when its token is revoked. NAME is the name or ID
of the session's token (default: "` + linkName + `"). If there is no such token, it is added.`,
		Example: `  relcheck token link
  relcheck token link ann --scope admin
  relcheck token link "Ann's laptop" --base-url https://releases.example.com`,
		RunE: func(cmd *cobra.Command, args []string) error {
			name := linkName
			if len(args) > 0 {
				name = args[0]
			}
			if err := checkTokenName(name); err != nil {
				return err
			}
			if err := printable.CheckURL(base); base != "" && err != nil {
				return usageError("--base-url: %v", err)
			}
			parsed, err := access.ParseScope(scope)
			if err != nil {
				return usageError("--scope: %w", err)
			}
			return withStore(cmd.Context(), path, streams, func(s *db.Store) error {
				token, err := linkToken(cmd.Context(), s, name, parsed, streams)
				if err == nil && token.Scope != parsed && cmd.Flags().Changed("scope") {
					err = fmt.Errorf("token %s (%s) has scope %s: leave out --scope, or choose another name", token.ID, token.Name, token.Scope)
				}
				if err != nil {
					return err
				}
				link, text := access.NewLink(token.ID, time.Now())
				if err := s.AddLink(cmd.Context(), link); err != nil {
					return err
				}
				known := true
				if base == "" {
					if base, known, err = baseURL(cmd.Context(), s); err != nil {
						return err
					}
				}
				fmt.Fprintln(streams.Out, access.SignInURL(base, text))
				fmt.Fprintf(streams.Err, "the link uses token %s and is valid once, until %s\n", token.ID, link.Expires.Local().Format("15:04 MST"))
				if !known {
					fmt.Fprintf(streams.Err, "the link opens %s; if the service has another URL, set it with --base-url\n", base)
				}
				return nil
			})
		},
	}
	dbFlag(c, &path)
	c.Flags().StringVar(&base, "base-url", "", "`URL` of the service (default: that of the server that has started last)")
	c.Flags().StringVar(&scope, "scope", string(access.Read), "`scope` of a new token: read, release or admin")
	return c
}

// linkToken returns the token for a sign-in link, which it adds if there is none.
func linkToken(ctx context.Context, s *db.Store, name string, scope access.Scope, streams IO) (access.Token, error) {
	all, err := s.Tokens(ctx)
	if err != nil {
		return access.Token{}, err
	}
	if t := access.Named(all, name); t != nil {
		return *t, nil
	}
	t, _ := access.NewToken(name, scope, time.Now()) // its text is not needed
	return t, streams.done(s.AddToken(ctx, t), "added token %s (%s) with scope %s", t.ID, t.Name, t.Scope)
}

// listedToken is a token in JSON.
type listedToken struct {
	ID      string       `json:"id"`
	Name    string       `json:"name"`
	Scope   access.Scope `json:"scope"`
	Created *string      `json:"created"`
	Used    *string      `json:"used"`    // time of the last use, to the hour, or null
	Revoked *string      `json:"revoked"` // or null
}

func tokenList(streams IO) *cobra.Command {
	return showCommand(streams, &cobra.Command{
		Use:     "list",
		Short:   "List tokens, without their secrets.",
		Example: `  relcheck token list`,
	}, func(ctx context.Context, s *db.Store, _ []string, o *output) error {
		tokens, err := s.Tokens(ctx)
		l := &list{name: "tokens", heads: []string{"ID", "name", "scope", "created", "used", "state"}}
		for _, k := range tokens {
			used, state := "", "valid"
			if !k.LastUsed.IsZero() { // in UTC
				used = k.LastUsed.Format("2006-01-02 15h")
			}
			if !k.Revoked.IsZero() {
				state = "revoked " + k.Revoked.Format(time.DateOnly)
			}
			l.item(listedToken{k.ID, k.Name, k.Scope, jsonTime(k.Created), jsonTime(k.LastUsed), jsonTime(k.Revoked)})
			l.row(k.ID, k.Name, string(k.Scope), k.Created.Format(time.DateOnly), used, state)
		}
		o.add(l)
		return err
	})
}

func tokenRevoke(streams IO) *cobra.Command {
	return existingStoreCommand(&cobra.Command{
		Use:   "revoke ID",
		Short: "Revoke a token and end its sessions.",
		Long: `Revoke a token, and end its sessions and unused links. Running servers refuse them
within seconds. ID is shown by relcheck token list.`,
		Example: `  relcheck token revoke k2x7q4mw`,
	}, func(ctx context.Context, s *db.Store, args []string) error {
		id := access.Normalize(args[0])
		if whole := access.TokenID(id); whole != "" {
			id = whole
		}
		if !access.IsTokenID(id) {
			return usageError("%q is not the ID of a token: enter the ID that relcheck token list prints", args[0])
		}
		return streams.done(s.RevokeToken(ctx, id, time.Now()), "revoked token %s", id)
	})
}
