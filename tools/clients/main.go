// Clients runs the released code with which another program looks for updates, once. It
// prints the version that this code announces or installs, or nothing.
//
//	clients NAME URL VERSION [ARGUMENTS]
//
// URL is what the client is configured with, and VERSION the version that it runs. The
// arguments of each client are at its function.
package main

import (
	"fmt"
	"os"
)

var clients = map[string]func(url, version string, args []string) (announced string, err error){
	"checkpoint":    checkCheckpoint,
	"go-github":     checkGoGitHub,
	"go-selfupdate": updateSelf,
	"longhorn":      checkLonghorn,
	"syncthing":     checkSyncthing,
	"temporal":      checkTemporal,
}

func main() {
	announced, err := clients[os.Args[1]](os.Args[2], os.Args[3], os.Args[4:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if announced != "" {
		fmt.Println(announced)
	}
}
