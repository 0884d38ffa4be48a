package server

import (
	"bytes"
	"cmp"
	"encoding/json"
	"sync/atomic"
	"time"

	"relcheck/checker"
	"relcheck/checker/catalog"
)

// offer is a release as it is offered to callers. The answers are encoded when
// the first caller on a platform gets one, and kept: most products have callers
// on few platforms.
type offer struct {
	product catalog.Product
	release *release                           // nil when the product has no release yet
	version string                             // canonical; empty when there is no release
	github  []byte                             // nil when there is no release
	linkErr error                              // about the first link that is left out
	answers []atomic.Pointer[[verdicts][]byte] // by platformIndex
}

// verdict is what the service says of a caller's version.
type verdict int

const (
	unknown verdict = iota
	outdated
	upToDate
	verdicts
)

// platformIndex is the place of a platform's answers. All platforms that Go does
// not build for share the first one.
var platformIndex = func() map[checker.Platform]int {
	index := map[checker.Platform]int{checker.Other: 0}
	for i, p := range checker.Platforms() {
		index[p] = i + 1
	}
	return index
}()

func newOffer(p catalog.Product, r *release) *offer {
	o := &offer{product: p, release: r, answers: make([]atomic.Pointer[[verdicts][]byte], len(platformIndex))}
	if r != nil {
		o.version = r.key
		o.github = encode(newGitHubRelease(&p, &r.Release))
		_, o.linkErr = notesLink(&p, &r.Release)
		for _, platform := range append(checker.Platforms(), checker.Other) {
			_, err := downloadLink(&p, &r.Release, platform)
			o.linkErr = cmp.Or(o.linkErr, err)
		}
	}
	return o
}

// answer returns the encoded answer to a report.
func (o *offer) answer(from checker.Platform, v verdict) []byte {
	slot := &o.answers[platformIndex[from]]
	encoded := slot.Load()
	if encoded == nil {
		encoded = encodeAnswers(o.latest(from))
		slot.Store(encoded)
	}
	return encoded[v]
}

func encodeAnswers(l checker.Latest) *[verdicts][]byte {
	var encoded [verdicts][]byte
	for v := range verdicts {
		l.UpToDate = nil
		if v != unknown {
			current := v == upToDate
			l.UpToDate = &current
		}
		encoded[v] = encode(checker.Answer{Latest: l})
	}
	return &encoded
}

// latest describes the release to a caller on a platform.
func (o *offer) latest(from checker.Platform) (l checker.Latest) {
	if r := o.release; r != nil {
		l.LatestRelease = r.Version
		l.ReleaseNotes, _ = notesLink(&o.product, &r.Release)
		l.Download, _ = downloadLink(&o.product, &r.Release, from)
	}
	return l
}

// encode returns v as a line of JSON.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // an & in a URL stays one
	if err := e.Encode(v); err != nil {
		panic(err) // only types of this package and of checker come here
	}
	return b.Bytes()
}

// formatTime returns t as GitHub writes it, or nil if it is not known.
func formatTime(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	s := t.UTC().Format(time.RFC3339)
	return &s
}
