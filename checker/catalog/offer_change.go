package catalog

import (
	"slices"
	"time"
)

// OfferChange is a change of what the product or one of its channels offers.
type OfferChange struct {
	Channel string // or empty for clients without a channel
	From    string // tag of the latest release before, or empty
	To      string // tag of the latest release after, or empty
}

// OfferChanges returns what changes for clients if a release becomes another one of the
// same tag, or is removed if next is nil. The releases must be in the order of
// [Product.Rank].
func (p *Product) OfferChanges(ranked []*Ranked, tag string, next *Release, now time.Time) (changes []OfferChange) {
	after := slices.DeleteFunc(slices.Clone(ranked), func(r *Ranked) bool { return r.Tag == tag })
	if next != nil {
		r := p.Rank([]Release{*next})[0]
		i, _ := slices.BinarySearchFunc(after, r, CompareRank)
		after = slices.Insert(after, i, r)
	}
	compare := func(name string, c *Channel) {
		from, to := p.Offer(ranked, c, now).Latest, p.Offer(after, c, now).Latest
		if change := (OfferChange{name, from.tag(), to.tag()}); change.From != change.To {
			changes = append(changes, change)
		}
	}
	compare("", nil)
	for _, c := range p.ChannelList() {
		compare(c.Name, &c)
	}
	return changes
}

// tag returns the tag of the release, or "" if there is none.
func (r *Ranked) tag() string {
	if r == nil {
		return ""
	}
	return r.Tag
}
