package server

import (
	"bytes"
	"encoding/json"
	"sync/atomic"
	"time"

	"relcheck/checker"
	"relcheck/checker/catalog"
)

// offer is a release that is offered to clients. The answers for a platform are encoded at
// its first request and kept, because most products have clients on few platforms.
type offer struct {
	product catalog.Product
	links   *links
	release *catalog.Ranked                    // nil if there is none
	answers []atomic.Pointer[[verdicts][]byte] // by platformIndex
}

// verdict is the judgement about a reported version.
type verdict int

const (
	unknown verdict = iota
	outdated
	withdrawn
	upToDate
	verdicts
)

// platformIndex maps platforms to indexes of offer.answers. Platforms that Go does not
// support share index 0.
var platformIndex = func() map[checker.Platform]int {
	index := map[checker.Platform]int{checker.Other: 0}
	for i, p := range checker.Platforms() {
		index[p] = i + 1
	}
	return index
}()

func newOffer(p *product, r *catalog.Ranked) *offer {
	return &offer{product: p.Product, links: p.links, release: r, answers: make([]atomic.Pointer[[verdicts][]byte], len(platformIndex))}
}

// answer returns the encoded answer to a report.
func (o *offer) answer(platform checker.Platform, v verdict) []byte {
	slot := &o.answers[platformIndex[platform]]
	encoded := slot.Load()
	if encoded == nil {
		encoded = encodeAnswers(o.latest(platform))
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
			l.Withdrawn = v == withdrawn
		}
		encoded[v] = encode(checker.Answer{Latest: l})
	}
	return &encoded
}

// latest describes the release to a client on a platform.
func (o *offer) latest(platform checker.Platform) (l checker.Latest) {
	r := o.release
	if r == nil {
		return l
	}
	l.LatestRelease = r.Tag
	l.ReleaseNotes = o.links.notes(&o.product, &r.Release)
	l.Download = o.links.download(&o.product, r, platform)
	return l
}

// encode returns v as a line of JSON.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // keep & in URLs
	if err := e.Encode(v); err != nil {
		panic(err) // all types of this package and of checker can be encoded
	}
	return b.Bytes()
}

// formatTime returns t in the format of GitHub, or nil if it is zero.
func formatTime(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	s := t.UTC().Format(time.RFC3339)
	return &s
}
