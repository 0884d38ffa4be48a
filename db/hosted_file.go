package db

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"relcheck/checker/access"
	"relcheck/checker/catalog"
)

// HostedFile is a hosted file of a release.
type HostedFile struct {
	Product, Tag string
	catalog.HostedFile
}

const hostedColumns = `hosted_file.product, hosted_file.tag, hosted_file.name, hosted_file.url, hosted_file.sha256, hosted_file.sha512, hosted_file.size, hosted_file.verified,
	hosted_file.fetched, hosted_file.damaged`

func scanHosted(rows *sql.Rows) (key releaseKey, f catalog.HostedFile, err error) {
	var fetched, damaged int64
	err = rows.Scan(&key.product, &key.tag, &f.Name, &f.URL, &f.SHA256, &f.SHA512, &f.Size, &f.Verified, &fetched, &damaged)
	f.Fetched, f.Damaged = timeOf(fetched), timeOf(damaged)
	return key, f, err
}

const replaceHosted = ` ON CONFLICT (product, tag, name) DO UPDATE SET url = excluded.url, sha256 = excluded.sha256, sha512 = excluded.sha512, size = excluded.size,
	verified = excluded.verified, fetched = excluded.fetched, damaged = excluded.damaged, staged = excluded.staged`

// timeOf converts a stored time; 0 means unknown.
func timeOf(at int64) time.Time {
	if at == 0 {
		return time.Time{}
	}
	return time.Unix(at, 0).UTC()
}

