package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"relcheck/checker/catalog"
	"relcheck/checker/fetch"
	"relcheck/checker/mirror"
	"relcheck/checker/server/hosting"
	"relcheck/checker/upstream"
)

// fetchFile fetches a file that a client has requested, and records that it is hosted.
func (s *Server) fetchFile(ctx context.Context, req fileRequest, f *catalog.NamedFile) (hosting.File, error) {
	key := fmt.Sprintf("%s %q %q %+v", req.p.Name, req.r.Tag, f.Name, f.Listed)
	return s.fetcher.Fetch(ctx, key, func(ctx context.Context) (hosting.File, error) {
		log := s.log.With("product", req.p.Name, "release", req.r.Tag, "file", f.Name)
		h, err := s.download(ctx, req, f)
		if err == nil {
			h.Fetched = time.Now().UTC().Truncate(time.Second)
			err = s.record(ctx, req, h)
		}
		if err != nil {
			log.Error("cannot fetch a file that a client has requested", "err", err)
			return hosting.File{}, err
		}
		s.refresh(ctx) // otherwise a later request may fetch it again; Watch logs an error
		log.Info("fetched a file", "bytes", h.Size, "verified", h.Verified)
		return hosting.File{Name: path.Base(f.Name), Content: mirror.Content{SHA256: h.SHA256, Size: h.Size}, Verified: h.Verified, MediaType: f.Listed.MediaType, Fetched: h.Fetched}, nil
	})
}

// record records that content in the folder is a hosted file.
func (s *Server) record(ctx context.Context, req fileRequest, h catalog.HostedFile) error {
	release, err := s.options.Files.Hold(ctx, mirror.Content{SHA256: h.SHA256, Size: h.Size})
	if err != nil {
		return err
	}
	defer release()
	s.files.Forget(h.SHA256)
	return s.store.HostFile(ctx, req.p.Name, req.r.Tag, h)
}

// download fetches a file into the folder, and verifies it if upstream has a checksum. The
// operator has chosen the hosts of upstreams and of the template, which may be in a private
// network. A link to another host comes from a list, so that it could lead to hosts that only
// this server can reach. Therefore such a host must have a public address, and HTTPS if there
// is no checksum.
func (s *Server) download(ctx context.Context, req fileRequest, f *catalog.NamedFile) (h catalog.HostedFile, err error) {
	u, err := url.Parse(f.Listed.URL)
	if err != nil {
		return h, fetch.WithoutURL(err)
	}
	trusted := slices.Contains(trustedHosts(&req.p.Product), strings.ToLower(u.Host))
	if !trusted {
		ctx = fetch.PublicOnly(ctx)
	}
	var listed []catalog.File
	for _, other := range req.p.NamedFiles(&req.r.Release) {
		listed = append(listed, other.Listed)
	}
	files := []catalog.File{f.Listed}
	sums := upstream.ChecksumFiles{Client: s.options.Fetcher.Client, Guess: true,
		Follow: func(ctx context.Context, to *url.URL) (context.Context, error) { return fetch.Follow(ctx, u, to) }}
	if err := sums.Complete(ctx, files, listed); err != nil {
		return h, err
	}
	from := mirror.Source{URL: f.Listed.URL, Size: f.Listed.Size, Digests: mirror.Digests{SHA256: files[0].SHA256, SHA512: files[0].SHA512}}
	if !trusted && !from.Known() && u.Scheme != "https" {
		return h, errors.New("a file without a checksum is fetched only from the host of an upstream, or over HTTPS: use relcheck file fetch")
	}
	c, err := s.options.Fetcher.Fetch(ctx, from, nil)
	return catalog.HostedFile{Name: f.Name, URL: from.URL, SHA256: c.SHA256, SHA512: from.SHA512, Size: c.Size, Verified: from.Known()}, err
}

// trustedHosts returns the hosts of a product's upstreams and of its template for downloads.
func trustedHosts(p *catalog.Product) (hosts []string) {
	addresses := []string{p.Download} // a tag in the host is a parse error
	for _, text := range p.UpstreamList() {
		from, _ := catalog.ParseUpstream(text)
		addresses = append(addresses, from.API, from.URL)
	}
	for _, address := range addresses {
		if u, err := url.Parse(address); err == nil && u.Host != "" {
			hosts = append(hosts, strings.ToLower(u.Host))
		}
	}
	return hosts
}

// fetchFailure returns the answer to a request for a file that could not be fetched. The
// reason is only in the log, because it may describe the network and the disk.
func fetchFailure(err error) error {
	text := "the file could not be fetched from upstream; try again later"
	switch {
	case errors.Is(err, fs.ErrNotExist):
		text = "upstream does not have the file"
	case errors.Is(err, mirror.ErrMismatch):
		text = "upstream's file is not the expected one"
	}
	return fail(http.StatusBadGateway, "not_fetched", "", text)
}
