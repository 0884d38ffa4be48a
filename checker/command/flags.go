package command

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"relcheck/checker/access"
	"relcheck/checker/catalog"
)

// parseSince parses a duration before now, in days ("7d") or as Go writes it, or a
// point in time. The empty string is the zero time.
func parseSince(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := parseDuration(s); err == nil {
		return now.Add(-d), nil
	}
	if t, err := catalog.ParseTime(s); err == nil {
		return t, nil
	}
	return time.Time{}, usageError("--since: invalid time %q: enter a duration (24h, 7d), a date (2026-01-31) or an RFC 3339 time", s)
}

// parseDuration parses days ("7d"), or what Go writes ("90m").
func parseDuration(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(n) * 24 * time.Hour, err
	}
	d, err := time.ParseDuration(s)
	if err == nil && d < 0 {
		err = strconv.ErrRange
	}
	return d, err
}

// showDuration formats whole days as such.
func showDuration(d time.Duration) string {
	const day = 24 * time.Hour
	if d%day == 0 {
		return strconv.Itoa(int(d/day)) + "d"
	}
	return d.String()
}

// retention is a flag's value: how long data is kept; 0 means forever.
type retention time.Duration

func (r *retention) Type() string { return "time" }

func (r *retention) String() string {
	if *r == 0 {
		return "forever"
	}
	return showDuration(time.Duration(*r))
}

func (r *retention) Set(s string) error {
	if s == "forever" {
		*r = 0
		return nil
	}
	d, err := parseDuration(s)
	if err != nil || d < time.Hour {
		return errors.New("enter days (30d), hours (36h) or forever")
	}
	*r = retention(d)
	return nil
}

// interval is a flag's value: the time between two repetitions.
type interval time.Duration

func (i *interval) Type() string { return "time" }

func (i *interval) String() string { return showDuration(time.Duration(*i)) }

func (i *interval) Set(s string) error {
	d, err := parseDuration(s)
	if err != nil || d < time.Minute {
		return errors.New("enter days (1d), hours (24h) or minutes (30m)")
	}
	*i = interval(d)
	return nil
}

// networks is a flag's value: IP addresses and networks, in several flags or separated
// by commas.
type networks []netip.Prefix

func (n *networks) Type() string { return "network" }

func (n *networks) String() string {
	var all []string
	for _, p := range *n {
		all = append(all, p.String())
	}
	return strings.Join(all, ",")
}

func (n *networks) Set(s string) error {
	for text := range strings.SplitSeq(s, ",") {
		p, err := parseNetwork(strings.TrimSpace(text))
		if err != nil {
			return err
		}
		*n = append(*n, p)
	}
	return nil
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

// scope is a flag's value: what a token permits.
type scope access.Scope

func (s *scope) Type() string   { return "scope" }
func (s *scope) String() string { return string(*s) }

func (s *scope) Set(text string) error {
	if !slices.Contains(access.Scopes, access.Scope(text)) {
		return errors.New("enter read, release or admin")
	}
	*s = scope(text)
	return nil
}
