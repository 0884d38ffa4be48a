// Peer runs Longhorn's upgrade-responder, a service similar to relcheck, on a free
// loopback port and prints its address. Benchmarks compare relcheck with it;
// upgrade-responder's own command would listen on all interfaces. Without a
// database, it records nothing.
//
//	peer RESPONSE_CONFIG GEODB
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"

	"github.com/longhorn/upgrade-responder/upgraderesponder"
)

func main() {
	s, err := upgraderesponder.NewServer(make(chan struct{}), "bench", os.Args[1], "", "", "", "1h", os.Args[2])
	if err != nil {
		panic(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Printf("listening on http://%s\n", l.Addr())
	panic(http.Serve(l, upgraderesponder.NewRouter(s)))
}
