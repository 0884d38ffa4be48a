package catalog

import (
	"slices"
	"time"
)

// Newest returns the n newest releases that answers offer at a time, for the product and
// for each of its channels. It adds releases that are offered later because of their date
// or their files. It also adds pre-releases that are offered to clients that run one. The
// releases must be in the order of [Product.Rank], and so is the result.
func (p *Product) Newest(ranked []*Ranked, n int, now time.Time) (all []*Ranked) {
	chosen := map[*Ranked]bool{}
	channels := []Channel{{Match: p.Match}}
	channels = append(channels, p.ChannelList()...)
	for _, c := range channels {
		offer, allowed, left := p.Offer(ranked, &c, now), p.parseRange(c.Match), n
		for _, r := range offer.Previews {
			chosen[r] = true
		}
		newer := offer.Latest != nil
		for _, r := range ranked {
			if newer = newer && r != offer.Latest; left > 0 && obstacle(r, allowed) == "" && (!r.Prerelease || c.Prereleases) {
				if chosen[r] = true; !newer {
					left--
				}
			}
		}
	}
	for _, r := range ranked {
		if chosen[r] {
			all = append(all, r)
		}
	}
	return slices.Clip(all)
}
