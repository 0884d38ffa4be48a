package command

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"relcheck/checker"
	"relcheck/checker/access"
	"relcheck/db"
)

func tokenCommand(streams IO) *cobra.Command {
	return group("token", "Say who may see the statistics, and publish releases", `
  relcheck token add "Ann's laptop" --link
  relcheck token add prometheus > token
  relcheck token add pipeline --scope release > token
  relcheck token list
  relcheck token revoke k2x7q4mw`,
		tokenAdd(streams), tokenList(streams), tokenRevoke(streams))
}

func tokenAdd(streams IO) *cobra.Command {
	var path, base string
	var link bool
	scope := scopeFlag(access.Read)
	c := &cobra.Command{
		Use:   "add NAME",
		Short: "Add a token, and print it this once",
		Long: `Add a token, and print it. It is shown this once: only its hash is kept. People
open the link that signs them in, programs send the header "Authorization: Bearer
TOKEN". What a token lets do is its scope:

  read     see the statistics
  release  list, publish and withdraw releases, and see no statistics
  admin    all of that, and add, change and remove products`,
		Example: `  relcheck token add "Ann's laptop" --link --base-url https://releases.example.com
  relcheck token add prometheus > token
  relcheck token add pipeline --scope release > token`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !access.ValidName(args[0]) {
				return misused("%q cannot be a token's name: give 1 to 100 bytes of text", args[0])
			}
			if err := checker.CheckURL(base); err != nil {
				return misused("--base-url: %v", err)
			}
			reads := access.Scope(scope) != access.Release
			if link && !reads {
				return misused("--link signs in to see the statistics, which scope %s does not let do; leave out one of the two", scope)
			}
			return withStore(cmd.Context(), path, streams, func(s *db.Store) error {
				others, err := s.Tokens(cmd.Context())
				if err != nil {
					return err
				}
				token, text := access.New(args[0], access.Scope(scope), time.Now())
				if err := s.AddToken(cmd.Context(), token); err != nil {
					return err
				}
				fmt.Fprintf(streams.Err, "added token %s; it is shown this once\n", token.ID)
				warnOfNamesakes(streams, others, token.Name)
				if reads {
					printToken(streams, text, signInLink(base, text), link)
				} else {
					fmt.Fprintln(streams.Out, text)
				}
				if link && !cmd.Flags().Changed("base-url") {
					fmt.Fprintf(streams.Err, "the link is to %s; if people reach the service elsewhere, say where with --base-url\n", base)
				}
				return nil
			})
		},
	}
	dbFlag(c, &path)
	c.Flags().StringVar(&base, "base-url", "http://localhost:8080", "`URL` under which the service is reached, for the link")
	c.Flags().Var(&scope, "scope", "what it lets do: read, release or admin")
	c.Flags().BoolVar(&link, "link", false, "print the link that signs in, in place of the token")
	return c
}

// scopeFlag is a flag's value: what a token lets do.
type scopeFlag access.Scope

func (s *scopeFlag) Type() string   { return "scope" }
func (s *scopeFlag) String() string { return string(*s) }

func (s *scopeFlag) Set(text string) error {
	if !slices.Contains(access.Scopes, access.Scope(text)) {
		return errors.New("give read, release or admin")
	}
	*s = scopeFlag(text)
	return nil
}

// warnOfNamesakes names the valid tokens that are called the same, for only their
// ids tell them apart.
func warnOfNamesakes(streams IO, all []access.Token, name string) {
	for _, t := range all {
		if t.Name == name && t.Revoked.IsZero() {
			fmt.Fprintf(streams.Err, "there is another token of this name; relcheck token revoke %s takes it back\n", t.ID)
		}
	}
}

// printToken prints what was asked for. The other form of it goes to a terminal
// only: standard error may be a log.
func printToken(streams IO, text, link string, asLink bool) {
	if asLink {
		fmt.Fprintln(streams.Out, link)
		return
	}
	if isTerminal(streams.Err) {
		fmt.Fprintf(streams.Err, "sign in at %s\n", link)
	}
	fmt.Fprintln(streams.Out, text)
}

// signInLink is the address that signs in whoever opens it.
func signInLink(base, token string) string {
	return strings.TrimRight(base, "/") + "/sign-in?token=" + token
}

func tokenList(streams IO) *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:     "list",
		Short:   "List the tokens, without what is secret of them",
		Example: `  relcheck token list`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withExisting(cmd.Context(), path, func(s *db.Store) error {
				tokens, err := s.Tokens(cmd.Context())
				if err != nil {
					return err
				}
				t := tabwriter.NewWriter(streams.Out, 0, 0, 2, ' ', 0)
				fmt.Fprintln(t, "ID\tNAME\tSCOPE\tCREATED\tUSED\tSTATE")
				for _, k := range tokens {
					fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", k.ID, k.Name, k.Scope,
						k.Created.Format(time.DateOnly), usedAt(k), tokenState(k))
				}
				return t.Flush()
			})
		},
	}
	dbFlag(c, &path)
	return c
}

// usedAt is the hour in which a token was last used, in UTC.
func usedAt(t access.Token) string {
	if t.Used.IsZero() {
		return "-"
	}
	return t.Used.Format("2006-01-02 15h")
}

func tokenState(t access.Token) string {
	if t.Revoked.IsZero() {
		return "valid"
	}
	return "revoked " + t.Revoked.Format(time.DateOnly)
}

func tokenRevoke(streams IO) *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:   "revoke ID",
		Short: "Take a token back, with all who have signed in by it",
		Long: `Take a token back. Running servers refuse it within seconds, and sign out all who
have signed in by it. relcheck token list shows the ids.`,
		Example: `  relcheck token revoke k2x7q4mw`,
		RunE: func(cmd *cobra.Command, args []string) error {
			id := access.Clean(args[0])
			if whole := access.ID(id); whole != "" {
				id = whole
			}
			return withExisting(cmd.Context(), path, func(s *db.Store) error {
				if err := s.RevokeToken(cmd.Context(), id, time.Now()); err != nil {
					return err
				}
				fmt.Fprintf(streams.Err, "revoked token %s\n", id)
				return nil
			})
		},
	}
	dbFlag(c, &path)
	return c
}
