package command

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"relcheck/checker/catalog"
)

// listenFlag adds the flag --listen.
func listenFlag(c *cobra.Command, address *string) {
	c.Flags().StringVar(address, "listen", "localhost:8080", "`address` to listen on; port 0 selects a free one")
}

// sinceFlag adds the flag --since, which sets from.
func sinceFlag(c *cobra.Command, from *time.Time) {
	c.Flags().Func("since", "oldest `time` to print: a duration before now (24h, 30d), a date or an RFC 3339 time", func(s string) (err error) {
		*from, err = parseSince(s, time.Now())
		return err
	})
}

// parseSince parses a duration before now or a point in time.
func parseSince(s string, now time.Time) (time.Time, error) {
	if d, err := catalog.ParseDuration(s); err == nil {
		return now.Add(-d), nil
	}
	if t, err := catalog.ParseTime(s); err == nil {
		return t, nil
	}
	return time.Time{}, errors.New("enter a duration (24h, 7d), a date (2026-01-31) or an RFC 3339 time")
}

// durationFlag is the value of a flag: a duration of at least some time. If forever is
// set, 0 means forever.
type durationFlag struct {
	value   *time.Duration
	least   time.Duration
	forever bool
}

func (f durationFlag) Type() string { return "time" }

func (f durationFlag) String() string {
	const day = 24 * time.Hour
	switch d := *f.value; {
	case d == 0:
		return "forever"
	case d%day == 0:
		return strconv.Itoa(int(d/day)) + "d"
	default:
		return d.String()
	}
}

func (f durationFlag) Set(s string) error {
	d, err := catalog.ParseDuration(s)
	valid := err == nil && d >= f.least
	switch {
	case f.forever && s == "forever":
		d = 0
	case !valid && f.forever:
		return errors.New("enter days (30d), hours (36h) or forever")
	case !valid:
		return errors.New("enter days (1d), hours (24h) or minutes (30m)")
	}
	*f.value = d
	return nil
}

// intervalFlag is a durationFlag that can also be never.
type intervalFlag struct{ durationFlag }

func (f intervalFlag) String() string {
	if *f.value == 0 {
		return "never"
	}
	return f.durationFlag.String()
}

func (f intervalFlag) Set(s string) error {
	if s == "never" {
		*f.value = 0
		return nil
	}
	return f.durationFlag.Set(s)
}

// keepFlag adds a flag for how long data is kept.
func keepFlag(c *cobra.Command, keep *time.Duration, name, usage string) {
	c.Flags().Var(durationFlag{keep, time.Hour, true}, name, usage)
}

// staleFlag adds the flag --stale-after.
func staleFlag(c *cobra.Command, after *time.Duration) {
	*after = catalog.StaleAfter
	c.Flags().Var(durationFlag{after, time.Minute, false}, "stale-after", "warn if the last successful sync with an upstream is older")
}

// parseNetworks parses IP addresses and networks, separated by commas.
func parseNetworks(list string) (all []netip.Prefix, err error) {
	for text := range strings.SplitSeq(list, ",") {
		p, err := parseNetwork(strings.TrimSpace(text))
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

func parseNetwork(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return addr.Prefix(addr.BitLen())
	}
	p, err := netip.ParsePrefix(s)
	if err != nil || p.Addr().Is4In6() {
		return p, fmt.Errorf("%q is neither an IP address (10.0.0.1) nor a network (10.0.0.0/8)", s)
	}
	if p.Bits() == 0 { // any client could then choose its own address
		return p, fmt.Errorf("%q contains all clients, so that each could claim any IP address: enter the proxy's network only", s)
	}
	return p.Masked(), nil
}
