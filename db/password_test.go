package db_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"relcheck/db"
	"relcheck/db/pgtest"
)

// No name, error or log message shows the password of a URL, whether the URL is valid or not.
func TestPasswordIsNeverShown(t *testing.T) {
	good := pgtest.Database(t)
	host := good[strings.Index(good, "@")+1 : strings.LastIndex(good, "/")]
	var log strings.Builder
	for _, name := range []string{
		good,
		good + "none",
		"postgres://relcheck:pa55-canary@" + host + "/x?sslmode=verify-full",
		"postgres://nobody:pa55-canary@" + host + "/x",
		"postgres://relcheck@" + host + "/x?password=pa55-canary-wrong",
		"postgres://relcheck:pa55-canary@127.0.0.1:1/x",
		"postgres://relcheck:pa55-canary@127.0.0.1:1,localhost:2/x",
		"postgres://relcheck:pa55-canary@/x?host=/nowhere",
		"postgres://relcheck:pa55-canary@none.invalid/x",
		"postgres://relcheck:pa55-canary/more@" + host + "/x",
		"postgres://relcheck:more@pa55-canary@" + host + "/x",
		"postgres://relcheck:more#pa55-canary@" + host + "/x",
		"postgres://relcheck:more:pa55-canary@" + host + "/x",
		"postgres://relcheck:%zzpa55-canary@" + host + "/x",
		"postgres://relcheck:pa55-canary@" + host + ":99999/x",
		"postgres://relcheck@" + host + "/x?sslmode=pa55-canary",
		"postgresql://relcheck:pa55-canary@[::1/x",
		"POSTGRES://relcheck:pa55-canary@" + host + "/x",
		" postgres://relcheck:pa55-canary@" + host + "/x",
		"postgres:relcheck:pa55-canary@" + host + "/x",
		"postgres://relcheck:55/pa55-canary@" + host + "/x",
		"postgres://relcheck:5?pa55-canary@" + host + "/x",
		"host=127.0.0.1 user=relcheck password=pa55-canary dbname=x",
		"password=pa55-canary",
	} {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		s, err := db.Open(ctx, name, schema(t))
		cancel()
		fmt.Fprintln(&log, err)
		if err == nil {
			fmt.Fprintln(&log, s.Name())
			w, err := s.NewWriter(slog.New(slog.NewTextHandler(&log, nil)))
			if err != nil {
				t.Error(err)
			}
			w.Close()
			s.Close()
		}
	}
	if strings.Contains(log.String(), "pa55") {
		t.Errorf("got a password in:\n%s", log.String())
	}
}

func TestHasPassword(t *testing.T) {
	for name, want := range map[string]bool{
		"relcheck.db":                          false,
		"a:b@c":                                false,
		"postgres://host/x":                    false,
		"postgres://user@host:5432/x":          false,
		"postgres://user@h1:5432,h2:5432/x":    false,
		"postgres://user:secret@host/x":        true,
		"postgresql://user:secret@host/x":      true,
		"postgres://user:se/cret@host/x":       true,
		"postgres://user@host/x?password=a":    true,
		"postgres://user@host/x?sslpassword=a": true,
		"postgres://user@host/x?passfile=a":    false,
		"POSTGRES://user:secret@host/x":        true,
		" postgres://user:secret@host/x":       true,
		"postgres:user:secret@host/x":          true,
		"postgres://user:se?cret@host/x":       true,
		"postgres://user@host/x?pass%77ord=a":  true,
		"host=a user=b password=c":             true,
		"password = c dbname=x":                true,
		"password.db":                          false,
		"My postgres: the password":            false,
	} {
		if got := db.HasPassword(name); got != want {
			t.Errorf("HasPassword(%q) = %v, want %v", name, got, want)
		}
	}
}
