package db

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"strings"
	"time"
	"unique"

	"relcheck/checker/catalog"
	"relcheck/checker/printable"
	"relcheck/checker/version"
)

// releaseKey identifies a release.
type releaseKey struct {
	product int64
	tag     string
}

// layerKey identifies what a source says about a release.
type layerKey struct {
	releaseKey
	source catalog.Source
}

// storedRelease is a release as it is stored.
type storedRelease struct {
	ids    [2]int64             // by source
	layers [2]*catalog.Layer    // by source; nil if the source has no layer
	hosted []catalog.HostedFile // sorted by name
}

// id returns the ID of the release, which stays the same when upstream lists a release that
// the operator has added.
func (r *storedRelease) id() int64 { return cmp.Or(r.ids[catalog.Operator], r.ids[catalog.Upstream]) }

// layer returns what a source says.
func (r *storedRelease) layer(source catalog.Source) (l catalog.Layer) {
	if r != nil && r.layers[source] != nil {
		l = *r.layers[source]
	}
	return l
}

func (r *storedRelease) merge(scheme version.Scheme, tag string) catalog.Release {
	merged := catalog.NewRelease(scheme.Parse(tag), r.layers[catalog.Upstream], r.layers[catalog.Operator])
	merged.ID, merged.Hosted = r.id(), r.hosted
	return merged
}

// storedLayer is a layer with its key, to be written.
type storedLayer struct {
	layerKey
	id int64 // of the release
	catalog.Layer
}

const layerColumns = `release_layer.product, release_layer.tag, release_layer.layer, release_layer.id, release_layer.title, release_layer.notes,
	release_layer.created, release_layer.published, release_layer.prerelease, release_layer.withdrawn, release_layer.reason, release_layer.list, release_layer.gone`

// readReleases returns the releases of a query for layerColumns, with the files of a query
// for fileColumns.
func readReleases(ctx context.Context, q querier, layers, files string, args ...any) (map[releaseKey]*storedRelease, error) {
	byLayer, err := readFiles(ctx, q, files, args...)
	if err != nil {
		return nil, err
	}
	all := map[releaseKey]*storedRelease{}
	err = eachRow(ctx, q, func(rows *sql.Rows) error {
		var key layerKey
		var id int64
		var created, published *int64
		l := new(catalog.Layer)
		err := rows.Scan(&key.product, &key.tag, &key.source, &id, &l.Title, &l.Notes, &created, &published, &l.Prerelease, &l.Withdrawn, &l.Reason, &l.List, &l.Gone)
		if err != nil {
			return err
		}
		l.Created, l.Published = optionalTime(created), optionalTime(published)
		if l.Reason != nil {
			*l.Reason = printable.Clean(*l.Reason)
		}
		l.List = unique.Make(l.List).Value()
		l.Files = byLayer[key]
		r := all[key.releaseKey]
		if r == nil {
			r = new(storedRelease)
			all[key.releaseKey] = r
		}
		r.ids[key.source], r.layers[key.source] = id, l
		return nil
	}, layers, args...)
	return all, err
}

func optionalTime(at *int64) *time.Time {
	if at == nil {
		return nil
	}
	return new(time.Unix(*at, 0).UTC())
}

const fileColumns = `file_layer.product, file_layer.tag, file_layer.layer, file_layer.name, file_layer.os, file_layer.arch, file_layer.id,
	file_layer.url, file_layer.size, file_layer.sha256, file_layer.sha512, file_layer.media_type`

// readFiles returns the files of a query for fileColumns, by layer and sorted.
func readFiles(ctx context.Context, q querier, text string, args ...any) (map[layerKey][]catalog.File, error) {
	all := map[layerKey][]catalog.File{}
	err := eachRow(ctx, q, func(rows *sql.Rows) error {
		var key layerKey
		var f catalog.File
		err := rows.Scan(&key.product, &key.tag, &key.source, &f.Name, &f.Platform.OS, &f.Platform.Arch, &f.ID, &f.URL, &f.Size, &f.SHA256, &f.SHA512, &f.MediaType)
		if strings.HasSuffix(f.URL, "/"+f.Name) { // share its memory
			f.Name = f.URL[len(f.URL)-len(f.Name):]
		}
		f.MediaType = unique.Make(f.MediaType).Value()
		all[key] = append(all[key], f)
		return err
	}, text, args...)
	for key, files := range all {
		slices.SortFunc(files, catalog.CompareFiles)
		all[key] = slices.Clone(files) // without room for more
	}
	return all, err
}

// releasesWhere returns the visible releases that match a condition on product and tag.
func releasesWhere(ctx context.Context, q querier, condition string, args ...any) (map[releaseKey]*storedRelease, error) {
	all, err := readReleases(ctx, q, "SELECT "+layerColumns+" FROM release_layer WHERE "+condition+" AND revision <> -1",
		"SELECT "+fileColumns+" FROM file_layer WHERE "+condition+" AND NOT gone", args...)
	if err == nil {
		err = readHosted(ctx, q, all, "SELECT "+hostedColumns+" FROM hosted_file WHERE "+condition+" AND NOT staged", args...)
	}
	return all, err
}