// secondsOf converts a time to its stored form; 0 if it is zero.
func secondsOf(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// readHosted adds the hosted files of a query for hostedColumns to releases. It ignores the
// files of other releases.
func readHosted(ctx context.Context, q querier, releases map[releaseKey]*storedRelease, text string, args ...any) error {
	err := eachRow(ctx, q, func(rows *sql.Rows) error {
		key, f, err := scanHosted(rows)
		if r := releases[key]; r != nil {
			r.hosted = append(r.hosted, f)
		}
		return err
	}, text, args...)
	for _, r := range releases {
		slices.SortFunc(r.hosted, func(a, b catalog.HostedFile) int { return strings.Compare(a.Name, b.Name) })
	}
	return err
}

// HostFile records that a file of a release is hosted, and that its content is sound. It
// replaces the hosted files of that name and of that URL. The error wraps [ErrNotFound] if
// the product or the release does not exist, and [ErrLimit] if the release has too many
// hosted files.
func (s *Store) HostFile(ctx context.Context, product, tag string, f catalog.HostedFile) error {
	if err := f.Check(); err != nil {
		return err
	}
	return s.changeHosted(ctx, product, tag, func(tx *sql.Tx, key releaseKey, r *storedRelease) (action, detail string, err error) {
		if err := markDamaged(ctx, tx, f.SHA256, time.Time{}); err != nil {
			return "", "", err
		}
		f.Damaged = time.Time{}
		old := catalog.FindHosted(r.hosted, f.Name)
		if old == nil && len(r.hosted) >= catalog.MaxFiles {
			return "", "", tooManyHosted(key.tag)
		}
		if same := f; old != nil {
			same.Fetched, same.Damaged = old.Fetched, old.Damaged
			if same == *old {
				return "", "", nil
			}
		}
		if err := deleteFrom(ctx, tx, []string{"hosted_file"}, "product = $1 AND tag = $2 AND url = $3 AND url <> '' AND name <> $4 AND NOT staged", key.product, key.tag, f.URL, f.Name); err != nil {
			return "", "", err
		}
		return access.FileHosted, f.Name, s.writeHosted(ctx, tx, key.product, []hostedRow{{key.tag, f}}, false, replaceHosted)
	})
}

func tooManyHosted(tag string) error {
	return fmt.Errorf("release %s: %w: a release has at most %d hosted files", tag, ErrLimit, catalog.MaxFiles)
}

// UnhostFile records that a file of a release is no longer hosted. The error wraps
// [ErrNotFound] if it was not.
func (s *Store) UnhostFile(ctx context.Context, product, tag, name string) error {
	return s.changeHosted(ctx, product, tag, func(tx *sql.Tx, key releaseKey, _ *storedRelease) (action, detail string, err error) {
		missing := fmt.Errorf("hosted file %s of release %s: %w; list them with relcheck file list %s", name, key.tag, ErrNotFound, product)
		err = requireUpdate(ctx, tx, missing, "DELETE FROM hosted_file WHERE product = $1 AND tag = $2 AND name = $3 AND NOT staged", key.product, key.tag, name)
		return access.FileRemoved, name, err
	})
}

// changeHosted changes the hosted files of a release. If change returns no action, it has
// changed nothing.
func (s *Store) changeHosted(ctx context.Context, product, tag string, change func(*sql.Tx, releaseKey, *storedRelease) (action, detail string, err error)) error {
	return s.inChange(ctx, func(tx *sql.Tx) error {
		p, tag, stored, err := findRelease(ctx, tx, product, tag)
		if err != nil {
			return err
		}
		action, detail, err := change(tx, releaseKey{p.id, tag}, stored)
		if err != nil || action == "" {
			return err
		}
		if err := markReleases(ctx, tx, p.id, "tag = $3", tag); err != nil {
			return err
		}
		return s.audit(ctx, tx, action, product, tag+": "+detail)
	})
}

// markReleases marks releases of a product as changed. The condition on $3 selects them.
func markReleases(ctx context.Context, tx *sql.Tx, product int64, condition string, arg any) error {
	revision, err := countChange(ctx, tx, product)
	if err == nil {
		_, err = tx.ExecContext(ctx, "UPDATE release_layer SET revision = $1 WHERE product = $2 AND revision <> -1 AND "+condition, revision, product, arg)
	}
	return err
}

// HostedFiles returns all hosted files, sorted by release. Files that are added or removed
// meanwhile may be missing.
func (s *Store) HostedFiles(ctx context.Context) iter.Seq2[HostedFile, error] {
	const page = 1000
	return func(yield func(HostedFile, error) bool) {
		products, err := productNames(ctx, s.read)
		for _, p := range products {
			tag, name := "", ""
			for n := page; err == nil && n == page; {
				var files []HostedFile
				files, err = query(ctx, s.read, func(rows *sql.Rows) (HostedFile, error) {
					key, f, err := scanHosted(rows)
					return HostedFile{p.Name, key.tag, f}, err
				}, "SELECT "+hostedColumns+" FROM hosted_file WHERE product = $1 AND (tag, name) > ($2, $3) AND NOT staged ORDER BY tag, name LIMIT $4", p.id, tag, name, page)
				for _, f := range files {
					if !yield(f, nil) {
						return
					}
					tag, name = f.Tag, f.Name
				}
				n = len(files)
			}
		}
		if err != nil {
			yield(HostedFile{}, fmt.Errorf("read hosted files: %w", s.explain(err)))
		}
	}
}

// HostedContents returns the SHA-256 of all hosted files, also of staged ones.
func (s *Store) HostedContents(ctx context.Context) (map[string]bool, error) {
	sums, err := querySet[string](ctx, s.read, "SELECT DISTINCT sha256 FROM hosted_file")
	if err != nil {
		return nil, fmt.Errorf("read hosted files: %w", s.explain(err))
	}
	return sums, nil
}

// MarkDamaged records the time at which content was found damaged. If at is zero, it records
// that the content is sound.
func (s *Store) MarkDamaged(ctx context.Context, sha256 string, at time.Time) error {
	return s.inChange(ctx, func(tx *sql.Tx) error { return markDamaged(ctx, tx, sha256, at) })
}

func markDamaged(ctx context.Context, tx *sql.Tx, sha256 string, at time.Time) error {
	changes := "damaged <> 0"
	if !at.IsZero() {
		changes = "damaged = 0"
	}
	products, err := query(ctx, tx, scanValue[int64], "SELECT DISTINCT product FROM hosted_file WHERE sha256 = $1 AND "+changes, sha256)
	for _, product := range products {
		if err == nil {
			err = markReleases(ctx, tx, product, "tag IN (SELECT tag FROM hosted_file WHERE product = $2 AND sha256 = $3)", sha256)
		}
	}
	if err == nil {
		_, err = tx.ExecContext(ctx, "UPDATE hosted_file SET damaged = $2 WHERE sha256 = $1 AND "+changes, sha256, secondsOf(at))
	}
	return err
}
