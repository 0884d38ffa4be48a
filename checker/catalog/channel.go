package catalog

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Channel is a named view of a product's releases: its clients are offered the newest
// release in a range.
type Channel struct {
	Name        string // with the form of a product's name: "lts"
	Match       string // see [version.Range]; empty for all versions
	Prereleases bool   // also offer pre-releases
}

// maxChannels is the number of channels that a product can have.
const maxChannels = 50

// ChannelList returns the channels of the product, sorted by name.
func (p *Product) ChannelList() []Channel { return parseChannels(p.Channels) }

// parseChannels parses the lines of a list: a name, a range without spaces, and the
// word "prereleases" if they are offered. The range "*" contains all versions.
func parseChannels(list string) (channels []Channel) {
	for line := range strings.Lines(list) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		c := Channel{Name: fields[0], Match: fields[1], Prereleases: len(fields) > 2}
		if c.Match == "*" {
			c.Match = ""
		}
		channels = append(channels, c)
	}
	slices.SortFunc(channels, func(a, b Channel) int { return strings.Compare(a.Name, b.Name) })
	return channels
}

// FormatChannels returns the value of [Product.Channels].
func FormatChannels(channels []Channel) string {
	var b strings.Builder
	for _, c := range channels {
		b.WriteString(c.Name + " " + cmp.Or(strings.Join(strings.Fields(c.Match), ""), "*"))
		if c.Prereleases {
			b.WriteString(" prereleases")
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// SetChannel returns the change that adds a channel, or replaces the one of its name. The
// error is a [FieldError].
func (p *Product) SetChannel(c Channel) (ProductPatch, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	others := slices.DeleteFunc(p.ChannelList(), func(old Channel) bool { return old.Name == c.Name })
	return ProductPatch{"channels": FormatChannels(append(others, c))}, nil
}

// RemoveChannel returns the change that removes a channel. The error wraps [ErrNotFound] if
// there is none of that name.
func (p *Product) RemoveChannel(name string) (ProductPatch, error) {
	if p.ChannelNamed(name) == nil {
		return nil, fmt.Errorf("product %s has no channel %s: %w; list its channels with relcheck product channel list %[1]s", p.Name, name, ErrNotFound)
	}
	return ProductPatch{"channels": FormatChannels(slices.DeleteFunc(p.ChannelList(), func(c Channel) bool { return c.Name == name }))}, nil
}

// ChannelNamed returns the channel of a name, or nil.
func (p *Product) ChannelNamed(name string) *Channel {
	for _, c := range p.ChannelList() {
		if c.Name == name {
			return &c
		}
	}
	return nil
}

// checkChannels returns a [FieldError] unless a list of channels is valid.
func checkChannels(list string) error {
	channels := parseChannels(list)
	if len(channels) > maxChannels {
		return fieldErrorf("channels", "there are %d; give at most %d", len(channels), maxChannels)
	}
	for i, c := range channels {
		if i > 0 && c.Name == channels[i-1].Name {
			return fieldErrorf("channels", "channel %s is listed twice", c.Name)
		}
		if m, ok := errors.AsType[*FieldError](c.Check()); ok {
			return fieldErrorf("channels", "%s", m.Text)
		}
	}
	return nil
}

// Check returns a [FieldError] if the name or the range is invalid.
func (c *Channel) Check() error {
	if !ValidProductName(c.Name) {
		return fieldErrorf("name", "%q cannot be a channel's name: "+NameRule, c.Name)
	}
	return checkRange(c.Match)
}
