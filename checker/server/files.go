package server

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"relcheck/checker/catalog"
	"relcheck/checker/mirror"
	"relcheck/checker/server/hosting"
)

// fileRequest is a request for a file of a release.
type fileRequest struct {
	p    *product
	r    *catalog.Ranked
	name string
	sum  bool // its checksum is requested
}

// file returns the requested file, or nil.
func (req fileRequest) file() *catalog.NamedFile {
	return req.r.NamedFile(&req.p.Product, req.name)
}

// file answers GET /files/{product}/{tag}/{name}. The tag may contain slashes.
func (s *Server) file(w http.ResponseWriter, r *http.Request, _ identity) error {
	rest := strings.TrimPrefix(r.URL.EscapedPath(), "/files/")
	product, rest, _ := strings.Cut(rest, "/")
	return s.sendFile(w, r, product, rest)
}

// sendFile sends a file of a product, with the tag and name of an escaped path.
func (s *Server) sendFile(w http.ResponseWriter, r *http.Request, product, path string) error {
	if s.files == nil {
		return fail(http.StatusNotFound, "not_found", "", "this server serves no files; start it with relcheck serve --files DIR")
	}
	req, ok := s.fileRequest(product, path)
	if !ok {
		return errNoFile
	}
	err := s.send(w, r, req)
	if s.fetcher != nil && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, mirror.ErrDamaged)) { // which is known from now on
		err = s.send(w, r, req)
	}
	return s.fileFailure(req, err)
}

// send sends a file or its checksum. If it returns an error, it has sent nothing.
func (s *Server) send(w http.ResponseWriter, r *http.Request, req fileRequest) error {
	meta, err := s.find(r.Context(), w, req)
	switch {
	case err != nil:
		return err
	case req.sum:
		hosting.ServeSum(w, r, meta)
		return nil
	}
	return s.files.Serve(w, r, meta)
}

// fileRequest finds the release and the file of an escaped path. The file's name is the last
// segment or the last two.
func (s *Server) fileRequest(product, path string) (req fileRequest, ok bool) {
	p := s.snapshot.Load().products.get(product)
	if p == nil {
		return req, false
	}
	for tag, name := path, ""; !strings.Contains(name, "/"); {
		slash := strings.LastIndexByte(tag, '/')
		if slash < 0 {
			break
		}
		tag, name = tag[:slash], path[slash+1:]
		tag, tagErr := url.PathUnescape(tag)
		name, nameErr := url.PathUnescape(name)
		r := p.tagged(tag)
		if tagErr != nil || nameErr != nil || r == nil || r.Date.After(time.Now()) {
			continue
		}
		if req = (fileRequest{p: p, r: r, name: name}); req.file() != nil {
			return req, true
		}
		if req.name, req.sum = strings.CutSuffix(name, ".sha256"); req.sum && req.file() != nil {
			return req, true
		}
	}
	return req, false
}

// errNoFile is the failure of a request for a file that does not exist.
var errNoFile = fail(http.StatusNotFound, "unknown_file", "", "there is no such file; GET the releases of the product for a list of files")

// find returns the requested file. With fetch on demand, it fetches a missing file.
func (s *Server) find(ctx context.Context, w http.ResponseWriter, req fileRequest) (hosting.File, error) {
	f := req.file()
	switch h := f.Hosted; {
	case f.State == catalog.FileChanged:
		return hosting.File{}, fail(http.StatusNotFound, "file_changed", "", "upstream has changed the file under the same name; the operator can fetch it again with relcheck file fetch")
	case f.State == catalog.FileHosted && (s.files.Usable(h.SHA256) || s.files.Find(mirror.ContentOf(h))):
		return hosting.File{Name: path.Base(req.name), Content: mirror.Content{SHA256: h.SHA256, Size: h.Size}, Verified: h.Verified, MediaType: f.Listed.MediaType, Fetched: h.Fetched}, nil
	case s.fetcher != nil && f.Listed.URL != "":
		http.NewResponseController(w).SetReadDeadline(time.Time{}) // it would end the context of the request
		return s.fetchFile(ctx, req, f)
	case f.State == catalog.NotHosted:
		return hosting.File{}, errNoFile
	case f.State == catalog.FileDamaged:
		return hosting.File{}, mirror.ErrDamaged
	}
	return hosting.File{}, cmp.Or(s.files.Problem(f.Hosted.SHA256), fs.ErrNotExist)
}

