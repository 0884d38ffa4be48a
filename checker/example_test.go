package checker_test

import (
	"context"
	"fmt"
	"log/slog"

	"relcheck/checker"
)

// A server logs when a newer release is available.
func ExampleClient_Start() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()

	client := &checker.Client{
		Product:    "myapp",
		Version:    "1.4.0",
		DefaultURL: "https://releases.example.com", // MYAPP_TELEMETRY_SERVICE_URL overrides it
	}
	client.OnOutdated = func(latest checker.Latest) {
		slog.Warn("a newer release is available", "latest", latest.LatestRelease, "download", latest.Download)
	}
	client.Start(ctx)
}

// A command-line program checks once, when its user requests it.
func ExampleClient_Check() {
	client := &checker.Client{Product: "myapp", Version: "1.4.0", URL: "https://releases.example.com"}
	answer, err := client.Check(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	if answer.Latest.Outdated(client.Version) {
		fmt.Println("Latest release:", answer.Latest.LatestRelease)
		fmt.Println("Download:      ", answer.Latest.Download)
	}
}

// A vendor's build of a release is not outdated by that release.
func ExampleLatest_Outdated() {
	latest := checker.Latest{LatestRelease: "v0.21.0"}
	fmt.Println(latest.Outdated("0.20.0"), latest.Outdated("0.21.0"), latest.Outdated("0.21.0-istio"))
	// Output: true false false
}
