package systemtest

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// uplink is a network interface that leads to this test instead of a network. It keeps a
// description of each packet and answers none.
type uplink struct {
	mu      sync.Mutex
	packets []string
}

// newUplink adds an uplink to the network namespace of this process, as the default route.
func newUplink(t testing.TB) *uplink {
	t.Helper()
	// Without this, the kernel itself sends packets to look for IPv6 routers.
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/default/disable_ipv6", []byte("1"), 0o644); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		missing(t, "/dev/net/tun: "+err.Error())
	}
	request, err := unix.NewIfreq("uplink")
	if err == nil {
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err != nil {
		t.Fatalf("create a network interface: %v", err)
	}
	device := os.NewFile(uintptr(fd), "uplink") // only now can it be polled
	t.Cleanup(func() { device.Close() })
	ipCommand(t, "address", "add", "192.0.2.1/24", "dev", "uplink")
	ipCommand(t, "link", "set", "uplink", "up")
	ipCommand(t, "route", "add", "default", "dev", "uplink")
	u := &uplink{}
	go func() {
		packet := make([]byte, 64<<10)
		for {
			n, err := device.Read(packet)
			if err != nil {
				return // closed
			}
			u.mu.Lock()
			u.packets = append(u.packets, describePacket(packet[:n]))
			u.mu.Unlock()
		}
	}()
	return u
}

// sent returns the packets since the last call, on one line each.
func (u *uplink) sent() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	defer func() { u.packets = nil }()
	return strings.Join(u.packets, "\n")
}

// describePacket returns the protocol and the destination of an IP packet.
func describePacket(p []byte) string {
	if len(p) < 24 || p[0]>>4 != 4 {
		return fmt.Sprintf("% x", p[:min(len(p), 48)])
	}
	to, _ := netip.AddrFromSlice(p[16:20])
	header := int(p[0]&0xf) * 4
	switch protocol := p[9]; {
	case protocol == unix.IPPROTO_TCP && len(p) >= header+4:
		return fmt.Sprintf("TCP to %v port %d", to, binary.BigEndian.Uint16(p[header+2:]))
	case protocol == unix.IPPROTO_UDP && len(p) >= header+8:
		return fmt.Sprintf("UDP to %v port %d: %.80q", to, binary.BigEndian.Uint16(p[header+2:]), p[header+8:])
	default:
		return fmt.Sprintf("protocol %d to %v", protocol, to)
	}
}

// ipCommand runs ip(8).
func ipCommand(t testing.TB, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}
