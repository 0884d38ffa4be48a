package server

import (
	"fmt"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/printable"
)

// validLink returns a link, or an error if it must not be shown. Links are checked
// when they are stored, but older builds of relcheck checked less.
func validLink(link string, check func(string) error) (string, error) {
	if link == "" {
		return "", nil
	}
	if err := check(link); err != nil {
		return "", err
	}
	return link, nil
}

// notesLink returns the link to the notes of a release: its own, or the one from the
// product's template.
func notesLink(p *catalog.Product, r *catalog.Release) (string, error) {
	link := r.Notes
	if link == "" {
		link = catalog.Expand(p.Notes, r.Version, checker.Other)
	}
	link, err := validLink(link, printable.CheckLink)
	if err != nil {
		err = fmt.Errorf("notes of release %s: %w", r.Version, err)
	}
	return link, err
}

// downloadLink returns the link to the file of a release for a platform: its own, or the
// one from the product's template.
func downloadLink(p *catalog.Product, r *catalog.Release, on checker.Platform) (string, error) {
	link := r.Assets[on]
	if link == "" {
		link = catalog.Expand(p.Download, r.Version, on)
	}
	link, err := validLink(link, printable.CheckDownload)
	if err != nil {
		err = fmt.Errorf("download of release %s for %v: %w", r.Version, on, err)
	}
	return link, err
}

// logLinkErrors logs each changed product with an invalid link, once until the link
// changes.
func (s *Server) logLinkErrors(last, next *snapshot, changed []catalog.Listing) {
	for _, l := range changed {
		linkErr := next.products.find(l.Name).linkErr
		if linkErr == "" || last.products.find(l.Name) != nil && last.products.find(l.Name).linkErr == linkErr {
			continue
		}
		s.log.Error("an invalid stored link is left out of answers: change it with relcheck product set or release add", "product", l.Name, "link", linkErr)
	}
}
