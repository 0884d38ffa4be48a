package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"relcheck/checker/access"
	"relcheck/db/dbfile"
)

// State is how bad a finding is.
type State int

const (
	OK State = iota
	Warning
	Problem
)

// Finding is what one check came to, in words for the operator.
type Finding struct {
	State State
	Check string // what was looked at, in a word
	Text  string // what was found, and what to do about it
}

// Examination looks whether a store is sound, beside a running server too, and
// changes nothing of it.
type Examination struct {
	Keep        time.Duration // how long servers keep reports; 0 is for good
	Now         time.Time
	BackupDir   string                  // folder of the backups, or ""
	BackupEvery time.Duration           // how often servers make a backup
	Tell        func(Finding)           // is called once a check is done
	Progress    func(done, total int64) // of reading the log, in reports
}

// examining is one examination on its way.
type examining struct {
	Examination
	*Store
	serving bool  // a server records into the store, as far as that can be told
	copied  bool  // it is not written by anybody, and may be of long ago
	id      int64 // of the store, -1 if it cannot be read
	before  string
	stale   bool // the file has changed under it
}

// Examine tells of everything that it finds. The error is nil even if nothing is
// right, unless ctx has ended.
func (e Examination) Examine(ctx context.Context, name string) error {
	x := &examining{Examination: e, id: -1}
	switch {
	case isPostgres(name):
		x.postgres(ctx, name)
	case notAFile.MatchString(name):
		x.tell(Problem, "store", "%v", errURL)
	default:
		x.file(ctx, name)
	}
	x.stale, x.before = false, ""
	x.leftovers(name)
	if x.BackupDir != "" {
		x.backups(ctx)
	}
	return ctx.Err()
}

func (x *examining) tell(s State, check, format string, args ...any) {
	if s == Problem && x.changed() {
		x.stale = true
	}
	if !x.stale {
		x.Tell(Finding{s, check, strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", "; ")})
	}
}

// file examines a SQLite store. One that nobody had open is read without locks: if
// somebody opens it meanwhile, all that was seen may be wrong.
func (x *examining) file(ctx context.Context, name string) {
	const tries = 3
	for range tries {
		x.stale, x.before = false, fingerprint(dbfile.Resolve(name))
		x.fileOnce(ctx, name)
		if !x.stale || ctx.Err() != nil {
			return
		}
		x.Tell(Finding{Warning, "store", "a server was started meanwhile; looking again"})
	}
}

// fingerprint tells whether a file that nobody has open stays what it is.
func fingerprint(path string) string {
	wal, err := os.Stat(path + "-wal")
	info, err2 := os.Stat(path)
	if err2 != nil || err == nil && wal.Size() >= 0 {
		return ""
	}
	return fmt.Sprint(info.Size(), info.ModTime())
}

func (x *examining) changed() bool {
	return x.before != "" && x.Store != nil && fingerprint(x.Store.name) != x.before
}

// schema tells which one the store has, which is called what, if that can be read.
func (x *examining) schema(ctx context.Context, what string) (ok bool) {
	version, err := setting(ctx, x.read, "schema")
	if err == nil {
		x.id, err = storeID(ctx, x.read)
	}
	switch {
	case err != nil:
		x.tell(Problem, "store", "cannot be read: %v", err)
	case version < schemaVersion:
		x.tell(OK, "store", "%s is relcheck's, with schema %d; the next server or command that opens it makes that %d", what, version, schemaVersion)
	default:
		x.tell(OK, "store", "%s is relcheck's, with schema %d", what, version)
	}
	return err == nil
}

// contents are the checks that are the same for both engines.
func (x *examining) contents(ctx context.Context) {
	x.releases(ctx)
	x.tokens(ctx)
	x.proxy(ctx)
	x.clock(ctx)
	x.statistics(ctx)
}

// releases looks for products that clients ask about in vain.
func (x *examining) releases(ctx context.Context) {
	type row struct {
		name  string
		asked bool
	}
	bare, err := query(ctx, x.read, func(rows *sql.Rows) (r row, err error) {
		err = rows.Scan(&r.name, &r.asked)
		return r, err
	}, `SELECT name, EXISTS (SELECT 1 FROM build WHERE build.product = product.id) FROM product
		WHERE name IS NOT NULL AND NOT EXISTS (SELECT 1 FROM release WHERE release.product = product.id) ORDER BY name`)
	if err != nil {
		x.tell(Problem, "releases", "cannot be read: %v", err)
		return
	}
	var asked, others []string
	for _, r := range bare {
		if r.asked {
			asked = append(asked, r.name)
		} else {
			others = append(others, r.name)
		}
	}
	switch {
	case len(asked) > 0:
		x.tell(Warning, "releases", "none is known of %s, and clients ask: add them with relcheck release sync, import or add", strings.Join(asked, ", "))
	case len(others) > 0:
		x.tell(OK, "releases", "none is known of %s, and no client has asked", strings.Join(others, ", "))
	default:
		x.tell(OK, "releases", "every product has some")
	}
}

// old is for how long a token is not used that may be forgotten.
const old = 180 * 24 * time.Hour

func (x *examining) tokens(ctx context.Context) {
	all, err := x.Tokens(ctx)
	if err != nil {
		x.tell(Problem, "tokens", "cannot be read: %v", err)
		return
	}
	valid, idle := 0, []string{}
	for _, t := range all {
		if !t.Revoked.IsZero() {
			continue
		}
		valid++
		if x.Now.Sub(lastUse(t)) > old {
			idle = append(idle, t.ID)
		}
	}
	switch {
	case valid == 0:
		x.tell(Warning, "tokens", "there is no valid one, so nobody can see the statistics: relcheck token link")
	case len(idle) > 0:
		x.tell(OK, "tokens", "%d valid; not used for half a year, and perhaps to be revoked: %s", valid, strings.Join(idle, ", "))
	default:
		x.tell(OK, "tokens", "%d valid", valid)
	}
}

// lastUse is when a token was used last, or made if it never was.
func lastUse(t access.Token) time.Time {
	if t.Used.IsZero() {
		return t.Created
	}
	return t.Used
}

// proxy reports whether the server knows the clients apart.
func (x *examining) proxy(ctx context.Context) {
	hidden, err := setting(ctx, x.read, "proxy")
	switch {
	case err != nil && !errors.Is(err, sql.ErrNoRows): // schemas 1 and 2 do not have it
		x.tell(Problem, "proxy", "cannot be read: %v", err)
	case hidden != 0:
		x.tell(Warning, "proxy", "all requests seem to come by one proxy, so that its clients share one rate limit: "+
			"if there is a proxy, start relcheck serve with its address as --trusted-proxy")
	default:
		x.tell(OK, "proxy", "no server has seen all its requests come by a proxy that it does not trust")
	}
}

// ahead is by how much times may be in the future.
const ahead = time.Hour

func (x *examining) clock(ctx context.Context) {
	swept, err := setting(ctx, x.read, "swept")
	last := time.Unix(swept, 0).UTC()
	switch {
	case err != nil:
		x.tell(Problem, "clock", "cannot read when somebody last looked for old reports: %v", err)
	case last.Sub(x.Now) > ahead:
		x.tell(Warning, "clock", "somebody looked for old reports in the future, on %s: the clock is wrong, or was; set it right", last.Format(time.DateTime))
	case swept == 0:
		x.tell(OK, "clock", "nobody has looked for old reports yet")
	default:
		x.tell(OK, "clock", "somebody looked for old reports on %s", last.Format(time.DateTime))
	}
}
