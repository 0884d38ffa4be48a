// Relcheck is a service that records anonymous version reports and answers each
// with the latest release, and the client that sends them. Run relcheck --help for
// its commands.
package main

import (
	"context"
	_ "embed"
	"os"

	"relcheck/checker/command"
)

//go:embed schema.sql
var schema string

func main() {
	os.Exit(command.Run(context.Background(), os.Args[1:], command.IO{
		Schema: schema, In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
	}))
}
