// Command host is a program that starts a client and has other things to do.
// Its output, its exit status and how long it takes must not depend on how the
// release service fares.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"relcheck/checker"
)

func main() {
	client := &checker.Client{Product: "host", Version: "1.0.0", Interval: 10 * time.Millisecond}
	client.OnOutdated = func(latest checker.Latest) { fmt.Println("newer:", latest.LatestRelease) }
	client.Start(context.Background())

	sum := 0
	for i := range 20 {
		sum += i
		time.Sleep(10 * time.Millisecond)
	}
	fmt.Println("the sum is", sum)
	fmt.Fprintln(os.Stderr, "host: nothing to add")
	os.Exit(3)
}
