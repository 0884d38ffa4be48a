package server

import (
	"time"

	"relcheck/checker/catalog"
)

// The functions of this file return what relcheck product, release and their subcommands
// print with --json: the answers of the API, with its names.

// productDocument is the settings of a product, as in the API, with what it offers.
type productDocument struct {
	apiSettings
	Latest   *string           `json:"latest"` // the latest release, or null
	Channels []channelDocument `json:"channels"`
	Synced   []syncDocument    `json:"synced"`
}

// channelDocument is a channel with the release that it offers.
type channelDocument struct {
	apiChannel
	Latest *string `json:"latest"` // or null
}

// syncDocument is the last sync of a product with an upstream, or its last bundle.
type syncDocument struct {
	Upstream  string  `json:"upstream"`
	Tried     *string `json:"tried"`     // time of the last attempt, or null
	Succeeded *string `json:"succeeded"` // time of the last attempt that did not fail, or null
	Latest    *string `json:"latest"`    // tag of the latest release there, or null
	Error     *string `json:"error"`     // why the last attempt failed, or null
	Stale     bool    `json:"stale"`
}

func newProduct(p catalog.Product, releases []catalog.Release, now time.Time) *product {
	return (*product)(nil).with(catalog.Listing{Product: p, Releases: releases}, nil, now)
}

// ProductDocument describes a product.
func ProductDocument(p catalog.Product, releases []catalog.Release, now time.Time, staleAfter time.Duration) any {
	made := newProduct(p, releases, now)
	d := productDocument{newAPISettings(p), latestTag(made, ""), channelDocuments(made), []syncDocument{}}
	for _, f := range p.Freshness(now, staleAfter) {
		d.Synced = append(d.Synced, syncDocument{f.Upstream, formatTime(f.Tried), formatTime(f.Succeeded), nullIfEmpty(f.Latest), nullIfEmpty(f.Error), f.Stale})
	}
	return d
}

// ChannelList describes the channels of a product.
func ChannelList(p catalog.Product, releases []catalog.Release, now time.Time) any {
	return struct {
		Product  string            `json:"product"`
		Channels []channelDocument `json:"channels"`
	}{p.Name, channelDocuments(newProduct(p, releases, now))}
}

func channelDocuments(p *product) []channelDocument {
	all := []channelDocument{}
	for _, c := range p.ChannelList() {
		all = append(all, channelDocument{apiChannel(c), latestTag(p, c.Name)})
	}
	return all
}

// latestTag returns the tag of the release that a channel offers, or nil.
func latestTag(p *product, channel string) *string {
	if r := p.channels[channel].Latest; r != nil {
		return &r.Tag
	}
	return nil
}

// ReleaseList is the answer to GET /api/v1/products/{product}/releases.
func ReleaseList(p catalog.Product, releases []catalog.Release, now time.Time) any {
	made := newProduct(p, releases, now)
	return made.list(made.releases)
}

// ReleaseDocument is the answer to GET /api/v1/products/{product}/releases/{version}.
func ReleaseDocument(p catalog.Product, releases []catalog.Release, r catalog.Release, layers [2]*catalog.Layer, now time.Time) any {
	return newProduct(p, releases, now).details(r, layers)
}