// readBodies reads the release notes, which other queries leave out because of their size.
func (r *storedRelease) readBodies(ctx context.Context, q querier, key releaseKey) error {
	return eachRow(ctx, q, func(rows *sql.Rows) error {
		var source catalog.Source
		var body string
		err := rows.Scan(&source, &body)
		if err == nil && r.layers[source] != nil {
			r.layers[source].Text = &body
		}
		return err
	}, "SELECT layer, body FROM release_layer WHERE product = $1 AND tag = $2 AND revision <> -1 AND body IS NOT NULL", key.product, key.tag)
}

// writeLayers stores layers of one product, with a revision of the catalog. Files that a
// layer does not have any more keep their rows, so that they keep their IDs.
func (s *Store) writeLayers(ctx context.Context, tx *sql.Tx, rows []storedLayer, revision int64) error {
	if len(rows) == 0 {
		return nil
	}
	if err := assignIDs(ctx, tx, rows); err != nil {
		return err
	}
	// In one order, so that an import that stages releases and one that changes the same
	// releases never wait for each other.
	slices.SortFunc(rows, func(a, b storedLayer) int {
		return cmp.Or(strings.Compare(a.tag, b.tag), cmp.Compare(a.source, b.source))
	})
	layers := newInserter(tx, s.numbered, `INSERT INTO release_layer
		(product, tag, layer, id, title, notes, body, created, published, prerelease, withdrawn, reason, list, gone, revision) VALUES `,
		` ON CONFLICT (product, tag, layer) DO UPDATE SET id = excluded.id, title = excluded.title, notes = excluded.notes, body = COALESCE(excluded.body, release_layer.body),
			created = excluded.created, published = excluded.published, prerelease = excluded.prerelease, withdrawn = excluded.withdrawn,
			reason = excluded.reason, list = excluded.list, gone = excluded.gone, revision = excluded.revision`)
	defer layers.close()
	for _, r := range rows {
		err := layers.add(ctx, r.product, r.tag, r.source, r.id, r.Title, r.Notes, r.Text, unixTime(r.Created), unixTime(r.Published),
			r.Prerelease, r.Withdrawn, r.Reason, r.List, r.Gone, revision)
		if err != nil {
			return err
		}
	}
	if err := layers.flush(ctx); err != nil {
		return err
	}
	if revision >= 0 { // a reader of changed rows needs both layers of a release
		in, list := s.inList("$3", mapped(rows, func(r storedLayer) string { return r.tag }))
		if _, err := tx.ExecContext(ctx, "UPDATE release_layer SET revision = $1 WHERE product = $2 AND revision <> -1 AND tag "+in, revision, rows[0].product, list); err != nil {
			return err
		}
	}
	return s.writeFiles(ctx, tx, rows)
}

// assignIDs assigns IDs to new releases and files of rows, which it changes. The layers of
// a release must follow each other. Two transactions that do this wait for each other.
func assignIDs(ctx context.Context, tx *sql.Tx, rows []storedLayer) error {
	releases, files := int64(0), int64(0)
	for i := range rows {
		r := &rows[i]
		if r.id == 0 {
			releases++
		}
		r.Files = slices.Clone(r.Files) // of the caller
		for _, f := range r.Files {
			if f.ID == 0 {
				files++
			}
		}
	}
	release, err := nextIDs(ctx, tx, "release", releases)
	if err != nil {
		return err
	}
	file, err := nextIDs(ctx, tx, "file", files)
	for i := range rows {
		r := &rows[i]
		switch {
		case r.id != 0:
		case i > 0 && rows[i-1].releaseKey == r.releaseKey:
			r.id = rows[i-1].id
		default:
			r.id = release
			release++
		}
		for j := range r.Files {
			if r.Files[j].ID == 0 {
				r.Files[j].ID = file
				file++
			}
		}
	}
	return err
}

// nextIDs reserves n consecutive IDs and returns the first one.
func nextIDs(ctx context.Context, tx *sql.Tx, name string, n int64) (first int64, err error) {
	if n == 0 {
		return 0, nil
	}
	last, err := increase(ctx, tx, name, n)
	return last - n + 1, err
}

// writeFiles stores the files of layers.
func (s *Store) writeFiles(ctx context.Context, tx *sql.Tx, rows []storedLayer) error {
	tags := [2][]string{}
	for _, r := range rows {
		tags[r.source] = append(tags[r.source], r.tag)
	}
	for source, tags := range tags {
		if len(tags) > 0 {
			in, list := s.inList("$3", tags)
			if _, err := tx.ExecContext(ctx, "UPDATE file_layer SET gone = true WHERE product = $1 AND layer = $2 AND NOT gone AND tag "+in, rows[0].product, source, list); err != nil {
				return err
			}
		}
	}
	files := newInserter(tx, s.numbered, "INSERT INTO file_layer (product, tag, layer, name, os, arch, id, url, size, sha256, sha512, media_type, gone) VALUES ",
		` ON CONFLICT (product, tag, layer, name, os, arch) DO UPDATE SET url = excluded.url, size = excluded.size, sha256 = excluded.sha256,
			sha512 = excluded.sha512, media_type = excluded.media_type, gone = false`)
	defer files.close()
	for _, r := range rows {
		for _, f := range r.Files {
			if err := files.add(ctx, r.product, r.tag, r.source, f.Name, f.Platform.OS, f.Platform.Arch, f.ID, f.URL, f.Size, f.SHA256, f.SHA512, f.MediaType, false); err != nil {
				return err
			}
		}
	}
	return files.flush(ctx)
}

func unixTime(t *time.Time) *int64 {
	if t == nil {
		return nil
	}
	return new(t.Unix())
}
