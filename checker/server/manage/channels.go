package manage

import (
	"context"
	"time"

	"relcheck/checker/catalog"
	"relcheck/checker/server/pages"
)

// channels lists the channels of a product, and adds or changes one.
func (s *Service) channels(r *Request) (*Answer, error) {
	p, err := s.product(r)
	if err != nil {
		return nil, err
	}
	f, old := newForm(r, "", "Add channel"), catalog.Channel{}
	title := "Add a channel"
	if c := p.ChannelNamed(r.URL.Query().Get("channel")); c != nil {
		old, title, f.Button, f.Cancel = *c, "Change channel "+c.Name, "Save", s.of(p, "channels")
	}
	ticked := ""
	if old.Prereleases {
		ticked = "true"
	}
	name := f.add(pages.Field{Name: "name", Label: "Name", Hint: "Clients use the path /p/" + p.Name + "@NAME.", Value: old.Name, Required: true})
	match := f.add(pages.Field{Name: "match", Label: "Range of versions", Hint: "The channel offers these versions, such as <2, 1.x or >=1.4,<3. If empty, it offers all.", Value: old.Match})
	prereleases := f.add(pages.Field{Name: "prereleases", Label: "Also offer pre-releases", Kind: pages.Check, Value: ticked})
	if f.wasSent() {
		next := catalog.Channel{Name: name.Value, Match: match.Value, Prereleases: prereleases.Value == "true"}
		f.refuse((&catalog.Channel{Name: "any", Match: next.Match}).Check()) // also if the name is invalid
		if next.Name != old.Name && p.ChannelNamed(next.Name) != nil {
			name.Error = "There is a channel with this name: change it in the list."
		} else if changes, err := p.SetChannel(next); f.refuse(err) {
			if a := s.editProduct(r, p, f, changes, "channels", "Saved channel "+next.Name+"."); a != nil {
				return a, nil
			}
		}
	}
	return page("Channels", p,
		pages.ManageSection{Texts: []string{"A channel offers the newest release in another range of versions, for example to clients that stay on version 1."}, Manual: s.manual("releases#channels", "Manual: channels"), Grid: s.channelGrid(p)},
		f.section(title)), nil
}

func (s *Service) channelGrid(p *Product) *pages.Grid {
	g := &pages.Grid{Caption: "Channels", Head: []pages.Column{{Text: "Channel"}, {Text: "Versions"}, {Text: "Pre-releases"}, {Text: "Latest"}, {}}}
	add := func(name, match string, prereleases bool, c *catalog.Channel, actions pages.Cell) {
		latest, offered := "none", "no"
		if o := p.Offer(p.Releases, c, time.Now()); o.Latest != nil {
			latest = o.Latest.Tag
		}
		if match == "" {
			match = "all"
		}
		if prereleases {
			offered = "yes"
		}
		g.Rows = append(g.Rows, []pages.Cell{{Text: name}, {Text: match}, {Text: offered}, {Text: latest}, actions})
	}
	add("(default)", p.Match, false, nil, pages.Cell{})
	for _, c := range p.ChannelList() {
		add(c.Name, c.Match, c.Prereleases, &c, pages.Cell{Of: c.Name, Links: []pages.Action{
			{Text: "Change", URL: s.of(p, "channels", "channel", c.Name)}, {Text: "Remove", URL: s.of(p, "channels/remove", "channel", c.Name), Danger: true}}})
	}
	return g
}

// removeChannel removes a channel after a confirmation.
func (s *Service) removeChannel(r *Request) (*Answer, error) {
	p, err := s.product(r)
	if err != nil {
		return nil, err
	}
	name := r.URL.Query().Get("channel")
	changes, err := p.RemoveChannel(name)
	if err != nil {
		return nil, err
	}
	c := confirmation{title: "Remove channel " + name + "?", button: "Remove " + name, danger: true, cancel: s.of(p, "channels"), next: s.of(p, "channels"), done: "Removed channel " + name + ".",
		what: []string{"Removes channel " + name + " of " + p.Title + ".", "Clients of /p/" + p.Name + "@" + name + " will get an error."}}
	c.change = func() error {
		return r.Change(func(ctx context.Context, by Store) error {
			_, _, err := by.EditProduct(ctx, p.Name, changes)
			return err
		})
	}
	return s.confirm(r, p, c), nil
}
