package command

import (
	"fmt"
	"net/netip"
	"strings"
)

// networks is a flag's value: addresses and networks, given one by one or with
// commas between them.
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
	for one := range strings.SplitSeq(s, ",") {
		p, err := parseNetwork(strings.TrimSpace(one))
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
		return p, fmt.Errorf("%q is neither an address (10.0.0.1) nor a network (10.0.0.0/8)", s)
	}
	if p.Bits() == 0 { // then what callers say of themselves is believed
		return p, fmt.Errorf("%q is everybody, and each could name any address; give the network of the proxy alone", s)
	}
	return p.Masked(), nil
}