// fileFailure returns the answer to a request for a file that cannot be served.
func (s *Server) fileFailure(req fileRequest, err error) error {
	fetch := new(hosting.FetchError)
	switch {
	case err == nil:
		return nil
	case errors.As(err, new(*failure)):
		return err
	case errors.As(err, &fetch):
		return fetchFailure(fetch)
	case errors.Is(err, hosting.ErrBusy), errors.Is(err, mirror.ErrChanging), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return unavailable("busy", "the file cannot be sent right now; try again in a moment")
	case errors.Is(err, mirror.ErrDamaged):
		return fail(http.StatusServiceUnavailable, "file_damaged", "", "the file was damaged on disk; the operator can fetch it again with relcheck file fetch")
	case errors.Is(err, fs.ErrNotExist):
		return fail(http.StatusServiceUnavailable, "file_missing", "", "the file is missing in the folder of this server; the operator can fetch it again with relcheck file fetch")
	}
	s.log.Error("cannot read a file", "product", req.p.Name, "release", req.r.Tag, "file", req.name, "err", err)
	return unavailable("not_read", "the file could not be read; try again later")
}

// openFiles prepares the folder of hosted files.
func (s *Server) openFiles(ctx context.Context) {
	if s.options.Files == nil {
		return
	}
	s.files = hosting.New(s.options.Files, s.log)
	s.files.Changed = func() { s.filesChanged.Store(true) }
	s.files.Damaged = func(ctx context.Context, sum string) {
		if err := s.store.MarkDamaged(ctx, sum, time.Now()); err != nil {
			s.log.Error("cannot record that a file is damaged: run relcheck file verify", "sha256", sum, "err", err)
		}
	}
	if s.options.Fetcher != nil {
		s.fetcher = hosting.NewFetcher(ctx)
	}
}

// scan checks which files of changed releases are in the folder.
func (s *Server) scan(changes catalog.Changes) {
	if s.files == nil {
		return
	}
	var contents []mirror.Content
	for _, p := range changes.Products {
		for _, r := range p.Releases {
			for _, h := range r.Hosted {
				contents = append(contents, mirror.Content{SHA256: h.SHA256, Size: h.Size})
			}
		}
	}
	if len(contents) > 0 {
		s.files.Scan(contents)
	}
}

// withFiles returns a change of all releases that have hosted files, so that their links
// are updated.
func (s *snapshot) withFiles() catalog.Changes {
	c := catalog.Changes{Revision: s.revision}
	for _, p := range s.products.all() {
		l := catalog.Listing{ID: p.id, Product: p.Product}
		for _, r := range p.releases {
			if len(r.Hosted) > 0 {
				l.Releases = append(l.Releases, r.Release)
			}
		}
		if len(l.Releases) > 0 {
			c.Products = append(c.Products, l)
		}
	}
	return c
}

// hosted returns the contents of all hosted files.
func (s *Server) hosted() []mirror.Content {
	sizes := map[string]int64{}
	for _, p := range s.snapshot.Load().products.all() {
		for _, r := range p.releases {
			for _, h := range r.Hosted {
				sizes[h.SHA256] = h.Size
			}
		}
	}
	all := make([]mirror.Content, 0, len(sizes))
	for _, sum := range slices.Sorted(maps.Keys(sizes)) {
		all = append(all, mirror.Content{SHA256: sum, Size: sizes[sum]})
	}
	return all
}
