// Peer serves what Longhorn's upgrade-responder answers, which is the same question
// as relcheck's, and records nothing of it: it is given no database. Benchmarks
// start it, for upgrade-responder's own program listens on all addresses.
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
