package db

import (
	"testing"

	"github.com/jackc/pgx/v5"
)

// FuzzHasPassword compares HasPassword with pgx: it must find every password in a URL that
// pgx finds.
func FuzzHasPassword(f *testing.F) {
	for _, s := range []string{
		"relcheck.db", "postgres://user@host:5432/x", "postgres://user:secret@host/x", "postgresql://u:se%2Fcret@h1:1,h2:2/x?sslmode=disable",
		"postgres://user@host/x?password=a", "postgres://user@host/x?pass%77ord=a&pool_max_conns=2", "postgres://:secret@/x?host=/tmp", "postgres://user@host/x?passfile=a",
		" postgres://user:secret@host/x", "postgres://a:b@c@d/x", "postgres:///x?user=a&password=b", "postgres://u:p@[::1]:5/x",
	} {
		f.Add(s)
	}
	f.Setenv("PGPASSWORD", "")
	f.Setenv("PGPASSFILE", "/dev/null")
	f.Setenv("PGSERVICEFILE", "/dev/null")
	f.Fuzz(func(t *testing.T, name string) {
		has := HasPassword(name)
		if !isPostgres(name) {
			return
		}
		if c, err := pgx.ParseConfig(name); err == nil && c.Password != "" && !has {
			t.Errorf("HasPassword(%q) = false, want true for the password %q", name, c.Password)
		}
	})
}
