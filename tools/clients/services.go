package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/hashicorp/go-checkpoint"
	longhorn "github.com/longhorn/upgrade-responder/client"
	"github.com/syncthing/syncthing/lib/upgrade"
	temporal "go.temporal.io/version/check"
)

// checkCheckpoint uses hashicorp/go-checkpoint, whose host is fixed. Instead of a URL, it
// takes the name of a product. The argument is the file of its cache. It prints alerts on
// standard error.
func checkCheckpoint(product, version string, args []string) (string, error) {
	r, err := checkpoint.Check(&checkpoint.CheckParams{Product: product, Version: version, CacheFile: args[0]})
	if err != nil {
		return "", err
	}
	for _, a := range r.Alerts {
		fmt.Fprintf(os.Stderr, "alert %d: %s\n", a.ID, a.Message)
	}
	if !r.Outdated {
		return "", nil
	}
	return r.CurrentVersion, nil
}

// checkSyncthing uses Syncthing's lib/upgrade.
func checkSyncthing(url, version string, _ []string) (string, error) {
	r, err := upgrade.LatestRelease(url, version, false)
	if err != nil || upgrade.CompareVersions(r.Tag, version) <= upgrade.Equal {
		return "", err
	}
	return r.Tag, nil
}

// checkLonghorn uses the client of longhorn/upgrade-responder, and then does what Longhorn
// does: it takes the first version with the tag latest.
func checkLonghorn(url, version string, _ []string) (string, error) {
	r, err := longhorn.NewUpgradeChecker(url, nil).CheckUpgrade(version, map[string]string{"kubernetesVersion": "v1.30.0"})
	if err != nil {
		return "", err
	}
	for _, v := range r.Versions {
		if slices.Contains(v.Tags, "latest") {
			return v.Name, nil
		}
	}
	return "", fmt.Errorf("no version has the tag latest: %+v", r)
}

// checkTemporal uses go.temporal.io/version, whose host is fixed. Instead of a URL, it
// takes the name of a product. It prints alerts on standard error.
func checkTemporal(product, version string, _ []string) (string, error) {
	r, err := temporal.NewCaller().Call(&temporal.VersionCheckRequest{Product: product, Version: version, OS: runtime.GOOS, Arch: runtime.GOARCH,
		DB: "sqlite", ClusterID: "00000000-0000-4000-8000-000000000000", Timestamp: time.Now().UnixNano()})
	if err != nil {
		return "", err
	}
	for _, a := range r.Products[0].Alerts {
		fmt.Fprintf(os.Stderr, "alert: %s\n", a.Message)
	}
	return r.Products[0].Recommended.Version, nil
}
