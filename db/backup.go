package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"modernc.org/sqlite"

	"relcheck/db/dbfile"
)

// Backup writes all that the store held when it began into a new SQLite file, and
// returns how many rows that are, by table. Servers go on recording meanwhile. The
// file is whole, verified and synced before it stands at its place, where nothing
// may be yet; whatever happens, nothing less is ever found there. progress is called
// now and then, and with done = total once the copy is made and has to be verified.
func (s *Store) Backup(ctx context.Context, place, schema string, progress func(done, total int64)) (Copied, error) {
	p, err := newPartial(place)
	if err != nil {
		return nil, err
	}
	defer p.discard()
	if err := s.copyInto(ctx, s, p.path, schema, progress); err != nil {
		return nil, fmt.Errorf("back up %s: %w", s.name, s.explain(err))
	}
	rows, err := verifyFile(ctx, p.path, schema)
	if err != nil {
		return nil, fmt.Errorf("back up %s: the copy is not good: %w", s.name, err)
	}
	return rows, p.settle()
}

var (
	// backupStep is how many pages are copied between two looks at what goes on.
	backupStep int32 = 512
	// maxGrowth is how large the log of a store may become while it is copied, or
	// as large as the store if that is more: nothing can be taken off it meanwhile.
	maxGrowth int64 = 1 << 30
)

// pageSize is that of every store, in bytes.
const pageSize = 4096

// whole is how the file of a backup is written: nobody reads it before it is synced.
const whole = "mode=rw&_error_rc=1&_pragma=journal_mode(off)&_pragma=synchronous(off)"

// backer is what modernc's driver offers beyond database/sql.
type backer interface {
	NewBackup(uri string) (*sqlite.Backup, error)
}

// copyInto copies page by page, by SQLite's own online backup. One transaction
// that reads is open all the while: a step that finds none begins another, and when
// somebody has written since the last one, SQLite starts all over.
func (f *sqliteFile) copyInto(ctx context.Context, s *Store, path, _ string, progress func(done, total int64)) error {
	conn, err := s.read.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "BEGIN"); err != nil {
		return err
	}
	defer conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
	if err := checkSchema(ctx, conn); err != nil { // reads, and so begins
		return err
	}
	if err := checkSpace(ctx, conn, path); err != nil {
		return err
	}
	pace, err := newPace(path, f.path+"-wal")
	if err != nil {
		return err
	}
	err = conn.Raw(func(driver any) error {
		b, err := driver.(backer).NewBackup(fileURL(path, whole))
		if err != nil {
			return err
		}
		return errors.Join(f.steps(ctx, b, pace, progress), b.Finish())
	})
	err = errors.Join(err, pace.close())
	if err == nil {
		err = makePlain(ctx, path)
	}
	return err
}

func (f *sqliteFile) steps(ctx context.Context, b *sqlite.Backup, pace *pace, progress func(done, total int64)) error {
	for more := true; more; {
		var err error
		if more, err = b.Step(backupStep); err != nil {
			return err
		}
		bound := max(maxGrowth, int64(b.PageCount())*pageSize)
		if err := errors.Join(pace.step(ctx, min(bound, longLog)), f.checkGrowth(bound)); err != nil {
			return err
		}
		progress(int64(b.PageCount()-b.Remaining()), int64(b.PageCount()))
	}
	return nil
}

// reserve is how much space a backup leaves: a full disk would keep the server that
// it is made beside from recording.
const reserve = 64 << 20

// checkSpace makes sure that a copy of the store leaves some space.
func checkSpace(ctx context.Context, q querier, path string) error {
	var size int64
	err := q.QueryRowContext(ctx, "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size").Scan(&size)
	if err != nil {
		return err
	}
	left, known := dbfile.FreeSpace(filepath.Dir(path))
	if known && left < size+reserve {
		return fmt.Errorf("%s has %d MB left, and the store has %d MB; make room, or back up elsewhere", filepath.Dir(path), left>>20, size>>20)
	}
	return nil
}

// checkGrowth gives up a copy that others write faster than it is made.
func (f *sqliteFile) checkGrowth(bound int64) error {
	wal := dbfile.Size(f.path + "-wal")
	if wal <= bound {
		return nil
	}
	return fmt.Errorf("%s-wal has grown to %d MB meanwhile; the backup takes too long beside what is recorded: try again, to a faster disk", f.path, wal>>20)
}

// makePlain takes a file out of write-ahead logging, which it has from the store it
// is a copy of: so it can be read where nothing can be written beside it.
func makePlain(ctx context.Context, path string) error {
	file := connect(path, "mode=rw&_error_rc=1&_synchronous=OFF")
	defer file.Close()
	var journal string
	err := file.QueryRowContext(ctx, "PRAGMA journal_mode = DELETE").Scan(&journal)
	if err == nil && journal != "delete" {
		err = fmt.Errorf("%s stays in journal mode %s", path, journal)
	}
	return err
}

// copyInto reads PostgreSQL as of one moment, and compares.
func (p *postgres) copyInto(ctx context.Context, s *Store, path, schema string, progress func(done, total int64)) error {
	_, err := s.Copy(ctx, path, schema, progress)
	return err
}

// verifyFile reads all of a SQLite store that nobody writes, and returns how many
// rows it has. It changes nothing.
func verifyFile(ctx context.Context, path, schema string) (Copied, error) {
	s, err := OpenUnchanged(ctx, path)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return verify(ctx, s.read, schema)
}

func verify(ctx context.Context, file *sql.DB, schema string) (Copied, error) {
	if err := checkPages(ctx, file, "integrity_check"); err != nil {
		return nil, err
	}
	version, err := setting(ctx, file, "schema")
	if err != nil {
		return nil, err
	}
	rows := Copied{}
	for _, table := range tablesAt(schema, version) {
		var n int64
		if err := file.QueryRowContext(ctx, "SELECT count(*) FROM "+table).Scan(&n); err != nil {
			return nil, fmt.Errorf("table %s cannot be read: %w", table, err)
		}
		rows[table] = n
	}
	return rows, nil
}

// ErrDamaged is wrapped by errors about a file that SQLite finds damaged.
var ErrDamaged = errors.New("the file is damaged")

// checkPages runs one of SQLite's checks of a whole file: quick_check, or
// integrity_check, which looks into the indexes too.
func checkPages(ctx context.Context, q querier, check string) error {
	found, err := query(ctx, q, func(rows *sql.Rows) (text string, err error) {
		err = rows.Scan(&text)
		return text, err
	}, "PRAGMA "+check+"(3)")
	if c := code(err); c == codeCorrupt || c == codeNotADB {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if err == nil && !(len(found) == 1 && found[0] == "ok") {
		err = fmt.Errorf("%w: %s", ErrDamaged, strings.ReplaceAll(strings.Join(found, "; "), "\n", ": "))
	}
	return err
}
