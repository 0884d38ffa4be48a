package command

import (
	"cmp"
	"context"
	"time"

	"github.com/spf13/cobra"

	"relcheck/checker/catalog"
	"relcheck/checker/server"
	"relcheck/db"
)

func channelCommand(streams IO) *cobra.Command {
	return group("channel", "Manage the channels of a product.", `
  relcheck product channel add myapp lts --match '<2'
  relcheck product channel list myapp`,
		channelAdd(streams), channelList(streams), channelRemove(streams))
}

func channelAdd(streams IO) *cobra.Command {
	var channel catalog.Channel
	c := existingStoreCommand(&cobra.Command{
		Use:   "add NAME CHANNEL",
		Short: "Add or change a channel.",
		Long: `Add or change a channel: its clients are offered the newest release in a range of
versions. They use the path /p/NAME@CHANNEL.

A range has conditions that are separated by commas: <2, <=1.4, >1.4, >=1.4, =1.4, 1.x,
~1.4.2 (at least 1.4.2, with the same first two numbers), ^1.4.2 (at least 1.4.2, with the
same numbers up to the first that is not 0).`,
		Example: `  relcheck product channel add myapp lts --match '<2'
  relcheck product channel add myapp preview --prereleases`,
	}, func(ctx context.Context, s *db.Store, args []string) error {
		channel.Name = args[1]
		done := "added"
		err := setProduct(ctx, s, args[0], func(p catalog.Product) (catalog.ProductPatch, error) {
			if p.ChannelNamed(channel.Name) != nil {
				done = "changed"
			}
			return p.SetChannel(channel)
		})
		if err != nil {
			return err
		}
		p, ranked, err := rankedReleases(ctx, s, args[0])
		if err != nil {
			return err
		}
		offered, offer := "no release yet", p.Offer(ranked, &channel, time.Now())
		switch {
		case offer.Latest != nil:
			offered = offer.Latest.Tag
		case !offer.Next.IsZero():
			offered += " (the next one is offered from " + offer.Next.UTC().Format(time.RFC3339) + " on)"
		}
		base, _, err := baseURL(ctx, s)
		return streams.done(err, "%s channel %s: clients of %s/p/%s@%[2]s are offered %[5]s", done, channel.Name, base, p.Name, offered)
	})
	c.Flags().StringVar(&channel.Match, "match", "", "`range` of versions, such as '<2' (default: all)")
	c.Flags().BoolVar(&channel.Prereleases, "prereleases", false, "also offer pre-releases")
	return c
}

func channelRemove(streams IO) *cobra.Command {
	return existingStoreCommand(&cobra.Command{
		Use:     "remove NAME CHANNEL",
		Short:   "Remove a channel. Afterwards, its clients get an error.",
		Example: "  relcheck product channel remove myapp lts",
	}, func(ctx context.Context, s *db.Store, args []string) error {
		err := setProduct(ctx, s, args[0], func(p catalog.Product) (catalog.ProductPatch, error) { return p.RemoveChannel(args[1]) })
		return streams.done(err, "removed channel %s of %s", args[1], args[0])
	})
}

func channelList(streams IO) *cobra.Command {
	return showCommand(streams, &cobra.Command{
		Use:     "list NAME",
		Short:   "List the channels of a product, with the release that each offers.",
		Example: "  relcheck product channel list myapp",
	}, func(ctx context.Context, s *db.Store, args []string, o *output) error {
		p, ranked, err := rankedReleases(ctx, s, args[0])
		if err != nil {
			return err
		}
		o.value = server.ChannelList(*p, unranked(ranked), time.Now())
		o.add(channelsOf(p, ranked))
		return nil
	})
}

// channelsOf lists the channels of a product.
func channelsOf(p *catalog.Product, ranked []*catalog.Ranked) *list {
	l := &list{heads: []string{"channel", "versions", "pre-releases", "latest"}}
	add := func(name, match string, prereleases bool, c *catalog.Channel) {
		latest := "none"
		if offer := p.Offer(ranked, c, time.Now()); offer.Latest != nil {
			latest = offer.Latest.Tag
		}
		l.row(name, cmp.Or(match, "all"), yesNo(prereleases), latest)
	}
	add("(default)", p.Match, false, nil)
	for _, c := range p.ChannelList() {
		add(c.Name, c.Match, c.Prereleases, &c)
	}
	return l
}
