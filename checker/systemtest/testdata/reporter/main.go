// Command reporter reads a byte from its standard input and sends one report: to the service
// at the first argument, with the state file at the second.
package main

import (
	"context"
	"fmt"
	"os"

	"relcheck/checker"
)

func main() {
	client := &checker.Client{Product: "app", Version: "1.0.0", URL: os.Args[1], StateFile: os.Args[2]}
	os.Stdin.Read(make([]byte, 1))
	if _, err := client.Check(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
